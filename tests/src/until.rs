//! Waits until something holds, and says what it waited for when it does not.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const BETWEEN_TWO_LOOKS: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer; an error ends the wait at once.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("waited {limit:?} in vain until {what}");
        }
        tokio::time::sleep(BETWEEN_TWO_LOOKS).await;
    }
}
