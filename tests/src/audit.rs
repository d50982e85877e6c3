//! The API server's audit log: who asked for what, and what admission did to it.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
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

/// A log that grows.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
}

impl Audit {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where the log ends now: what is read from here on is what happens from now on.
    pub fn end(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path).context("no audit log")?.len())
    }

    /// The whole lines written since `from`.
    pub fn since(&self, from: u64) -> Result<Vec<Value>> {
        let mut file = File::open(&self.path).context("no audit log")?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).context("not an audit line")).collect()
    }

    /// Waits for an event that satisfies `is`.
    pub async fn event(&self, from: u64, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        until(&format!("the audit log has {what}"), LIMIT, async || {
            Ok(self.since(from)?.into_iter().find(&is))
        })
        .await
    }
}

/// Whether an event was caused by this user.
pub fn by(user: &str) -> impl Fn(&Value) -> bool {
    move |event| event.pointer("/user/username").and_then(Value::as_str) == Some(user)
}
