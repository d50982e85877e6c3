//! Probes and metrics, over plain HTTP.

use std::{fmt::Write as _, sync::Arc};

use axum::{Router, extract::State, routing::get};
use certs::Serving;
use http::{StatusCode, header};
use tokio::sync::watch;

use crate::{
    metrics::Metrics,
    source::{Health, Published},
};

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
    let mut detail = String::new();
    let stopping = *admin.stopping.borrow();
    let loaded = admin.published.is_loaded();
    line(&mut detail, loaded, "objects", if loaded { "loaded" } else { "not loaded yet" });
    line(&mut detail, !stopping, "serving", if stopping { "stopping" } else { "yes" });
    let left = admin.serving.remaining().as_secs();
    line(&mut detail, left > 0, "certificate", &format!("{left} s left"));
    for (kind, age) in admin.health.ages() {
        let text = match age {
            0 => "up to date".to_owned(),
            age => format!("not heard of for {age} s, serving what was last seen"),
        };
        line(&mut detail, age == 0, kind, &text);
    }
    let ready = loaded && !stopping;
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, detail)
}

fn line(detail: &mut String, good: bool, what: &str, text: &str) {
    let mark = if good { '+' } else { '-' };
    writeln!(detail, "[{mark}] {what}: {text}").expect("into memory");
}

async fn metrics(
    State(admin): State<Arc<Admin>>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = admin.metrics.encode(&admin.published, &admin.health, &admin.serving);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
