//! Does a pod that a controller makes get its profile?

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tests::until::until;

use crate::{
    questions,
    shared::{Shared, Skipped},
    write::{binding, context, create, pod, profile},
};

questions![the_pod_of_a_deployment_gets_its_profile, a_pod_without_a_name_gets_its_profile,];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "ghcr.io/acme/web:2";

async fn the_pod_of_a_deployment_gets_its_profile(shared: &Shared) -> Result<()> {
    if !shared.cluster.has_controller_manager() {
        return Err(Skipped("needs kube-controller-manager").into());
    }
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": IMAGE }] },
            },
        },
    });
    namespace.create_object(&deployment).await?.granted()?;
    let pods = until("the Deployment has its pods", Duration::from_secs(30), async || {
        let pods = namespace.list("v1", "Pod").await?;
        Ok((pods.len() == 2).then_some(pods))
    })
    .await?;
    for pod in pods {
        assert_eq!(pod.pointer("/metadata/ownerReferences/0/kind"), Some(&json!("ReplicaSet")));
        assert_eq!(
            pod.pointer("/spec/containers/0/securityContext"),
            Some(&context(KIND, name)),
            "{pod}"
        );
    }
    Ok(())
}

async fn a_pod_without_a_name_gets_its_profile(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let unnamed = pod(
        &json!({ "generateName": "web-" }),
        &json!({ "containers": [{ "name": "web", "image": IMAGE }] }),
    );
    let made = namespace.create_object(&unnamed).await?.granted()?;
    assert_eq!(made.pointer("/spec/containers/0/securityContext"), Some(&context(KIND, name)));
    Ok(())
}
