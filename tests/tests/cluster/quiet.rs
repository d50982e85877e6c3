//! What does the webhook ask of the API server, and what when it cannot?

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{
    audit::{Moment, by},
    namespace::{BINDING, Namespace},
    registration::ONE_PATH,
    review::{BOTH, Review},
    service::Service,
    settled::settled,
    until::until,
    webhook::{Source, Webhook},
};

use crate::{
    questions,
    shared::{Shared, reader},
    write::{binding, context, create, profile, simple},
};

questions![
    no_api_call_is_made_while_reviews_are_answered,
    reviews_are_answered_from_memory_while_the_api_server_is_away,
];

const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";
const REVIEWS: usize = 200;
const LIMIT: Duration = Duration::from_mins(1);

async fn namespace(shared: &Shared) -> Result<Namespace> {
    let namespace = shared.own(&[(BINDING, "true")]).await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &json!({}))]).await?;
    Ok(namespace)
}

async fn no_api_call_is_made_while_reviews_are_answered(shared: &Shared) -> Result<()> {
    let user = "cinch-webhook-quiet";
    let identity = reader(&shared.cluster, user).await?;
    let kubeconfig = shared.cluster.kubeconfig(user, &identity)?;
    let namespace = namespace(shared).await?;
    let webhook =
        Webhook::start(&shared.cluster.new_folder()?, Source::Cluster(&kubeconfig)).await?;
    shared.register(&namespace, ONE_PATH, webhook.reviews, &webhook.ca()?, "Fail").await?;
    settled(&namespace, &[&webhook]).await?;

    let audit = shared.cluster.audit();
    ensure!(audit.since(Moment::BEGIN)?.iter().any(by(user)), "the log knows nothing of {user}");
    let from = audit.end()?;
    let bound = context(KIND, &namespace.name);
    for _ in 0..REVIEWS {
        let pod = namespace.dry_run(&simple(IMAGE)).await?.granted()?;
        assert_eq!(pod.pointer("/spec/containers/0/securityContext"), Some(&bound));
    }
    // One call of the same user, to see that all before it is in the log.
    identity.asker().await?.ask("GET", "/version", None).await?.granted()?;
    let is_last = |event: &Value| by(user)(event) && event["requestURI"] == "/version";
    audit.event(from, "the last call", is_last).await?;
    let calls: Vec<Value> = audit.since(from)?.into_iter().filter(by(user)).collect();
    let calls: Vec<&Value> = calls.iter().map(|event| &event["requestURI"]).collect();
    assert_eq!(calls, [&json!("/version")]);
    Ok(())
}

async fn reviews_are_answered_from_memory_while_the_api_server_is_away(
    shared: &Shared,
) -> Result<()> {
    let way = Service::start().await?;
    let server = shared.cluster.url().trim_start_matches("https://").parse()?;
    way.add_address(server);
    let user = "cinch-webhook-cut-off";
    let identity = reader(&shared.cluster, user).await?.at(&format!("https://{}", way.address));
    let kubeconfig = shared.cluster.kubeconfig(user, &identity)?;
    let namespace = namespace(shared).await?;
    let webhook =
        Webhook::start(&shared.cluster.new_folder()?, Source::Cluster(&kubeconfig)).await?;
    settled(&namespace, &[&webhook]).await?;

    way.cut();
    until("the metric shows the age of what is known", LIMIT, async || {
        Ok((webhook.gauge("watch_age_seconds").await? >= 2.0).then_some(()))
    })
    .await?;
    let bound = context(KIND, &namespace.name);
    let pod = simple(IMAGE);
    let review = Review::of(&namespace.name, &pod);
    let patched = webhook.review(BOTH, &review).await?.applied_to(&pod)?;
    assert_eq!(patched.pointer("/spec/containers/0/securityContext"), Some(&bound));
    let (status, detail) = webhook.readyz().await?;
    ensure!(status == 200, "not ready, although it answers: {status} {detail}");

    // What happened meanwhile is caught up with, and the watch goes on.
    let other = format!("{}-other", namespace.name);
    create(&namespace, &[profile(KIND, &other), binding("c", KIND, &other, "busybox", &json!({}))])
        .await?;
    way.add_address(server);
    settled(&namespace, &[&webhook]).await?;
    let pod = simple("busybox");
    let review = Review::of(&namespace.name, &pod);
    let patched = webhook.review(BOTH, &review).await?.applied_to(&pod)?;
    assert_eq!(patched.pointer("/spec/containers/0/securityContext"), Some(&context(KIND, &other)));
    until("the metric shows that the watch is back", LIMIT, async || {
        Ok((webhook.gauge("watch_age_seconds").await? < 2.0).then_some(()))
    })
    .await
}
