//! Does a dry run leave no trace?

use anyhow::Result;
use serde_json::{Value, json};
use tests::namespace::Namespace;

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, profile, recording, simple, v1},
};

questions![a_dry_run_shows_the_patch_and_leaves_no_trace];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";

async fn state(namespace: &Namespace) -> Result<Vec<Value>> {
    let mut all = namespace.list("v1", "Pod").await?;
    for kind in ["ProfileBinding", "ProfileRecording"] {
        all.extend(namespace.list(&v1(), kind).await?);
    }
    all.extend(namespace.get(&v1(), KIND, &namespace.name).await?);
    Ok(all)
}

async fn a_dry_run_shows_the_patch_and_leaves_no_trace(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    create(
        &namespace,
        &[
            profile(KIND, name),
            binding("b", KIND, name, IMAGE, &json!({})),
            recording("r", KIND, "Bpf", &json!({})),
        ],
    )
    .await?;
    shared.settled(&namespace).await?;
    let before = state(&namespace).await?;
    let pod = namespace.dry_run(&simple(IMAGE)).await?.granted()?;
    assert_eq!(pod.pointer("/spec/containers/0/securityContext"), Some(&context(KIND, name)));
    // Objects carry their resourceVersion: any write would show.
    assert_eq!(state(&namespace).await?, before);
    assert!(namespace.get("v1", "Pod", "pod").await?.is_none());
    Ok(())
}
