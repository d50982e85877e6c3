//! Keeps the `caBundle` of a webhook configuration equal to what clients should trust.

use std::{
    collections::BTreeSet, convert::Infallible, error::Error, ops::Range, pin::pin, time::Duration,
};

use futures::{Stream, StreamExt as _};
use json_patch::{AddOperation, Patch, PatchOperation, TestOperation, jsonptr::PointerBuf};
use k8s_openapi::{
    ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration as Configuration,
};
use kube::{
    Api, Client,
    api::{self, PartialObjectMeta, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use tokio::time::sleep;

use crate::{pem, serving::Serving};

/// Between two tries of what fails, at first and at most.
const RETRY: Range<Duration> = Duration::from_millis(500)..Duration::from_secs(30);

/// How long more is trusted than has to be.
const PATIENCE: Duration = Duration::from_secs(30);

/// A webhook configuration whose `caBundle` may be wrong.
#[derive(Debug, thiserror::Error)]
enum CaBundleError {
    #[error("cannot read the MutatingWebhookConfiguration {name}")]
    Read { name: String, source: Box<kube::Error> },
    #[error("cannot set caBundle in the MutatingWebhookConfiguration {name}")]
    Change { name: String, source: Box<kube::Error> },
}

/// Keeps `webhooks[*].clientConfig.caBundle` of one `MutatingWebhookConfiguration` equal to
/// [`Serving::trust_bundle`], for ever. Nothing is written while that is not known.
///
/// Failures are counted in the status of `serving`. May be dropped at any point.
pub async fn keep(client: Client, configuration: String, serving: Serving) -> Infallible {
    let bundle = CaBundle { client, name: configuration, serving };
    let mut status = bundle.serving.status();
    let mut events = pin!(bundle.events());
    let (mut retry, mut thorough) = (RETRY.start, false);
    loop {
        let known = bundle.serving.trust_bundle();
        // Whatever woke us, what counts is what is there now.
        let pause = match bundle.mend(known.as_deref(), thorough).await {
            Ok(surplus) => surplus.unwrap_or(Duration::MAX),
            Err(error) => {
                bundle.serving.count_failure();
                tracing::warn!(error = &error as &dyn Error, "the API server may not trust us");
                sleep(retry).await;
                retry = (retry * 2).min(RETRY.end);
                continue;
            }
        };
        retry = RETRY.start;
        thorough = tokio::select! {
            () = sleep(pause) => true,
            Some(()) = events.next() => false,
            _ = status.wait_for(|status| status.trust_bundle != known) => false,
        };
    }
}

struct CaBundle {
    client: Client,
    name: String,
    serving: Serving,
}

impl CaBundle {
    /// Tells when the configuration has changed, after a `helm upgrade` for example.
    fn events(&self) -> impl Stream<Item = ()> + use<> {
        let only = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let api: Api<PartialObjectMeta<Configuration>> = Api::all(self.client.clone());
        let objects = watcher(api, only).default_backoff().touched_objects();
        objects.filter_map(|event| async {
            let failed = event.map(drop).inspect_err(|error| {
                tracing::debug!(error = error as &dyn Error, "cannot watch the configuration");
            });
            failed.ok()
        })
    }

    /// Says how long the surplus may stay that it has left alone, not being `thorough`.
    async fn mend(
        &self,
        bundle: Option<&str>,
        thorough: bool,
    ) -> Result<Option<Duration>, CaBundleError> {
        let Some(bundle) = bundle else { return Ok(None) };
        let api: Api<Configuration> = Api::all(self.client.clone());
        let found = api.get_opt(&self.name).await.map_err(|source| CaBundleError::Read {
            name: self.name.clone(),
            source: source.into(),
        })?;
        let Some(found) = found else { return Ok(None) };
        match fit(&found, bundle) {
            Fit::Surplus if !thorough => return Ok(Some(PATIENCE)),
            Fit::Right => return Ok(None),
            Fit::Surplus | Fit::Lacking => {}
        }
        let patch = api::Patch::Json::<()>(patch(&found, bundle));
        let patched = api.patch(&self.name, &PatchParams::default(), &patch).await;
        patched.map_err(|source| CaBundleError::Change {
            name: self.name.clone(),
            source: source.into(),
        })?;
        tracing::info!(name = self.name, "the API server is told to trust our authority");
        Ok(None)
    }
}

/// How what is trusted fits what should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Right,
    /// More is trusted. That does no harm for a while, and another replica may know something that
    /// we have yet to hear of: taking it away at once would make two replicas fight.
    Surplus,
    Lacking,
}

/// The worst of all webhooks.
fn fit(configuration: &Configuration, bundle: &str) -> Fit {
    let wanted = certificates(bundle.as_bytes());
    let webhooks = configuration.webhooks.iter().flatten();
    let fits = webhooks.map(|webhook| {
        let there = webhook.client_config.ca_bundle.as_ref();
        let there = certificates(there.map_or(&[], |there| &there.0));
        match (there == wanted, there.is_superset(&wanted)) {
            (true, _) => Fit::Right,
            (false, true) => Fit::Surplus,
            (false, false) => Fit::Lacking,
        }
    });
    fits.max().unwrap_or(Fit::Right)
}

fn certificates(text: &[u8]) -> BTreeSet<Vec<u8>> {
    pem::certificates(text).unwrap_or_default().iter().map(|der| der.to_vec()).collect()
}

/// Sets the bundle of every webhook, if the list still is what it was: an index says nothing when
/// someone has put a webhook in before it.
fn patch(configuration: &Configuration, bundle: &str) -> Patch {
    let pointer = |index: usize, rest: &[&str]| {
        let index = index.to_string();
        PointerBuf::from_tokens(["webhooks", &*index].iter().chain(rest).copied())
    };
    let value = json!(ByteString(bundle.into()));
    let webhooks = configuration.webhooks.iter().flatten().enumerate();
    let operations = webhooks.flat_map(|(index, webhook)| {
        let named = TestOperation { path: pointer(index, &["name"]), value: json!(webhook.name) };
        // Adds or replaces.
        let set = AddOperation {
            path: pointer(index, &["clientConfig", "caBundle"]),
            value: value.clone(),
        };
        [PatchOperation::Test(named), PatchOperation::Add(set)]
    });
    Patch(operations.collect())
}
