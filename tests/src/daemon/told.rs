//! What a daemon tells of itself: where it listens, whether it is ready, and figures.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Daemon;
use crate::{plain_http, until::until};

impl Daemon {
    /// Waits until it tells where it listens, in a line such as `{"message":"listening","admin":"127.0.0.1:1"}`.
    pub async fn addresses<const N: usize>(
        &mut self,
        names: [&str; N],
        limit: Duration,
    ) -> Result<[SocketAddr; N]> {
        let what = format!("{} tells its addresses", self.name);
        let told = until(&what, limit, async || {
            self.check_alive()?;
            Ok(self.log()?.lines().find_map(|line| addresses(line, names)))
        })
        .await;
        told.with_context(|| self.log_tail())
    }

    /// Waits until it says at this address that it is ready.
    pub async fn ready(&mut self, admin: SocketAddr, limit: Duration) -> Result<()> {
        let what = format!("{} is ready", self.name);
        let ready = until(&what, limit, async || {
            self.check_alive()?;
            let answer = plain_http::get(admin, "/readyz").await;
            Ok(answer.ok().filter(|(status, _)| *status == 200))
        })
        .await;
        ready.with_context(|| self.log_tail())?;
        Ok(())
    }
}

fn addresses<const N: usize>(line: &str, names: [&str; N]) -> Option<[SocketAddr; N]> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] != "listening" {
        return None;
    }
    let all: Option<Vec<_>> = names.iter().map(|name| line[*name].as_str()?.parse().ok()).collect();
    all?.try_into().ok()
}

/// The greatest sample of the metric whose name ends so; none where there is no sample yet.
pub(crate) fn greatest(metrics: &str, ending: &str) -> Option<f64> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let known = key.split('{').next()?.ends_with(ending);
        known.then(|| value.parse().ok())?
    });
    samples.reduce(f64::max)
}
