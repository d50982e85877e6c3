//! Which binding wins where many match?

use anyhow::Result;
use serde_json::{Value, json};
use tests::namespace::Namespace;

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, effect, field, pod, profile, simple},
};

questions![
    the_more_special_image_wins,
    a_selector_wins_over_none_and_then_the_name_decides,
    two_wildcards_of_different_kinds_both_apply,
    a_wildcard_keeps_what_the_user_chose_and_an_image_does_not,
    override_can_be_said,
];

const KIND: &str = "SeccompProfile";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A binding with a profile of its own; both have the binding's name in their names.
async fn bind(namespace: &Namespace, name: &str, image: &str, more: &Value) -> Result<()> {
    let profile_name = profile_of(namespace, name);
    create(
        namespace,
        &[profile(KIND, &profile_name), binding(name, KIND, &profile_name, image, more)],
    )
    .await
}

fn profile_of(namespace: &Namespace, binding: &str) -> String {
    format!("{}-{binding}", namespace.name)
}

fn won_by(namespace: &Namespace, binding: &str) -> Value {
    let context = context(KIND, &profile_of(namespace, binding));
    json!({ "/spec/containers/0/securityContext": context })
}

async fn the_more_special_image_wins(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    // By name, the winner of each step comes last.
    bind(&namespace, "a-all", "*", &json!({})).await?;
    bind(&namespace, "b-short", "ghcr.io/*", &json!({})).await?;
    bind(&namespace, "c-long", "ghcr.io/acme/*", &json!({})).await?;
    bind(&namespace, "d-tag", "ghcr.io/acme/web:1.2", &json!({})).await?;
    bind(&namespace, "e-digest", &format!("ghcr.io/acme/web@{DIGEST}"), &json!({})).await?;
    shared.settled(&namespace).await?;
    for (image, winner) in [
        (format!("ghcr.io/acme/web:1.2@{DIGEST}"), "e-digest"),
        ("ghcr.io/acme/web:1.2".to_owned(), "d-tag"),
        ("ghcr.io/acme/web:1.3".to_owned(), "c-long"),
        ("ghcr.io/other/web:1.2".to_owned(), "b-short"),
        ("web:1.2".to_owned(), "a-all"),
    ] {
        let effect = effect(shared, &namespace, &simple(&image)).await?;
        assert_eq!(effect, won_by(&namespace, winner), "{image}");
    }
    Ok(())
}

async fn a_selector_wins_over_none_and_then_the_name_decides(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let selector = json!({ "podSelector": { "matchLabels": { "tier": "front" } } });
    bind(&namespace, "a-none", "nginx", &json!({})).await?;
    bind(&namespace, "b-none", "nginx", &json!({})).await?;
    bind(&namespace, "c-selector", "nginx", &selector).await?;
    bind(&namespace, "d-selector", "nginx", &selector).await?;
    shared.settled(&namespace).await?;
    let mut labelled = simple("nginx");
    labelled["metadata"]["labels"] = json!({ "tier": "front" });
    assert_eq!(effect(shared, &namespace, &labelled).await?, won_by(&namespace, "c-selector"));
    assert_eq!(effect(shared, &namespace, &simple("nginx")).await?, won_by(&namespace, "a-none"));
    Ok(())
}

async fn two_wildcards_of_different_kinds_both_apply(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    let mut expected = json!({});
    for kind in [KIND, "AppArmorProfile"] {
        let binding = binding(&kind.to_lowercase(), kind, name, "*", &json!({}));
        create(&namespace, &[profile(kind, name), binding]).await?;
        let (key, value) = field(kind, name);
        expected[key] = value;
    }
    shared.settled(&namespace).await?;
    assert_eq!(
        effect(shared, &namespace, &simple("anything.example/at/all:1")).await?,
        json!({ "/spec/containers/0/securityContext": expected })
    );
    Ok(())
}

/// Two containers whose user chose the runtime's own profile.
fn chosen() -> Value {
    let context = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let container = |name: &str, image: &str| json!({ "name": name, "image": image, "securityContext": context });
    pod(&json!({}), &json!({ "containers": [container("a", "nginx"), container("b", "busybox")] }))
}

async fn a_wildcard_keeps_what_the_user_chose_and_an_image_does_not(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    bind(&namespace, "all", "*", &json!({})).await?;
    bind(&namespace, "image", "nginx", &json!({})).await?;
    shared.settled(&namespace).await?;
    let profile = format!("operator/{}.json", profile_of(&namespace, "image"));
    let context = "/spec/containers/0/securityContext/seccompProfile";
    assert_eq!(
        effect(shared, &namespace, &chosen()).await?,
        json!({ format!("{context}/type"): "Localhost", format!("{context}/localhostProfile"): profile })
    );
    Ok(())
}

async fn override_can_be_said(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    bind(&namespace, "all", "*", &json!({ "override": "Always" })).await?;
    bind(&namespace, "image", "nginx", &json!({ "override": "IfUnset" })).await?;
    shared.settled(&namespace).await?;
    let profile = format!("operator/{}.json", profile_of(&namespace, "all"));
    let context = "/spec/containers/1/securityContext/seccompProfile";
    assert_eq!(
        effect(shared, &namespace, &chosen()).await?,
        json!({ format!("{context}/type"): "Localhost", format!("{context}/localhostProfile"): profile })
    );
    Ok(())
}
