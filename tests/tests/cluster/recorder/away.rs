//! What becomes of what was seen while a part is not there.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{node::Node, service::Service};

use super::{
    allows,
    daemon::{Recorder, kubeconfig},
    is_partial, namespace, profile, recording, stage, until_profile,
    workload::Pod,
};
use crate::{questions, shared::Shared};

questions![nothing_is_lost_when_the_recorder_is_killed, it_goes_on_while_the_api_server_is_away,];

const KIND: &str = "SeccompProfile";

async fn nothing_is_lost_when_the_recorder_is_killed(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, mut recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let mut running =
        Pod::new(&space, &node, &name, &["main"], &json!({ "generateName": "a-" })).await?;
    let mut ended =
        Pod::new(&space, &node, &name, &["main"], &json!({ "generateName": "b-" })).await?;
    recorder.watches("calls").await?;
    let (mut one, mut two) = (running.started().await?, ended.started().await?);
    one.does("mkdir /tmp/$$").await?;
    two.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    let profile_of = |pod: &Pod<'_>| format!("{name}-main-{}", &pod.name[2..]);
    let (of_running, of_ended) = (profile_of(&running), profile_of(&ended));
    until_profile(cluster, KIND, &of_running, "is there", is_partial).await?;
    until_profile(cluster, KIND, &of_ended, "is there", is_partial).await?;
    recorder.kill()?;
    // One goes on, one comes to its end, one comes and goes.
    one.does("rmdir /tmp/$$").await?;
    two.does("ln -s a /tmp/$$.l; rm /tmp/$$.l").await?;
    two.end()?;
    ended.delete().await?;
    let mut new =
        Pod::new(&space, &node, &name, &["main"], &json!({ "generateName": "c-" })).await?;
    let mut three = new.started().await?;
    three.does("mkfifo /tmp/$$.f; rm /tmp/$$.f").await?;
    three.end()?;
    new.succeed().await?;
    recorder.start_again().await?;
    let it = until_profile(cluster, KIND, &of_ended, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "mkdir") && allows(&it, "unlinkat"), "{it}");
    let it = profile_of(&new);
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "mknodat"), "{it}");
    let it = until_profile(cluster, KIND, &of_running, "has all", |it| allows(it, "rmdir")).await?;
    ensure!(is_partial(&it), "{it}");
    one.end()?;
    running.succeed().await?;
    until_profile(cluster, KIND, &of_running, "is final", |it| !is_partial(it)).await?;
    Ok(())
}

async fn it_goes_on_while_the_api_server_is_away(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, space) = (Node::new(cluster).await?, namespace(shared).await?);
    let way = Service::start().await?;
    let server: SocketAddr = cluster.url().trim_start_matches("https://").parse()?;
    way.add_address(server);
    let at = format!("https://{}", way.address);
    let kubeconfig = kubeconfig(&node, Some(&at)).await?;
    let recorder = Recorder::start_with(cluster, &node.name, &kubeconfig, &[]).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    let mut container = pod.started().await?;
    container.does("true").await?;
    let it = format!("{name}-main");
    until_profile(cluster, KIND, &it, "is there", is_partial).await?;
    way.cut();
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    // One that it hears of only when it is over.
    let mut unheard = Pod::new(&space, &node, &name, &["side"], &json!({})).await?;
    let mut side = unheard.started().await?;
    side.does("ln -s a /tmp/$$.l; rm /tmp/$$.l").await?;
    side.end()?;
    unheard.succeed().await?;
    container.end()?;
    pod.delete().await?;
    let there = profile(cluster, KIND, &it).await?.unwrap_or_default();
    ensure!(!allows(&there, "mkdir"), "nobody can have told: {there}");
    way.add_address(server);
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "mkdir"), "{it}");
    let it = format!("{name}-side");
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "unlinkat"), "{it}");
    Ok(())
}
