//! The caBundle of a webhook configuration follows what clients should trust.

use std::time::Duration;

use certs::{Keeper, Lifetimes, Name, Serving, Source, ca_bundle, open};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tokio::task::JoinHandle;

use crate::{
    api::Api,
    replace::Pair,
    wait::{seen, until},
};

const PATH: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cinch-webhook";

async fn opened(folder: &TempDir) -> (Serving, Keeper) {
    let names: [Name; 1] = ["localhost".parse().expect("a good name")];
    let source = Source::Folder(folder.path().to_owned());
    open(source, names, Lifetimes::default()).await.expect("the folder is good")
}

fn configuration(names: &[&str]) -> Value {
    let webhook = |name: &&str| {
        json!({
            "name": name, "clientConfig": { "service": { "name": "s", "namespace": "n" } },
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {}, "webhooks": names.iter().map(webhook).collect::<Vec<_>>(),
    })
}

fn keep(api: &Api, serving: &Serving) -> JoinHandle<std::convert::Infallible> {
    tokio::spawn(ca_bundle::keep(api.client(), "cinch-webhook".to_owned(), serving.clone()))
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

fn bundles(api: &Api) -> Vec<String> {
    use base64::Engine as _;
    let configuration = api.get(PATH).unwrap_or_default();
    let webhooks = configuration["webhooks"].as_array().cloned().unwrap_or_default();
    let text = |webhook: &Value| webhook["clientConfig"]["caBundle"].as_str().map(str::to_owned);
    let decode = |text: String| base64::prelude::BASE64_STANDARD.decode(text).expect("base64");
    let decoded = webhooks.iter().map(|webhook| text(webhook).map(decode).unwrap_or_default());
    decoded.map(|bundle| String::from_utf8(bundle).expect("PEM")).collect()
}

/// Waits until `count` webhooks are there and all have `bundle`.
async fn set(api: &Api, count: usize, bundle: &str) {
    seen(|| {
        let bundles = bundles(api);
        bundles.len() == count && bundles.iter().all(|there| there == bundle)
    })
    .await;
}

#[tokio::test]
async fn every_webhook_gets_the_bundle_in_one_write() {
    let (folder, api) = (tempdir().unwrap(), Api::default());
    let (serving, _keeper) = opened(&folder).await;
    api.put(PATH, configuration(&["a", "b"]));
    let keeping = keep(&api, &serving);
    set(&api, 2, &serving.trust_bundle().unwrap()).await;
    // It hears of its own write, and finds nothing to do.
    seen(|| api.watched() > 0).await;
    assert_eq!(api.writes(), [(Method::PATCH, StatusCode::OK)]);
    assert_eq!(api.get(PATH).unwrap()["webhooks"][1]["clientConfig"]["service"]["name"], "s");
    keeping.abort();
}

#[tokio::test]
async fn a_configuration_that_is_made_later_or_put_back_gets_the_bundle() {
    let (folder, api) = (tempdir().unwrap(), Api::default());
    let (serving, _keeper) = opened(&folder).await;
    let bundle = serving.trust_bundle().unwrap();
    let keeping = keep(&api, &serving);
    seen(|| api.watched() > 0).await;
    api.put(PATH, configuration(&["a"]));
    set(&api, 1, &bundle).await;
    api.put(PATH, configuration(&["a", "b"]));
    set(&api, 2, &bundle).await;
    assert_eq!(serving.status().borrow().failures, 0);
    keeping.abort();
}

#[tokio::test]
async fn a_new_authority_is_handed_over() {
    let (folder, api) = (tempdir().unwrap(), Api::default());
    Pair::new().copy_to(folder.path());
    let (serving, keeper) = opened(&folder).await;
    api.put(PATH, configuration(&["a"]));
    let keeping = [keep(&api, &serving), tokio::spawn(keeper.run())];
    set(&api, 1, &serving.trust_bundle().unwrap()).await;
    let next = Pair::new();
    next.copy_to(folder.path());
    until(&serving, |status| status.trust_bundle.as_deref() == Some(&next.ca_crt)).await;
    set(&api, 1, &next.ca_crt).await;
    for task in keeping {
        task.abort();
    }
}

#[tokio::test]
async fn a_list_changed_between_look_and_write_is_not_written_by_index() {
    let (folder, api) = (tempdir().unwrap(), Api::default());
    let (serving, _keeper) = opened(&folder).await;
    api.put(PATH, configuration(&["a", "b"]));
    api.meddle_after_next_read(PATH, configuration(&["new", "a", "b"]));
    let keeping = keep(&api, &serving);
    set(&api, 3, &serving.trust_bundle().unwrap()).await;
    assert_eq!(api.writes()[0], (Method::PATCH, StatusCode::UNPROCESSABLE_ENTITY));
    keeping.abort();
}

#[tokio::test]
async fn a_surplus_is_left_for_a_while_and_then_taken_away() {
    let (folder, api) = (tempdir().unwrap(), Api::default());
    let (serving, _keeper) = opened(&folder).await;
    let bundle = serving.trust_bundle().unwrap();
    let mut more = configuration(&["a"]);
    more["webhooks"][0]["clientConfig"]["caBundle"] =
        json!(base64(&format!("{bundle}{}", Pair::new().ca_crt)));
    api.put(PATH, more);
    tokio::time::pause();
    let keeping = keep(&api, &serving);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(api.writes(), []);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(bundles(&api), [&*bundle]);
    keeping.abort();
}

#[tokio::test]
async fn without_a_known_authority_nothing_is_written() {
    let (folder, api) = (tempdir().unwrap(), Api::default());
    let pair = Pair::new();
    pair.copy_to(folder.path());
    std::fs::remove_file(folder.path().join("ca.crt")).unwrap();
    let (serving, keeper) = opened(&folder).await;
    api.put(PATH, configuration(&["a"]));
    let keeping = [keep(&api, &serving), tokio::spawn(keeper.run())];
    seen(|| api.watched() > 0).await;
    assert_eq!(api.writes(), []);
    // Once it is known, it is handed over.
    std::fs::write(folder.path().join("ca.crt"), &pair.ca_crt).unwrap();
    set(&api, 1, &pair.ca_crt).await;
    for task in keeping {
        task.abort();
    }
}
