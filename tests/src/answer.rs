//! What the API server answers to one request, warnings included.

use std::{fmt, time::Duration};

use anyhow::{Context as _, Result, bail};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::Value;

use crate::until::until;

/// How long a new policy may take to hold.
const LIMIT: Duration = Duration::from_secs(30);

/// Somebody at a server, an API server or a webhook.
#[derive(Clone)]
pub struct Asker(Client);

impl Asker {
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// Sends one request and reads its answer, whatever it is.
    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, kind)
            .body(Body::from(bytes))?;
        let answer =
            self.0.send(request).await.with_context(|| format!("no answer to {method} {path}"))?;
        let status = answer.status();
        let warnings = answer
            .headers()
            .get_all("warning")
            .iter()
            .filter_map(|value| warning(&String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let bytes = answer.into_body().collect().await?.to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Answer { status, warnings, body })
    }

    /// Waits until this is refused, without doing it: a new policy holds a moment after it was made.
    pub async fn until_refused(&self, method: &str, at: &str, body: Option<&Value>) -> Result<()> {
        let at = format!("{at}?dryRun=All");
        until("the policy holds", LIMIT, async || {
            Ok((!self.ask(method, &at, body).await?.status.is_success()).then_some(()))
        })
        .await
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asker").finish_non_exhaustive()
    }
}

/// Status, warnings and body of an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub warnings: Vec<String>,
    pub body: Value,
}

impl Answer {
    /// The object in the answer, when the request was granted.
    pub fn granted(self) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        bail!("{}: {}", self.status, self.message())
    }

    /// Why the request was refused, when it was.
    pub fn refused(self) -> Result<String> {
        if self.status.is_success() {
            bail!("granted, and should have been refused: {}", self.body);
        }
        Ok(self.message())
    }

    fn message(&self) -> String {
        match self.body.pointer("/message").and_then(Value::as_str) {
            Some(message) => message.to_owned(),
            None => self.body.to_string(),
        }
    }
}

/// The text in a header of the form `299 - "text"`.
fn warning(header: &str) -> Option<String> {
    let quoted = header.split_once('"')?.1.strip_suffix('"')?;
    Some(quoted.replace("\\\"", "\"").replace("\\\\", "\\"))
}
