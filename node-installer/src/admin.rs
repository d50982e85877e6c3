//! Probes and metrics, over plain HTTP.

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};
use daemon::{contact::Health, probes::Detail};
use http::{StatusCode, header};

use crate::{board::Board, metrics::Metrics};

/// What probes ask about.
#[derive(Clone, Debug)]
pub struct Admin {
    pub board: Arc<Board>,
    pub health: Arc<dyn Health>,
    pub metrics: Arc<Metrics>,
}

/// `/livez`, `/readyz`, `/metrics`.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// Ready means that all objects are known, and that what they ask for was done or has failed.
async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    let mut detail = Detail::default();
    let complete = admin.board.is_complete();
    detail.line(complete, "profiles", if complete { "all known" } else { "not all known yet" });
    let status = admin.board.status();
    let text = format!(
        "{} installed, {} pending, {} failed",
        status.installed, status.pending, status.failed
    );
    detail.line(status.failed == 0, "node", &text);
    detail.ages(&admin.health.ages());
    (if complete { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, detail.into_text())
}

async fn metrics(State(admin): State<Admin>) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = admin.metrics.encode(&admin.health.ages());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
