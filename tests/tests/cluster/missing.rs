//! What happens when the bound profile is not there?

use anyhow::Result;
use serde_json::{Value, json};
use tests::{answer::Answer, namespace::Namespace};

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, profile, simple, v1},
};

questions![
    a_missing_profile_is_told_to_the_client_and_the_pod_admitted,
    a_missing_profile_denies_the_pod_where_the_binding_says_so,
    a_profile_that_comes_later_is_bound_from_then_on,
    a_profile_that_is_not_installed_yet_is_bound_with_a_warning,
    an_installed_profile_is_bound_without_a_word,
    a_disabled_profile_counts_as_missing,
];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";

async fn with(shared: &Shared, more: &Value, objects: &[Value]) -> Result<Namespace> {
    let namespace = shared.bound().await?;
    create(&namespace, objects).await?;
    let name = &namespace.name;
    create(&namespace, &[binding("b", KIND, name, IMAGE, more)]).await?;
    shared.settled(&namespace).await?;
    Ok(namespace)
}

fn context_in(answer: Answer) -> Result<Value> {
    Ok(answer.granted()?["spec"]["containers"][0]["securityContext"].clone())
}

/// One warning, which names all of these.
fn assert_one_warning(answer: &Answer, words: &[&str]) {
    assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    let warning = &answer.warnings[0];
    assert!(words.iter().all(|word| warning.contains(word)), "{words:?} in {warning:?}");
}

async fn a_missing_profile_is_told_to_the_client_and_the_pod_admitted(
    shared: &Shared,
) -> Result<()> {
    let namespace = with(shared, &json!({}), &[]).await?;
    let answer = namespace.create_object(&simple(IMAGE)).await?;
    assert_one_warning(
        &answer,
        &["main", KIND, &namespace.name, "ProfileBinding b", "does not exist"],
    );
    assert_eq!(context_in(answer)?, Value::Null);
    Ok(())
}

async fn a_missing_profile_denies_the_pod_where_the_binding_says_so(shared: &Shared) -> Result<()> {
    let namespace = with(shared, &json!({ "whenMissing": "Deny" }), &[]).await?;
    let message = namespace.create_object(&simple(IMAGE)).await?.refused()?;
    for word in ["denied the request", "main", KIND, &namespace.name, "ProfileBinding b"] {
        assert!(message.contains(word), "{word} in {message}");
    }
    assert!(namespace.get("v1", "Pod", "pod").await?.is_none());
    // Only what the binding is for is denied.
    namespace.create_object(&simple("busybox")).await?.granted()?;
    Ok(())
}

async fn a_profile_that_comes_later_is_bound_from_then_on(shared: &Shared) -> Result<()> {
    let namespace = with(shared, &json!({ "whenMissing": "Deny" }), &[]).await?;
    let name = &namespace.name;
    namespace.dry_run(&simple(IMAGE)).await?.refused()?;
    create(&namespace, &[profile(KIND, name)]).await?;
    shared.settled(&namespace).await?;
    assert_eq!(context_in(namespace.dry_run(&simple(IMAGE)).await?)?, context(KIND, name));
    namespace.delete(&v1(), KIND, name).await?;
    shared.settled(&namespace).await?;
    namespace.dry_run(&simple(IMAGE)).await?.refused()?;
    Ok(())
}

async fn a_profile_that_is_not_installed_yet_is_bound_with_a_warning(
    shared: &Shared,
) -> Result<()> {
    let namespace = with(shared, &json!({}), &[]).await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name)]).await?;
    namespace.set_status(&v1(), KIND, name, &json!({ "status": "InProgress" })).await?;
    shared.settled(&namespace).await?;
    let answer = namespace.dry_run(&simple(IMAGE)).await?;
    assert_one_warning(&answer, &["main", KIND, name, "not"]);
    assert_eq!(context_in(answer)?, context(KIND, name));
    Ok(())
}

async fn an_installed_profile_is_bound_without_a_word(shared: &Shared) -> Result<()> {
    let namespace = with(shared, &json!({}), &[]).await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name)]).await?;
    namespace.set_status(&v1(), KIND, name, &json!({ "status": "Installed" })).await?;
    shared.settled(&namespace).await?;
    let answer = namespace.dry_run(&simple(IMAGE)).await?;
    assert_eq!(answer.warnings, Vec::<String>::new());
    assert_eq!(context_in(answer)?, context(KIND, name));
    Ok(())
}

async fn a_disabled_profile_counts_as_missing(shared: &Shared) -> Result<()> {
    let namespace = with(shared, &json!({}), &[]).await?;
    let name = &namespace.name;
    let mut disabled = profile(KIND, name);
    disabled["spec"]["state"] = json!("Disabled");
    create(&namespace, &[disabled]).await?;
    shared.settled(&namespace).await?;
    let answer = namespace.dry_run(&simple(IMAGE)).await?;
    assert_one_warning(&answer, &["main", KIND, name, "disabled"]);
    assert_eq!(context_in(answer)?, Value::Null);
    Ok(())
}
