//! Whose is what was seen: containers and profiles, and the names of both.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::until::until;

use super::{LIMIT, allows, is_partial, profile, recording, stage, until_profile, workload::Pod};
use crate::{questions, shared::Shared, write};

questions![
    a_container_that_is_gone_before_its_status_came_is_recorded,
    a_container_that_was_started_again_is_recorded_each_time,
    a_profile_of_somebody_else_is_left_alone,
];

const KIND: &str = "SeccompProfile";

async fn a_container_that_is_gone_before_its_status_came_is_recorded(
    shared: &Shared,
) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let mut pod = Pod::new(&space, &node, &name, &["one", "two"], &json!({})).await?;
    recorder.watches("calls").await?;
    let (mut one, mut two) = (pod.start()?, pod.start()?);
    one.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    two.does("ln -s a /tmp/$$.l; rm /tmp/$$.l").await?;
    let ids = [one.id.clone(), two.id.clone()];
    one.end()?;
    two.end()?;
    pod.tell("one", &ids[0]).await?;
    pod.tell("two", &ids[1]).await?;
    pod.succeed().await?;
    let one = format!("{name}-one");
    let one = until_profile(cluster, KIND, &one, "is final", |it| !is_partial(it)).await?;
    let two = format!("{name}-two");
    let two = until_profile(cluster, KIND, &two, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&one, "mkdir") && !allows(&two, "mkdir"), "{one} {two}");
    ensure!(allows(&two, "unlinkat") && !allows(&one, "unlinkat"), "{one} {two}");
    Ok(())
}

async fn a_container_that_was_started_again_is_recorded_each_time(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    let mut first = pod.started().await?;
    first.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    first.end()?;
    let mut second = pod.started().await?;
    second.does("ln -s a /tmp/$$.l; rm /tmp/$$.l").await?;
    second.end()?;
    pod.delete().await?;
    let it = format!("{name}-main");
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "mkdir") && allows(&it, "unlinkat"), "{it}");
    Ok(())
}

async fn a_profile_of_somebody_else_is_left_alone(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let theirs = write::profile(KIND, &format!("{name}-main"));
    let before = cluster.create(&theirs).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    let mut container = pod.started().await?;
    container.does("true").await?;
    until("an Event tells of it", LIMIT, async || {
        let events = space.list("events.k8s.io/v1", "Event").await?;
        let told = |event: &&serde_json::Value| {
            event["reason"] == "NameTaken" && event["regarding"]["name"] == json!(name)
        };
        Ok(events.iter().any(|event| told(&event)).then_some(()))
    })
    .await?;
    container.end()?;
    pod.succeed().await?;
    let after = profile(cluster, KIND, &format!("{name}-main")).await?;
    ensure!(after.as_ref() == Some(&before), "{after:?}");
    Ok(())
}
