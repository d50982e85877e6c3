//! The flags of `release`, as typed and as meant.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use webhook::controller::leader::Place;

use super::{duration, place};

#[derive(Debug, Args)]
pub(crate) struct ReleaseFlags {
    /// Reach the cluster as this file says; without it, as the pod's service account or $KUBECONFIG says
    #[arg(long, env = "CINCH_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Delete this `MutatingWebhookConfiguration` first: a webhook that still runs would go on gating pods
    #[arg(long, env = "CINCH_WEBHOOK_CONFIGURATION", value_name = "NAME")]
    webhook_configuration: Option<String>,
    /// Take this Lease first, for three minutes: a controller that still runs would go on holding profiles
    #[arg(long, env = "CINCH_LEASE", value_name = "NAMESPACE/NAME")]
    lease: Option<String>,
    /// Look again after this, where there was somebody to stop: what they had begun is done by then
    #[arg(long, env = "CINCH_SETTLE", value_name = "DURATION", value_parser = duration, default_value = "10s")]
    settle: Duration,
    /// Give up after this
    #[arg(long, env = "CINCH_TIMEOUT", value_name = "DURATION", value_parser = duration, default_value = "2m")]
    timeout: Duration,
}

/// What `release` is to do.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) webhook_configuration: Option<String>,
    pub(crate) lease: Option<Place>,
    pub(crate) settle: Duration,
    pub(crate) timeout: Duration,
}

impl ReleaseFlags {
    /// The flags as meant.
    pub(crate) fn meant(self) -> anyhow::Result<Release> {
        let Self { kubeconfig, webhook_configuration, lease, settle, timeout } = self;
        let lease = lease.as_deref().map(place).transpose()?;
        Ok(Release { kubeconfig, webhook_configuration, lease, settle, timeout })
    }
}
