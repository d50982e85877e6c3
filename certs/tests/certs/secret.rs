//! Our own certificates in a Secret that replicas share.

use certs::{Keeper, Lifetimes, Name, Origin, Serving, Source, open};
use http::{Method, StatusCode};
use serde_json::json;

use crate::{
    api::Api,
    replace::Pair,
    wait::{seen, until},
};

const PATH: &str = "/api/v1/namespaces/cinch/secrets/cinch-webhook";

async fn opened(api: &Api, name: &str) -> (Serving, Keeper) {
    let source = Source::Secret {
        client: api.client(),
        namespace: "cinch".to_owned(),
        name: "cinch-webhook".to_owned(),
    };
    let names: [Name; 1] = [name.parse().expect("a good name")];
    open(source, names, Lifetimes::default()).await.expect("the Secret is good")
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn makes_the_secret_and_finds_it_again() {
    let api = Api::default();
    let (made, _keeper) = opened(&api, "a").await;
    let (found, _keeper) = opened(&api, "a").await;
    assert_eq!(made.certificate(), found.certificate());
    assert_eq!(made.derive_key("x"), found.derive_key("x"));
    assert_eq!(api.writes(), [(Method::POST, StatusCode::OK)]);
    let secret = api.get(PATH).unwrap();
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let mut keys: Vec<_> = secret["data"].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
}

#[tokio::test]
async fn two_that_start_together_end_with_one_pair() {
    let api = Api::default();
    api.meet(2);
    let ((one, _), (other, _)) = tokio::join!(opened(&api, "a"), opened(&api, "a"));
    assert_eq!(one.certificate(), other.certificate());
    assert_eq!(one.trust_bundle(), other.trust_bundle());
    let posts = [(Method::POST, StatusCode::OK), (Method::POST, StatusCode::CONFLICT)];
    assert_eq!(api.writes(), posts);
    assert_eq!(one.status().borrow().renewals + other.status().borrow().renewals, 2);
}

#[tokio::test]
async fn two_that_renew_together_end_with_one_pair() {
    let api = Api::default();
    drop(opened(&api, "a").await);
    api.meet(2);
    let ((one, _), (other, _)) = tokio::join!(opened(&api, "b"), opened(&api, "b"));
    assert_eq!(one.certificate(), other.certificate());
    let patches = [(Method::PATCH, StatusCode::OK), (Method::PATCH, StatusCode::CONFLICT)];
    assert_eq!(api.writes()[1..], patches);
    assert_eq!(one.status().borrow().renewals + other.status().borrow().renewals, 1);
}

#[tokio::test]
async fn replicas_that_want_different_names_agree() {
    let api = Api::default();
    drop(opened(&api, "a").await);
    drop(opened(&api, "b").await);
    let writes = api.writes().len();
    drop(opened(&api, "a").await);
    drop(opened(&api, "b").await);
    assert_eq!(api.writes().len(), writes, "they take turns");
}

#[tokio::test]
async fn an_empty_secret_is_filled_and_its_labels_stay() {
    let api = Api::default();
    let secret = json!({
        "type": "kubernetes.io/tls",
        "metadata": { "labels": { "by": "chart" } },
        "data": { "tls.crt": "", "tls.key": "", "other": "b3RoZXI=" },
    });
    api.put(PATH, secret);
    let (serving, _keeper) = opened(&api, "a").await;
    assert_eq!(serving.status().borrow().origin, Origin::Own);
    let secret = api.get(PATH).unwrap();
    assert_eq!(secret["metadata"]["labels"]["by"], "chart");
    assert_eq!(secret["data"]["other"], "b3RoZXI=");
    assert_ne!(secret["data"]["tls.key"], "");
}

#[tokio::test]
async fn a_secret_of_someone_else_is_followed_and_never_written() {
    let api = Api::default();
    let of = |pair: &Pair| {
        let data: serde_json::Map<_, _> = pair
            .files()
            .iter()
            .map(|(name, content)| ((*name).to_owned(), json!(base64(content))))
            .collect();
        json!({ "type": "kubernetes.io/tls", "metadata": {}, "data": data })
    };
    api.put(PATH, of(&Pair::new()));
    let (serving, keeper) = opened(&api, "not.in.it").await;
    let keeping = tokio::spawn(keeper.run());
    api.put(PATH, of(&Pair::new()));
    let status = until(&serving, |status| status.reloads == 1).await;
    assert_eq!((status.origin, status.renewals), (Origin::Given, 0));
    assert_eq!(api.writes(), []);
    keeping.abort();
}

#[tokio::test]
async fn a_change_by_another_replica_is_taken_over() {
    let api = Api::default();
    let (serving, keeper) = opened(&api, "a").await;
    let keeping = tokio::spawn(keeper.run());
    let (other, _keeper) = opened(&api, "b").await;
    until(&serving, |status| status.reloads == 1).await;
    assert_eq!(serving.certificate(), other.certificate());
    keeping.abort();
}

#[tokio::test]
async fn changes_are_followed_again_after_the_watch_has_failed() {
    let api = Api::default();
    let (serving, keeper) = opened(&api, "a").await;
    let keeping = tokio::spawn(keeper.run());
    seen(|| api.watched() > 0).await;
    api.refuse_watches(true);
    let (other, _keeper) = opened(&api, "b").await;
    assert_ne!(serving.certificate(), other.certificate());
    api.refuse_watches(false);
    until(&serving, |status| status.reloads == 1).await;
    assert_eq!(serving.certificate(), other.certificate());
    keeping.abort();
}
