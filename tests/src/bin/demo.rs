//! Starts the webhook on the folder of examples, has a pod reviewed over TLS as an API server would, and shows what changed.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::{
    review::{BOTH, Review},
    webhook::{Source, Webhook},
};

#[tokio::main]
async fn main() -> Result<()> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize()?;
    let text = std::fs::read_to_string(examples.join("pod.yaml"))?;
    let pod: Value = serde_saphyr::from_str(&text)?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let started = Instant::now();
    let webhook =
        Webhook::start(folder.path(), Source::Manifests(&examples.join("manifests"))).await?;
    let mut out = stdout().lock();
    writeln!(
        out,
        "cinch-webhook is ready after {:?}, with a certificate it made itself.",
        started.elapsed()
    )?;
    writeln!(
        out,
        "Sending an AdmissionReview for examples/pod.yaml to https://{}{BOTH}",
        webhook.reviews
    )?;

    let verdict = webhook.review(BOTH, &Review::of("shop", &pod)).await?;
    let after = verdict.applied_to(&pod)?;
    let (before, after) = (serde_saphyr::to_string(&pod)?, serde_saphyr::to_string(&after)?);
    writeln!(out, "\n=== before ===\n{before}\n=== after, + is what the webhook put in ===")?;
    let colour = out.is_terminal();
    let mut old = before.lines().collect::<Vec<_>>().into_iter().peekable();
    for line in after.lines() {
        // The patch only adds and replaces, and both texts list fields in the same order.
        if old.next_if(|old| *old == line).is_some() {
            writeln!(out, "  {line}")?;
        } else if colour {
            writeln!(out, "\x1b[32m+ {line}\x1b[0m")?;
        } else {
            writeln!(out, "+ {line}")?;
        }
    }
    writeln!(out, "\n=== what kubectl would print ===")?;
    for warning in &verdict.warnings {
        writeln!(out, "Warning: {warning}")?;
    }
    writeln!(out, "\n=== what the audit log gets ===")?;
    let annotations = verdict.audit_annotations.as_object().into_iter().flatten();
    for (key, value) in annotations {
        for entry in value.as_str().unwrap_or_default().split("; ") {
            writeln!(out, "{key}: {entry}")?;
        }
    }
    writeln!(out, "\nWhy each binding won or lost:")?;
    writeln!(
        out,
        "  cargo run --quiet --bin cinch-webhook -- explain --manifests examples/manifests -f examples/pod.yaml"
    )?;
    Ok(())
}
