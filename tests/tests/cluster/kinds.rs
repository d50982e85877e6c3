//! Does a pod get exactly the fields of each kind of profile?

use anyhow::Result;
use serde_json::json;

use crate::{
    questions,
    shared::Shared,
    write::{KINDS, binding, context, create, effect, field, profile, simple, v1},
};

questions![
    a_pod_gets_exactly_the_field_of_each_kind,
    three_kinds_reach_one_container_side_by_side,
    a_pod_that_no_binding_is_for_is_left_as_it_is,
    a_binding_that_changes_or_goes_is_followed,
];

const IMAGE: &str = "nginx:1.19.1";

async fn a_pod_gets_exactly_the_field_of_each_kind(shared: &Shared) -> Result<()> {
    for kind in KINDS {
        let namespace = shared.bound().await?;
        let name = &namespace.name;
        create(&namespace, &[profile(kind, name), binding("b", kind, name, IMAGE, &json!({}))])
            .await?;
        shared.settled(&namespace).await?;
        let expected = json!({ "/spec/containers/0/securityContext": context(kind, name) });
        assert_eq!(effect(shared, &namespace, &simple(IMAGE)).await?, expected, "{kind}");
    }
    Ok(())
}

async fn three_kinds_reach_one_container_side_by_side(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    let mut expected = json!({});
    for kind in ["SeccompProfile", "SelinuxProfile", "AppArmorProfile"] {
        let binding = binding(&kind.to_lowercase(), kind, name, IMAGE, &json!({}));
        create(&namespace, &[profile(kind, name), binding]).await?;
        let (key, value) = field(kind, name);
        expected[key] = value;
    }
    shared.settled(&namespace).await?;
    assert_eq!(
        effect(shared, &namespace, &simple(IMAGE)).await?,
        json!({ "/spec/containers/0/securityContext": expected })
    );
    Ok(())
}

async fn a_pod_that_no_binding_is_for_is_left_as_it_is(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let name = &namespace.name;
    let kind = "SeccompProfile";
    create(&namespace, &[profile(kind, name), binding("b", kind, name, IMAGE, &json!({}))]).await?;
    shared.settled(&namespace).await?;
    assert_eq!(effect(shared, &namespace, &simple("nginx:1.19.2")).await?, json!({}));
    Ok(())
}

async fn a_binding_that_changes_or_goes_is_followed(shared: &Shared) -> Result<()> {
    let namespace = shared.bound().await?;
    let (name, kind) = (&namespace.name, "SeccompProfile");
    create(&namespace, &[profile(kind, name), binding("b", kind, name, IMAGE, &json!({}))]).await?;
    let other = json!({ "spec": { "image": "busybox" } });
    namespace.patch(&v1(), "ProfileBinding", "b", &other).await?.granted()?;
    shared.settled(&namespace).await?;
    let bound = json!({ "/spec/containers/0/securityContext": context(kind, name) });
    assert_eq!(effect(shared, &namespace, &simple(IMAGE)).await?, json!({}));
    assert_eq!(effect(shared, &namespace, &simple("busybox")).await?, bound);

    namespace.delete(&v1(), "ProfileBinding", "b").await?;
    shared.settled(&namespace).await?;
    assert_eq!(effect(shared, &namespace, &simple("busybox")).await?, json!({}));
    Ok(())
}
