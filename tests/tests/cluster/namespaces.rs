//! Which namespaces does the webhook look after?

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{
    namespace::{BINDING, Namespace, RECORDING},
    review::{BOTH, Review},
    until::until,
};

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, effect, profile, simple},
};

questions![
    a_namespace_that_loses_the_label_is_left_alone,
    a_label_that_says_false_switches_off,
    a_label_with_any_other_value_switches_on,
    kube_system_is_left_alone_whatever_its_labels,
];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";
const LIMIT: Duration = Duration::from_secs(20);

async fn bind(shared: &Shared, label: &str) -> Result<Namespace> {
    shared.webhooks().await?;
    let namespace = shared.namespace(&[(BINDING, label)]).await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    Ok(namespace)
}

fn bound(namespace: &Namespace) -> Value {
    json!({ "/spec/containers/0/securityContext": context(KIND, &namespace.name) })
}

async fn becomes(shared: &Shared, namespace: &Namespace, expected: &Value) -> Result<()> {
    until("the API server follows the label", LIMIT, async || {
        let effect = effect(shared, namespace, &simple(IMAGE)).await?;
        Ok((effect == *expected).then_some(()))
    })
    .await
}

async fn a_namespace_that_loses_the_label_is_left_alone(shared: &Shared) -> Result<()> {
    let namespace = bind(shared, "true").await?;
    assert_eq!(effect(shared, &namespace, &simple(IMAGE)).await?, bound(&namespace));
    namespace.label(BINDING, None).await?;
    becomes(shared, &namespace, &json!({})).await?;
    namespace.label(BINDING, Some("true")).await?;
    becomes(shared, &namespace, &bound(&namespace)).await
}

async fn a_label_that_says_false_switches_off(shared: &Shared) -> Result<()> {
    let namespace = bind(shared, "true").await?;
    namespace.label(BINDING, Some("false")).await?;
    becomes(shared, &namespace, &json!({})).await
}

async fn a_label_with_any_other_value_switches_on(shared: &Shared) -> Result<()> {
    for label in ["", "true", "False", "no"] {
        let namespace = bind(shared, label).await?;
        let effect = effect(shared, &namespace, &simple(IMAGE)).await?;
        assert_eq!(effect, bound(&namespace), "{label:?}");
    }
    Ok(())
}

async fn kube_system_is_left_alone_whatever_its_labels(shared: &Shared) -> Result<()> {
    let [webhook, _] = shared.webhooks().await?;
    let labels = [(BINDING, "true"), (RECORDING, "true")];
    let namespace = Namespace::adopt(shared.cluster.asker(), "kube-system", &labels).await?;
    create(
        &namespace,
        &[profile(KIND, "kube-system"), binding("b", KIND, "kube-system", IMAGE, &json!({}))],
    )
    .await?;
    shared.settled(&namespace).await?;
    // The webhook would bind it: it is the registration that keeps the API server from asking.
    let pod = simple(IMAGE);
    let verdict = webhook.review(BOTH, &Review::of("kube-system", &pod)).await?;
    ensure!(!verdict.patch.is_null(), "the webhook knows nothing to do");
    assert_eq!(effect(shared, &namespace, &pod).await?, json!({}));
    Ok(())
}
