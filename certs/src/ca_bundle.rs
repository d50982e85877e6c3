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
/// Takes the rights to `get`, `list`, `watch` and `patch` that one object.
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

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::{
        MutatingWebhook as Webhook, WebhookClientConfig as ClientConfig,
    };
    use rstest::rstest;
    use rustls::pki_types::CertificateDer;

    use super::*;

    fn bundle(certificates: &[u8]) -> String {
        let all: Vec<_> =
            certificates.iter().map(|byte| CertificateDer::from(vec![*byte])).collect();
        pem::of_certificates(&all)
    }

    #[rstest]
    #[case::no_webhooks(&[], Fit::Right)]
    #[case::equal(&[Some("1 2")], Fit::Right)]
    #[case::in_another_order(&[Some("2 1")], Fit::Right)]
    #[case::one_too_many(&[Some("1 2 3")], Fit::Surplus)]
    #[case::one_missing(&[Some("1")], Fit::Lacking)]
    #[case::none(&[None], Fit::Lacking)]
    #[case::the_worst_counts(&[Some("1 2"), Some("1 2 3"), Some("2 3")], Fit::Lacking)]
    #[case::good_and_too_many(&[Some("1 2"), Some("1 2 3")], Fit::Surplus)]
    fn fits(#[case] there: &[Option<&str>], #[case] expected: Fit) {
        let certificates = |text: &str| {
            let all: Vec<u8> = text.split(' ').map(|number| number.parse().unwrap()).collect();
            ByteString(bundle(&all).into())
        };
        let webhook = |there: Option<&str>| {
            let client_config =
                ClientConfig { ca_bundle: there.map(certificates), ..ClientConfig::default() };
            Webhook { client_config, ..Webhook::default() }
        };
        let webhooks = Some(there.iter().copied().map(webhook).collect());
        let configuration = Configuration { webhooks, ..Configuration::default() };
        assert_eq!(fit(&configuration, &bundle(&[1, 2])), expected);
    }
}
