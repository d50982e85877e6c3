//! Probes and metrics, over plain HTTP.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, routing::get};
use daemon::{contact::Health, probes::Detail};
use http::{StatusCode, header};

use crate::metrics::Metrics;

/// What probes ask about.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) board: Arc<Board>,
    pub(crate) health: Arc<dyn Health>,
    pub(crate) metrics: Arc<Metrics>,
}

/// How the recorder is.
#[derive(Debug, Default)]
pub(crate) struct Board {
    complete: AtomicBool,
    refused: Mutex<Option<String>>,
}

impl Board {
    /// Whether all recordings, pods and namespaces are known, and why nothing can be seen where that is so.
    pub(crate) fn say(&self, complete: bool, refused: Option<&str>) {
        self.complete.store(complete, Ordering::Relaxed);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused.map(str::to_owned);
    }
}

/// `/livez`, `/readyz`, `/metrics`.
pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// Ready means that it is known what is to be recorded, and that the kernel lets it be seen.
async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    let mut detail = Detail::default();
    let complete = admin.board.complete.load(Ordering::Relaxed);
    let said = if complete { "all known" } else { "not all known yet" };
    detail.line(complete, "recordings", said);
    let refused = admin.board.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let good = refused.is_none();
    detail.line(good, "kernel", refused.as_deref().unwrap_or("records when asked to"));
    detail.ages(&admin.health.ages());
    let code = if complete && good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, detail.into_text())
}

async fn metrics(State(admin): State<Admin>) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = admin.metrics.encode(&admin.health.ages());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
