//! The API server's audit log: who asked for what, and what admission did to it.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};
use serde_json::Value;

use crate::until::until;

/// Every request once it is answered, with the patches of mutating admission.
pub const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  resources: [{group: "", resources: [pods, pods/ephemeralcontainers]}]
- level: Metadata
"#;

const LIMIT: Duration = Duration::from_secs(20);

/// A moment: where a log ended then.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    place: u64,
    time: Timestamp,
}

impl Moment {
    /// When the log began.
    pub const BEGIN: Self = Self { place: 0, time: Timestamp::MIN };
}

/// A log that grows.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
}

impl Audit {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Now: what is read from here on is what happens from now on.
    pub fn end(&self) -> Result<Moment> {
        let place = fs::metadata(&self.path).context("no audit log")?.len();
        // As the log has it: in microseconds.
        let time = Timestamp::from_microsecond(Timestamp::now().as_microsecond())?;
        Ok(Moment { place, time })
    }

    /// The whole lines of what was asked since `from`.
    pub fn since(&self, from: Moment) -> Result<Vec<Value>> {
        let mut file = File::open(&self.path).context("no audit log")?;
        file.seek(SeekFrom::Start(from.place))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let events =
            whole.lines().map(|line| serde_json::from_str(line).context("not an audit line"));
        // A line comes after the answer, and so maybe after somebody has seen what was done.
        let before =
            |event: &Result<Value>| event.as_ref().is_ok_and(|event| asked(event) < from.time);
        events.filter(|event| !before(event)).collect()
    }

    /// Waits for an event that satisfies `is`.
    pub async fn event(
        &self,
        from: Moment,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        until(&format!("the audit log has {what}"), LIMIT, async || {
            Ok(self.since(from)?.into_iter().find(&is))
        })
        .await
    }
}

/// When it was asked for; never, where the event does not say.
fn asked(event: &Value) -> Timestamp {
    let time = serde_json::from_value::<MicroTime>(event["requestReceivedTimestamp"].clone());
    time.map_or(Timestamp::MAX, |time| time.0)
}

/// Whether an event was caused by this user.
pub fn by(user: &str) -> impl Fn(&Value) -> bool {
    move |event| event.pointer("/user/username").and_then(Value::as_str) == Some(user)
}
