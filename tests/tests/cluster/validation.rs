//! Does the API server tell users in their own words what is wrong with an object?

use anyhow::Result;
use serde_json::{Value, json};
use tests::namespace::Namespace;

use crate::{
    questions,
    shared::Shared,
    write::{binding, profile, recording},
};

questions![
    an_image_that_is_none_is_refused,
    a_glob_in_a_digest_is_refused,
    contradictory_arguments_of_a_system_call_are_refused,
    a_duration_that_is_none_is_refused,
    a_selector_that_means_nothing_is_refused,
    unknown_words_are_refused_with_those_that_are_known,
    good_objects_are_not_refused,
];

const KIND: &str = "SeccompProfile";

/// The object is refused, and the message has all these words and none that only programmers know.
async fn assert_refused(namespace: &Namespace, object: &Value, words: &[&str]) -> Result<()> {
    let message = namespace.dry_run(object).await?.refused()?;
    for word in words {
        assert!(message.contains(word), "{word:?} in {message:?}");
    }
    // How a rule or a pattern without a message of its own is reported.
    for raw in ["failed rule", "should match '", "no such key", "self."] {
        assert!(!message.contains(raw), "{raw:?} in {message:?}");
    }
    Ok(())
}

async fn an_image_that_is_none_is_refused(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    for image in [
        "",
        "Nginx",
        "nginx:",
        "nginx:a b",
        "nginx@sha256:123",
        "https://example.com/nginx",
        "a//b",
    ] {
        let object = binding("b", KIND, "p", image, &json!({}));
        assert_refused(&namespace, &object, &["spec.image"]).await?;
    }
    Ok(())
}

async fn a_glob_in_a_digest_is_refused(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    let object = binding("b", KIND, "p", "nginx@sha256:*", &json!({}));
    assert_refused(&namespace, &object, &["spec.image", "digest"]).await
}

async fn contradictory_arguments_of_a_system_call_are_refused(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    let mut object = profile(KIND, "p");
    let equal = |value: u32| json!({ "index": 0, "op": "SCMP_CMP_EQ", "value": value });
    object["spec"]["syscalls"] = json!([{
        "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [equal(0), equal(8)],
    }]);
    assert_refused(&namespace, &object, &["spec.syscalls[0]", "arg"]).await
}

async fn a_duration_that_is_none_is_refused(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    for stop_after in ["", "soon", "10", "10 minutes", "-5m"] {
        let object = recording("r", KIND, "Bpf", &json!({ "stopAfter": stop_after }));
        assert_refused(&namespace, &object, &["spec.stopAfter"]).await?;
    }
    Ok(())
}

async fn a_selector_that_means_nothing_is_refused(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    let selector = json!({ "matchExpressions": [{ "key": "app", "operator": "In" }] });
    let object = binding("b", KIND, "p", "nginx", &json!({ "podSelector": selector }));
    let place = "spec.podSelector.matchExpressions[0]";
    assert_refused(&namespace, &object, &[place, "In", "values"]).await?;
    let object = recording("r", KIND, "Bpf", &json!({ "podSelector": selector }));
    assert_refused(&namespace, &object, &[place, "In", "values"]).await
}

async fn unknown_words_are_refused_with_those_that_are_known(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    let object = binding("b", "SecompProfile", "p", "nginx", &json!({}));
    assert_refused(&namespace, &object, &["spec.profileRef.kind", "SeccompProfile"]).await?;
    let object = recording("r", KIND, "ebpf", &json!({}));
    assert_refused(&namespace, &object, &["spec.recorder", "Bpf", "Logs"]).await?;
    let mut object = profile(KIND, "p");
    object["spec"]["defaultAction"] = json!("ALLOW");
    assert_refused(&namespace, &object, &["spec.defaultAction", "SCMP_ACT_ALLOW"]).await
}

async fn good_objects_are_not_refused(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    let digest = "a".repeat(64);
    for image in [
        "*",
        "nginx",
        "nginx:1.19.1",
        "nginx:1.*",
        "*/nginx",
        "ghcr.io/acme/*",
        "localhost:5000/team/app:v1_2-3",
        &format!("nginx@sha256:{digest}"),
        &format!("registry.example.com:443/a/b/c:1@sha256:{digest}"),
    ] {
        namespace.dry_run(&binding("b", KIND, "p", image, &json!({}))).await?.granted()?;
    }
    for stop_after in ["30s", "10m", "1h30m"] {
        let object = recording("r", KIND, "Logs", &json!({ "stopAfter": stop_after }));
        namespace.dry_run(&object).await?.granted()?;
    }
    let mut object = profile(KIND, "p");
    object["spec"]["syscalls"] = json!([{
        "names": ["socket"],
        "action": "SCMP_ACT_ALLOW",
        "args": [
            { "index": 0, "op": "SCMP_CMP_NE", "value": 1 },
            { "index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 15, "valueTwo": 3 },
        ],
    }]);
    namespace.dry_run(&object).await?.granted()?;
    Ok(())
}
