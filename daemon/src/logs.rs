//! Logs as JSON lines on standard error.

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, layer::SubscriberExt as _, registry::LookupSpan, util::SubscriberInitExt as _,
};

/// The layer that writes lines, those that the filter lets through, such as `info` or `info,webhook=debug`.
pub fn layer<S>(filter: &str) -> anyhow::Result<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let parsed =
        EnvFilter::try_new(filter).with_context(|| format!("--log {filter:?} is no log filter"))?;
    Ok(tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(parsed))
}

/// Starts logs, and nothing else.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let layer = layer(filter)?;
    tracing_subscriber::registry().with(layer).try_init().context("logs were started before")
}
