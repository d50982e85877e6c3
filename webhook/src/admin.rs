//! Probes and metrics, over plain HTTP.

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};
use certs::Serving;
use daemon::{contact::Health, probes::Detail};
use http::{StatusCode, header};
use tokio::sync::watch;

use crate::{metrics::Metrics, source::Published};

/// What probes ask about.
#[derive(Clone, Debug)]
pub struct Admin {
    pub published: Published,
    pub health: Arc<dyn Health>,
    pub metrics: Arc<Metrics>,
    pub serving: Serving,
    pub stopping: watch::Receiver<bool>,
}

/// `/livez`, `/readyz`, `/metrics`.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin))
}

/// Ready means that reviews can be answered, be it from what was last seen.
async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    let mut detail = Detail::default();
    let stopping = *admin.stopping.borrow();
    let loaded = admin.published.is_loaded();
    detail.line(loaded, "objects", if loaded { "loaded" } else { "not loaded yet" });
    detail.line(!stopping, "serving", if stopping { "stopping" } else { "yes" });
    let left = admin.serving.remaining().as_secs();
    detail.line(left > 0, "certificate", &format!("{left} s left"));
    detail.ages(&admin.health.ages());
    let ready = loaded && !stopping;
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, detail.into_text())
}

async fn metrics(
    State(admin): State<Arc<Admin>>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = admin.metrics.encode(&admin.published, &admin.health, &admin.serving);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
