//! Does a registration with a path for binding and one for recording work?

use anyhow::Result;
use serde_json::json;
use tests::{
    namespace::{BINDING, RECORDING},
    registration::TWO_PATHS,
    settled::settled,
    webhook::{Source, Webhook},
};

use crate::{
    questions,
    shared::Shared,
    write::{binding, create, effect, field, pod, profile, recording},
};

questions![two_paths_do_together_what_one_does];

const IMAGE: &str = "nginx:1.19.1";

async fn two_paths_do_together_what_one_does(shared: &Shared) -> Result<()> {
    let namespace = shared.own(&[(BINDING, "true"), (RECORDING, "true")]).await?;
    let name = &namespace.name;
    create(
        &namespace,
        &[
            profile("SeccompProfile", name),
            profile("AppArmorProfile", name),
            binding("a", "AppArmorProfile", name, IMAGE, &json!({})),
            binding("s", "SeccompProfile", name, IMAGE, &json!({})),
            recording("r", "SeccompProfile", "Logs", &json!({})),
        ],
    )
    .await?;
    let source = Source::Cluster(&shared.kubeconfig);
    let webhook = Webhook::start(&shared.cluster.new_folder()?, source).await?;
    shared.register(&namespace, TWO_PATHS, webhook.reviews, &webhook.ca()?, "Fail").await?;
    settled(&namespace, &[&webhook]).await?;
    let pod = pod(
        &json!({ "labels": { "app": "r" } }),
        &json!({ "containers": [{ "name": "main", "image": IMAGE }] }),
    );
    let effect = effect(shared, &namespace, &pod).await?;
    let (apparmor, value) = field("AppArmorProfile", name);
    // The path that binds leaves to the recording what is recorded.
    assert_eq!(
        effect["/spec/containers/0/securityContext"],
        json!({
            "seccompProfile": { "type": "Localhost", "localhostProfile": "operator/log-enricher-trace.json" },
            apparmor: value,
        })
    );
    let annotations = effect["/metadata/annotations"].as_object();
    let keys: Vec<&String> = annotations.into_iter().flatten().map(|(key, _)| key).collect();
    assert_eq!(keys, ["io.containers.trace-logs/main"]);
    Ok(())
}
