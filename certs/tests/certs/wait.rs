//! Waiting for what a test expects, with a limit after which it has failed.

use std::time::Duration;

use certs::{Serving, Status};
use tokio::time::{sleep, timeout};

/// More than anything takes on a busy machine, less than the slow look that hides a deaf watch.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn until(serving: &Serving, what: impl FnMut(&Status) -> bool) -> Status {
    let mut status = serving.status();
    let reached = timeout(LIMIT, status.wait_for(what)).await;
    reached.expect("it happens in time").expect("the certificates are still served").clone()
}

/// Looks again and again, at what nothing tells of.
pub(crate) async fn seen(mut what: impl FnMut() -> bool) {
    let seen = async {
        while !what() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, seen).await.expect("it is seen in time");
}
