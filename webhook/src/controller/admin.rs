//! Probes and metrics of the controller, over plain HTTP.

use std::{sync::Arc, time::Instant};

use axum::{Router, extract::State, routing::get};
use daemon::{contact::Health, probes::Detail};
use http::{StatusCode, header};
use tokio::sync::watch;

use super::{leader::Term, metrics::Metrics};

/// What probes ask about.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) health: Arc<dyn Health>,
    pub(super) metrics: Arc<Metrics>,
    /// Whether all objects are known.
    pub(super) complete: watch::Receiver<bool>,
    pub(super) term: watch::Receiver<Term>,
}

/// `/livez`, `/readyz`, `/metrics`.
pub(super) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// Ready means that all objects are known: one that does not lead is ready to.
async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    let mut detail = Detail::default();
    let complete = *admin.complete.borrow();
    detail.line(complete, "objects", if complete { "all known" } else { "not all known yet" });
    let leads = leads(&admin);
    detail.line(
        true,
        "leader",
        if leads { "this replica" } else { "another replica, or none yet" },
    );
    detail.ages(&admin.health.ages());
    (if complete { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, detail.into_text())
}

async fn metrics(State(admin): State<Admin>) -> ([(header::HeaderName, &'static str); 1], String) {
    admin.metrics.set_leader(leads(&admin));
    let text = admin.metrics.encode(&admin.health.ages());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

fn leads(admin: &Admin) -> bool {
    admin.term.borrow().is_some_and(|until| Instant::now() < until)
}
