//! Is a pod refused that lacks what a binding says it must have, and only such a pod?

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    answer::Answer,
    namespace::{BINDING, Namespace, RECORDING, unique},
    until::until,
};

use super::{elements, helm, named};
use crate::{
    questions,
    shared::Shared,
    write::{KINDS, binding, context, create, pod, profile, recording, simple},
};

questions![
    a_pod_without_its_profile_is_refused_however_its_image_is_written,
    every_kind_and_every_sort_of_container_is_looked_at,
    a_binding_that_does_not_say_enough_by_itself_is_not_looked_at,
    what_the_webhook_leaves_is_not_refused,
    namespaces_that_are_not_switched_on_are_left_alone,
    a_pod_as_large_as_can_be_is_looked_at_to_the_end,
    where_it_shall_only_warn_the_pod_is_made_and_the_client_told,
];

const KIND: &str = "SeccompProfile";
const LIMIT: Duration = Duration::from_secs(30);
const IMAGE_OF_WAIT: &str = "registry.example.com/wait:1";

fn never_without() -> Value {
    json!({ "whenMissing": "Deny" })
}

/// Installs the policy for one namespace, and waits until it holds there.
async fn install(shared: &Shared, namespace: &Namespace, values: &Value) -> Result<()> {
    let name = format!("final-{}", unique());
    let objects = helm()?.template(values)?;
    let mut policy = named(&objects, "ValidatingAdmissionPolicy", "cinch-final-state")?.clone();
    policy["metadata"]["name"] = json!(name);
    let only = json!({ "key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace.name] });
    let all = &mut policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"];
    all.as_array_mut().context("no namespaceSelector")?.push(only);
    let mut bound =
        named(&objects, "ValidatingAdmissionPolicyBinding", "cinch-final-state")?.clone();
    bound["metadata"]["name"] = json!(name);
    bound["spec"]["policyName"] = json!(name);
    shared.cluster.create(&policy).await?;
    shared.cluster.create(&bound).await?;
    let wait = binding("wait", KIND, "none", IMAGE_OF_WAIT, &never_without());
    create(namespace, &[wait]).await?;
    settled(namespace).await
}

/// Waits until the policy knows all bindings that are there by now: it is told of them in turn.
async fn settled(namespace: &Namespace) -> Result<()> {
    let name = format!("settled-{}", unique());
    let image = format!("registry.example.com/{name}:1");
    create(namespace, &[binding(&name, KIND, "none", &image, &never_without())]).await?;
    until("the policy knows all bindings", LIMIT, async || {
        let answer = namespace.dry_run(&simple(&image)).await?;
        Ok((!answer.status.is_success() || !answer.warnings.is_empty()).then_some(()))
    })
    .await
}

/// A namespace in which no webhook is asked, as when none answers and none must.
async fn alone(shared: &Shared) -> Result<Namespace> {
    let namespace = shared.own(&[(BINDING, "true")]).await?;
    install(shared, &namespace, &json!({})).await?;
    Ok(namespace)
}

fn why(answer: Answer) -> Result<String> {
    let why = answer.refused()?;
    anyhow::ensure!(why.contains("says whenMissing: Deny"), "{why}");
    Ok(why)
}

async fn a_pod_without_its_profile_is_refused_however_its_image_is_written(
    shared: &Shared,
) -> Result<()> {
    let namespace = alone(shared).await?;
    let digest = format!("@sha256:{}", "a".repeat(64));
    for (bound, same, others) in [
        (
            "nginx",
            &[
                "nginx",
                "nginx:latest",
                "docker.io/nginx",
                "index.docker.io/library/nginx:latest",
                "library/nginx",
            ][..],
            &[
                "nginx:1",
                "other/nginx",
                "ghcr.io/library/nginx",
                "nginx2",
                &format!("nginx{digest}"),
            ][..],
        ),
        (
            "docker.io/library/redis:7",
            &["redis:7", "library/redis:7", "docker.io/redis:7", &format!("redis:7{digest}")],
            &["redis", "redis:7.1", "localhost/redis:7", "library/other/redis:7"],
        ),
        (
            "acme/web:2",
            &["acme/web:2", "docker.io/acme/web:2", "index.docker.io/acme/web:2"],
            &["web:2", "acme/web", "library/acme/web:2"],
        ),
        (
            "registry.example.com:5000/web",
            &["registry.example.com:5000/web", "registry.example.com:5000/web:latest"],
            &["registry.example.com/web", "web", "docker.io/web"],
        ),
        ("localhost/web:1", &["localhost/web:1"], &["docker.io/localhost/web:1", "web:1"]),
    ] {
        let name = format!("b{}", unique());
        create(&namespace, &[binding(&name, KIND, "p", bound, &never_without())]).await?;
        settled(&namespace).await?;
        for image in same {
            let why = why(namespace.dry_run(&simple(image)).await?).context(image.to_string())?;
            let text = format!("ProfileBinding {name} binds {bound} to SeccompProfile p");
            assert!(
                why.contains(&text) && why.contains("no such profile in main"),
                "{image}: {why}"
            );
        }
        for image in others {
            namespace.dry_run(&simple(image)).await?.granted().context(image.to_string())?;
        }
    }
    Ok(())
}

async fn every_kind_and_every_sort_of_container_is_looked_at(shared: &Shared) -> Result<()> {
    for kind in KINDS {
        let namespace = alone(shared).await?;
        create(&namespace, &[binding("b", kind, "p", "web", &never_without())]).await?;
        settled(&namespace).await?;
        let bound = context(kind, "p");
        let plain = json!({ "name": "plain", "image": "web" });
        let other = json!({ "name": "other", "image": "other" });
        let with = json!({ "name": "with", "image": "web", "securityContext": bound });
        let as_pod = |spec: Value| pod(&json!({}), &spec);
        for (spec, lacking) in [
            (json!({ "containers": [with, other] }), None),
            (json!({ "containers": [with, plain] }), Some("plain")),
            (json!({ "containers": [other], "initContainers": [with, plain] }), Some("plain")),
            (
                json!({ "containers": [plain], "initContainers": [{ "name": "first", "image": "web:latest" }] }),
                Some("first, plain"),
            ),
        ] {
            let answer = namespace.dry_run(&as_pod(spec.clone())).await?;
            match lacking {
                None => drop(answer.granted()?),
                Some(names) => {
                    let why = why(answer)?;
                    assert!(
                        why.contains(&format!("no such profile in {names}: ")),
                        "{spec}: {why}"
                    );
                }
            }
        }
        // Default profiles are none of ours.
        let weaker = match kind {
            "SeccompProfile" => json!({ "seccompProfile": { "type": "RuntimeDefault" } }),
            "AppArmorProfile" => json!({ "appArmorProfile": { "type": "RuntimeDefault" } }),
            _ => json!({ "seLinuxOptions": { "type": "container_t" } }),
        };
        let container = json!({ "name": "main", "image": "web", "securityContext": weaker });
        why(namespace.dry_run(&as_pod(json!({ "containers": [container] }))).await?)?;

        let there = as_pod(json!({ "containers": [other] }));
        namespace.create_object(&there).await?.granted()?;
        why(namespace.debug("pod", &json!([plain])).await?)?;
        namespace.debug("pod", &json!([with])).await?.granted()?;
    }
    Ok(())
}

async fn a_binding_that_does_not_say_enough_by_itself_is_not_looked_at(
    shared: &Shared,
) -> Result<()> {
    let namespace = alone(shared).await?;
    let labelled = |value: &str| {
        let mut labelled = simple("labelled");
        labelled["metadata"]["labels"] = json!({ "app": value });
        labelled
    };
    for (image, more) in [
        ("admit", json!({ "whenMissing": "Admit" })),
        ("glob:*", json!({})),
        ("*", json!({})),
        ("named", json!({ "containers": ["other"] })),
        (
            "expressions",
            json!({ "podSelector": { "matchExpressions": [{ "key": "app", "operator": "Exists" }] } }),
        ),
        ("labelled", json!({ "podSelector": { "matchLabels": { "app": "web" } } })),
    ] {
        let mut all = never_without();
        for (key, value) in more.as_object().context("an object")? {
            all[key] = value.clone();
        }
        create(&namespace, &[binding(&format!("b{}", unique()), KIND, "p", image, &all)]).await?;
    }
    settled(&namespace).await?;
    for image in ["admit", "glob:1", "named", "expressions", "labelled", "anything"] {
        namespace.dry_run(&simple(image)).await?.granted().context(image)?;
    }
    namespace.dry_run(&labelled("other")).await?.granted()?;
    why(namespace.dry_run(&labelled("web")).await?).map(drop)
}

async fn what_the_webhook_leaves_is_not_refused(shared: &Shared) -> Result<()> {
    shared.webhooks().await?;
    let namespace = shared.namespace(&[(BINDING, "true"), (RECORDING, "true")]).await?;
    install(shared, &namespace, &json!({})).await?;
    let name = &namespace.name;
    for kind in KINDS {
        let (profile_name, suffix) = (format!("{name}-{}", unique()), kind.to_lowercase());
        create(&namespace, &[profile(kind, &profile_name)]).await?;
        for (image, profile_name, more) in [
            ("bound", profile_name.as_str(), json!({ "whenMissing": "Deny" })),
            ("kept", &profile_name, json!({ "whenMissing": "Deny", "override": "IfUnset" })),
            ("missing", "missing", json!({})),
        ] {
            let binding_name = format!("{image}-{suffix}");
            let image = format!("{suffix}/{image}");
            create(&namespace, &[binding(&binding_name, kind, profile_name, &image, &more)])
                .await?;
        }
    }
    let logs =
        |kind: &str| recording(&format!("r-{}", kind.to_lowercase()), kind, "Logs", &json!({}));
    create(&namespace, &[logs("SeccompProfile"), logs("SelinuxProfile"), logs("AppArmorProfile")])
        .await?;
    shared.settled(&namespace).await?;
    settled(&namespace).await?;
    let own = json!({
        "seccompProfile": { "type": "RuntimeDefault" },
        "appArmorProfile": { "type": "RuntimeDefault" },
        "seLinuxOptions": { "type": "container_t" },
    });
    for kind in KINDS {
        let suffix = kind.to_lowercase();
        let image = |what: &str| format!("{suffix}/{what}");
        let container = |image: &str, context: &Value| json!({ "name": "main", "image": image, "securityContext": context });
        let of = |container: Value| json!({ "containers": [container] });
        let recorded = json!({ "labels": { "app": format!("r-{}", if kind == "RawSelinuxProfile" { "selinuxprofile" } else { &suffix }) } });
        let mut in_pod = of(json!({ "name": "main", "image": image("kept") }));
        in_pod["securityContext"] = own.clone();
        let mut windows = of(json!({ "name": "main", "image": image("bound") }));
        windows["os"] = json!({ "name": "windows" });
        for (what, metadata, spec) in [
            ("bound", json!({}), of(container(&image("bound"), &json!({})))),
            ("replaced", json!({}), of(container(&image("bound"), &own))),
            ("kept", json!({}), of(container(&image("kept"), &own))),
            ("kept, of the pod", json!({}), in_pod),
            (
                "privileged",
                json!({}),
                of(container(&image("bound"), &json!({ "privileged": true }))),
            ),
            ("missing", json!({}), of(container(&image("missing"), &json!({})))),
            ("not bound", json!({}), of(container("other", &json!({})))),
            ("recorded", recorded, of(container(&image("bound"), &json!({})))),
            ("for Windows", json!({}), windows),
        ] {
            let answer = namespace.dry_run(&pod(&metadata, &spec)).await?;
            answer.granted().with_context(|| format!("{kind}: {what}"))?;
        }
    }
    Ok(())
}

async fn namespaces_that_are_not_switched_on_are_left_alone(shared: &Shared) -> Result<()> {
    let namespace = alone(shared).await?;
    let refused = simple(IMAGE_OF_WAIT);
    why(namespace.dry_run(&refused).await?)?;
    namespace.label(BINDING, Some("false")).await?;
    until("the label counts", LIMIT, async || {
        Ok(namespace.dry_run(&refused).await?.status.is_success().then_some(()))
    })
    .await?;
    // The names that the registration leaves out.
    let objects = helm()?.template(&json!({ "excludedNamespaces": ["one", "two"] }))?;
    let policy = named(&objects, "ValidatingAdmissionPolicy", "cinch-final-state")?;
    let registration = named(&objects, "MutatingWebhookConfiguration", "cinch")?;
    assert_eq!(
        elements(policy, "/spec/matchConstraints/namespaceSelector/matchExpressions"),
        elements(registration, "/webhooks/0/namespaceSelector/matchExpressions"),
    );
    Ok(())
}

async fn a_pod_as_large_as_can_be_is_looked_at_to_the_end(shared: &Shared) -> Result<()> {
    let namespace = alone(shared).await?;
    // As long as a name of an image may be.
    let image = format!("registry.example.com/{}:{}", "a".repeat(230), "b".repeat(128));
    let labels: Value =
        (0..64).map(|number| (format!("label-{number}"), json!("x".repeat(63)))).collect();
    let selector = json!({ "whenMissing": "Deny", "podSelector": { "matchLabels": labels } });
    create(&namespace, &[binding("b", KIND, "p", &image, &selector)]).await?;
    settled(&namespace).await?;
    let containers = |with: bool| -> Vec<Value> {
        let one = |number: usize| {
            let context = if with || number < 499 { context(KIND, "p") } else { json!({}) };
            json!({ "name": format!("container-{number}"), "image": image, "securityContext": context })
        };
        (0..500).map(one).collect()
    };
    let large =
        |with: bool| pod(&json!({ "labels": labels }), &json!({ "containers": containers(with) }));
    namespace.dry_run(&large(true)).await?.granted()?;
    let why = why(namespace.dry_run(&large(false)).await?)?;
    assert!(why.contains("no such profile in container-499: "), "{why}");
    Ok(())
}

async fn where_it_shall_only_warn_the_pod_is_made_and_the_client_told(
    shared: &Shared,
) -> Result<()> {
    let namespace = shared.own(&[(BINDING, "true")]).await?;
    install(shared, &namespace, &json!({ "finalState": { "action": "Warn" } })).await?;
    let answer = namespace.dry_run(&simple(IMAGE_OF_WAIT)).await?;
    let warnings = answer.warnings.join("\n");
    answer.granted()?;
    assert!(warnings.contains("ProfileBinding wait binds"), "{warnings}");
    Ok(())
}
