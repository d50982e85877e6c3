//! Does the client learn what it ought to know?

use anyhow::Result;
use serde_json::{Value, json};
use tests::{audit::by, namespace::Namespace};

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, profile, simple, v1},
};

questions![
    a_privileged_container_gets_all_but_seccomp_and_a_warning,
    a_value_that_is_overridden_is_told,
    a_legacy_annotation_becomes_the_field_with_a_warning,
    a_binding_comes_before_a_legacy_annotation,
    the_apparmor_beta_annotation_follows_the_binding,
    the_audit_log_tells_what_was_bound_and_why,
];

const IMAGE: &str = "nginx:1.19.1";

async fn bound(shared: &Shared, kinds: &[&str]) -> Result<Namespace> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    for kind in kinds {
        let binding = binding(&kind.to_lowercase(), kind, name, IMAGE, &json!({}));
        create(&namespace, &[profile(kind, name), binding]).await?;
        namespace.set_status(&v1(), kind, name, &json!({ "status": "Installed" })).await?;
    }
    shared.settled(&namespace).await?;
    Ok(namespace)
}

/// The warnings, and the pod.
async fn made(namespace: &Namespace, pod: &Value) -> Result<(Vec<String>, Value)> {
    let answer = namespace.dry_run(pod).await?;
    Ok((answer.warnings.clone(), answer.granted()?))
}

fn assert_told(warnings: &[String], words: &[&str]) {
    let told = warnings.iter().any(|warning| words.iter().all(|word| warning.contains(word)));
    assert!(told, "{words:?} in {warnings:?}");
}

async fn a_privileged_container_gets_all_but_seccomp_and_a_warning(shared: &Shared) -> Result<()> {
    let namespace = bound(shared, &["SeccompProfile", "AppArmorProfile"]).await?;
    let mut pod = simple(IMAGE);
    pod["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true });
    let (warnings, pod) = made(&namespace, &pod).await?;
    assert_told(&warnings, &["main", "privileged", "seccomp"]);
    let mut expected = context("AppArmorProfile", &namespace.name);
    expected["privileged"] = json!(true);
    assert_eq!(pod["spec"]["containers"][0]["securityContext"], expected);
    Ok(())
}

async fn a_value_that_is_overridden_is_told(shared: &Shared) -> Result<()> {
    let namespace = bound(shared, &["SeccompProfile"]).await?;
    let mut pod = simple(IMAGE);
    pod["spec"]["securityContext"] = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let (warnings, pod) = made(&namespace, &pod).await?;
    assert_told(&warnings, &["main", "RuntimeDefault", "ProfileBinding seccompprofile"]);
    assert_eq!(
        pod["spec"]["containers"][0]["securityContext"],
        context("SeccompProfile", &namespace.name)
    );
    assert_eq!(pod["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    Ok(())
}

async fn a_legacy_annotation_becomes_the_field_with_a_warning(shared: &Shared) -> Result<()> {
    let namespace = bound(shared, &[]).await?;
    let mut pod = simple(IMAGE);
    let of_pod = "seccomp.security.alpha.kubernetes.io/pod";
    let of_container = "container.seccomp.security.alpha.kubernetes.io/main";
    pod["metadata"]["annotations"] = json!({ of_pod: "runtime/default" });
    let (warnings, made_pod) = made(&namespace, &pod).await?;
    assert_told(&warnings, &[of_pod]);
    assert_eq!(
        made_pod["spec"]["securityContext"]["seccompProfile"],
        json!({ "type": "RuntimeDefault" })
    );

    pod["metadata"]["annotations"] = json!({ of_container: "localhost/my/profile.json" });
    let (warnings, made_pod) = made(&namespace, &pod).await?;
    assert_told(&warnings, &[of_container]);
    assert_eq!(
        made_pod["spec"]["containers"][0]["securityContext"]["seccompProfile"],
        json!({ "type": "Localhost", "localhostProfile": "my/profile.json" })
    );
    Ok(())
}

async fn a_binding_comes_before_a_legacy_annotation(shared: &Shared) -> Result<()> {
    let namespace = bound(shared, &["SeccompProfile"]).await?;
    let mut pod = simple(IMAGE);
    pod["metadata"]["annotations"] =
        json!({ "container.seccomp.security.alpha.kubernetes.io/main": "unconfined" });
    let (_, pod) = made(&namespace, &pod).await?;
    assert_eq!(
        pod["spec"]["containers"][0]["securityContext"],
        context("SeccompProfile", &namespace.name)
    );
    Ok(())
}

/// The API server refuses a pod whose annotation and field differ.
async fn the_apparmor_beta_annotation_follows_the_binding(shared: &Shared) -> Result<()> {
    let namespace = bound(shared, &["AppArmorProfile"]).await?;
    let key = "container.apparmor.security.beta.kubernetes.io/main";
    let mut pod = simple(IMAGE);
    pod["metadata"]["annotations"] = json!({ key: "runtime/default" });
    let (_, pod) = made(&namespace, &pod).await?;
    let name = &namespace.name;
    assert_eq!(pod["spec"]["containers"][0]["securityContext"], context("AppArmorProfile", name));
    assert_eq!(pod["metadata"]["annotations"][key], json!(format!("localhost/{name}")));
    Ok(())
}

async fn the_audit_log_tells_what_was_bound_and_why(shared: &Shared) -> Result<()> {
    let namespace = bound(shared, &["SeccompProfile"]).await?;
    let from = shared.cluster.audit().end()?;
    namespace.create_object(&simple(IMAGE)).await?.granted()?;
    let name = &namespace.name;
    let is_ours = |event: &Value| {
        by("admin")(event)
            && event.pointer("/objectRef/namespace") == Some(&json!(name))
            && event.pointer("/objectRef/resource") == Some(&json!("pods"))
    };
    let event = shared.cluster.audit().event(from, "the pod", is_ours).await?;
    let annotations = event["annotations"].as_object().into_iter().flatten();
    let told = annotations.filter(|(key, _)| key.starts_with("binding.security-profiles-operator"));
    let told: Vec<String> = told.map(|(key, value)| format!("{key}={value}")).collect();
    assert_told(&told, &["main", "SeccompProfile", name, "seccompprofile"]);
    Ok(())
}
