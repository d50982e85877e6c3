//! Are all containers of a pod bound, of whatever sort?

use anyhow::Result;
use serde_json::{Value, json};
use tests::namespace::Namespace;

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, effect, pod, profile, simple, v1},
};

questions![
    init_sidecar_and_regular_containers_are_bound,
    a_binding_for_some_containers_leaves_the_others_alone,
    an_ephemeral_container_is_bound_and_no_other_is_touched,
];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "docker.io/library/busybox:1.36";

async fn everything_bound(shared: &Shared, more: &Value) -> Result<Namespace> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, more)]).await?;
    shared.settled(&namespace).await?;
    Ok(namespace)
}

fn many() -> Value {
    pod(
        &json!({}),
        &json!({
            "initContainers": [
                { "name": "prepare", "image": "busybox:1.36" },
                { "name": "proxy", "image": "busybox:1.36", "restartPolicy": "Always" },
            ],
            "containers": [
                { "name": "other", "image": "alpine" },
                { "name": "main", "image": "busybox:1.36" },
            ],
        }),
    )
}

async fn init_sidecar_and_regular_containers_are_bound(shared: &Shared) -> Result<()> {
    let namespace = everything_bound(shared, &json!({})).await?;
    let bound = context(KIND, &namespace.name);
    assert_eq!(
        effect(shared, &namespace, &many()).await?,
        json!({
            "/spec/initContainers/0/securityContext": bound,
            "/spec/initContainers/1/securityContext": bound,
            "/spec/containers/1/securityContext": bound,
        })
    );
    Ok(())
}

async fn a_binding_for_some_containers_leaves_the_others_alone(shared: &Shared) -> Result<()> {
    let namespace = everything_bound(shared, &json!({ "containers": ["pr*y"] })).await?;
    let bound = context(KIND, &namespace.name);
    assert_eq!(
        effect(shared, &namespace, &many()).await?,
        json!({ "/spec/initContainers/1/securityContext": bound })
    );
    Ok(())
}

async fn an_ephemeral_container_is_bound_and_no_other_is_touched(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    // Made before there is a binding, so that a second look at it would find something to bind.
    let before = namespace.create_object(&simple("busybox:1.36")).await?.granted()?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    let debug = json!([{ "name": "debug", "image": "busybox:1.36" }]);
    let after = namespace.debug("pod", &debug).await?.granted()?;
    assert_eq!(after.pointer("/spec/containers"), before.pointer("/spec/containers"));
    assert_eq!(
        after.pointer("/spec/ephemeralContainers/0/securityContext"),
        Some(&context(KIND, name))
    );

    // A second one comes as a list of both, of which the first cannot be changed any more, not even
    // when the binding is for another profile by now.
    let other = format!("{name}-other");
    create(&namespace, &[profile(KIND, &other)]).await?;
    let rebound = json!({ "spec": { "profileRef": { "name": other } } });
    namespace.patch(&v1(), "ProfileBinding", "b", &rebound).await?.granted()?;
    shared.settled(&namespace).await?;
    let debug = json!([
        after.pointer("/spec/ephemeralContainers/0"),
        { "name": "again", "image": "busybox:1.36" },
    ]);
    let again = namespace.debug("pod", &debug).await?.granted()?;
    for (at, profile) in [(0, name), (1, &other)] {
        let found = again.pointer(&format!("/spec/ephemeralContainers/{at}/securityContext"));
        assert_eq!(found, Some(&context(KIND, profile)));
    }
    Ok(())
}
