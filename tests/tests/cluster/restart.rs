//! What happens to pods while the webhook is gone, changes, or has lost the API server?

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{
    load::Load,
    namespace::{BINDING, Namespace},
    registration::ONE_PATH,
    service::Service,
    settled::settled,
    until::until,
    webhook::{Source, Webhook},
};

use crate::{
    questions,
    shared::Shared,
    write::{binding, context, create, pod, profile},
};

questions![
    a_killed_webhook_lets_no_pod_through_unbound,
    a_killed_webhook_with_policy_ignore_binds_again_as_soon_as_it_is_back,
    one_of_two_replicas_killed_is_noticed_and_left_out,
    a_rolling_change_of_two_replicas_loses_no_review,
];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";
const WORKERS: usize = 4;
const LIMIT: Duration = Duration::from_mins(1);

/// A namespace with a binding that only webhooks of the test's own look after.
async fn namespace(shared: &Shared) -> Result<Namespace> {
    let namespace = shared.own(&[(BINDING, "true")]).await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &json!({}))]).await?;
    Ok(namespace)
}

fn unnamed() -> Value {
    pod(
        &json!({ "generateName": "load-" }),
        &json!({ "containers": [{ "name": "main", "image": IMAGE }] }),
    )
}

fn check_bound(namespace: &Namespace, pod: &Value) -> Result<()> {
    let found = pod.pointer("/spec/containers/0/securityContext");
    let bound = found == Some(&context(KIND, &namespace.name));
    ensure!(bound, "{} has {found:?}", pod["metadata"]["name"]);
    Ok(())
}

/// Waits until that many more pods have been created.
async fn more(load: &Load, count: usize) -> Result<()> {
    let goal = load.granted() + count;
    until("the load goes on", LIMIT, async || Ok((load.granted() >= goal).then_some(()))).await
}

/// Every pod that exists is bound.
async fn assert_all_bound(namespace: &Namespace) -> Result<usize> {
    let pods = namespace.list("v1", "Pod").await?;
    for pod in &pods {
        check_bound(namespace, pod)?;
    }
    Ok(pods.len())
}

async fn a_killed_webhook_lets_no_pod_through_unbound(shared: &Shared) -> Result<()> {
    let namespace = namespace(shared).await?;
    let source = Source::Cluster(&shared.kubeconfig);
    let mut webhook = Webhook::start(&shared.cluster.new_folder()?, source).await?;
    shared.register(&namespace, ONE_PATH, webhook.reviews, &webhook.ca()?, "Fail").await?;
    settled(&namespace, &[&webhook]).await?;

    let load = Load::start(&namespace, &unnamed(), WORKERS);
    more(&load, 30).await?;
    for _ in 0..2 {
        webhook.kill()?;
        let refused = |load: &Load| load.answered() - load.granted();
        let goal = refused(&load) + 30;
        until("pods are refused", LIMIT, async || Ok((refused(&load) >= goal).then_some(())))
            .await?;
        webhook.start_again().await?;
        more(&load, 30).await?;
    }
    let answers = load.end().await?;
    let mut granted = 0;
    for answer in answers {
        if answer.status.is_success() {
            granted += 1;
            continue;
        }
        let message = answer.refused()?;
        ensure!(message.contains("failed calling webhook"), "{message}");
    }
    assert_eq!(assert_all_bound(&namespace).await?, granted);
    Ok(())
}

async fn a_killed_webhook_with_policy_ignore_binds_again_as_soon_as_it_is_back(
    shared: &Shared,
) -> Result<()> {
    let namespace = namespace(shared).await?;
    let source = Source::Cluster(&shared.kubeconfig);
    let mut webhook = Webhook::start(&shared.cluster.new_folder()?, source).await?;
    shared.register(&namespace, ONE_PATH, webhook.reviews, &webhook.ca()?, "Ignore").await?;
    settled(&namespace, &[&webhook]).await?;

    let load = Load::start(&namespace, &unnamed(), WORKERS);
    more(&load, 30).await?;
    webhook.kill()?;
    more(&load, 30).await?;
    webhook.start_again().await?;
    let back = namespace.create_object(&unnamed()).await?.granted()?;
    check_bound(&namespace, &back)?;
    for answer in load.end().await? {
        answer.granted()?;
    }
    Ok(())
}

/// Two replicas behind one address, the load that they are under, and the namespace of it all.
async fn two_replicas(shared: &Shared) -> Result<(Namespace, Service, [Webhook; 2])> {
    let namespace = namespace(shared).await?;
    let (folder, source) = (shared.cluster.new_folder()?, Source::Cluster(&shared.kubeconfig));
    let webhooks = [Webhook::start(&folder, source).await?, Webhook::start(&folder, source).await?];
    let service = Service::start().await?;
    for webhook in &webhooks {
        service.add(webhook).await?;
    }
    shared.register(&namespace, ONE_PATH, service.address, &webhooks[0].ca()?, "Fail").await?;
    settled(&namespace, &webhooks.each_ref()).await?;
    Ok((namespace, service, webhooks))
}

async fn one_of_two_replicas_killed_is_noticed_and_left_out(shared: &Shared) -> Result<()> {
    let (namespace, service, [mut first, _second]) = two_replicas(shared).await?;
    let load = Load::start(&namespace, &unnamed(), WORKERS);
    more(&load, 50).await?;
    first.kill()?;
    service.until_left_out(&first).await?;
    let answered = load.answered();
    more(&load, 100).await?;
    let answers = load.end().await?;
    // Those that were under way when the Service noticed, one for each worker, may still have failed.
    for answer in answers.into_iter().skip(answered + WORKERS) {
        answer.granted()?;
    }
    assert_all_bound(&namespace).await?;
    Ok(())
}

async fn a_rolling_change_of_two_replicas_loses_no_review(shared: &Shared) -> Result<()> {
    let (namespace, service, mut webhooks) = two_replicas(shared).await?;
    let source = Source::Cluster(&shared.kubeconfig);
    let load = Load::start(&namespace, &unnamed(), WORKERS);
    more(&load, 50).await?;
    for old in &mut webhooks {
        let new = Webhook::start(old.folder(), source).await?;
        service.add(&new).await?;
        // The Service sends to the old one until it sees that it is no longer ready.
        old.stop(LIMIT).await?;
        service.remove(old.reviews);
        *old = new;
        more(&load, 50).await?;
    }
    let answers = load.end().await?;
    let all = answers.len();
    for answer in answers {
        check_bound(&namespace, &answer.granted()?)?;
    }
    ensure!(all >= 150, "only {all} reviews");
    assert_eq!(assert_all_bound(&namespace).await?, all);
    Ok(())
}
