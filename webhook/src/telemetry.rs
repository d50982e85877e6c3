//! Logs as JSON lines on standard error, and traces to an OpenTelemetry collector where one is named.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use http::HeaderMap;
use opentelemetry::{propagation::Extractor, trace::TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::answer::Path;

/// Whether spans are sent anywhere: without a collector a review costs nothing more.
static TRACING: AtomicBool = AtomicBool::new(false);

/// Flushes the spans when it is dropped.
#[derive(Debug)]
pub struct Guard(Option<SdkTracerProvider>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "spans may be lost");
        }
    }
}

/// Starts logs and, with an endpoint, traces.
pub fn start(log: &str, otlp_endpoint: Option<&str>) -> anyhow::Result<Guard> {
    let lines = daemon::logs::layer(log)?;
    let provider = otlp_endpoint.map(provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let only_reviews =
            tracing_subscriber::filter::filter_fn(|meta| meta.is_span() && meta.name() == "review");
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("cinch-webhook"))
            .with_filter(only_reviews)
    });
    tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .try_init()
        .context("logs were started before")?;
    TRACING.store(provider.is_some(), Ordering::Relaxed);
    Ok(Guard(provider))
}

fn provider(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("cannot send traces to {endpoint}"))?;
    let resource = Resource::builder().with_service_name("cinch-webhook").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// A span that continues the API server's trace; none when traces are off.
pub(crate) fn review_span(path: Path, headers: &HeaderMap) -> Option<tracing::Span> {
    if !TRACING.load(Ordering::Relaxed) {
        return None;
    }
    let span = tracing::info_span!("review", path = path.as_str());
    let parent = opentelemetry::global::get_text_map_propagator(|p| p.extract(&Headers(headers)));
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!(%error, "span has no parent");
    }
    Some(span)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
