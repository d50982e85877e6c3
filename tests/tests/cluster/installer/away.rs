//! Does a node keep what it has while the API server is away, and catch up afterwards?

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{installer::Installer, node::Node, service::Service, until::until};

use super::{KIND, change, profile};
use crate::{questions, shared::Shared};

questions![a_node_keeps_its_profiles_while_the_api_server_is_away_for_a_minute];

/// How long it is away.
const AWAY: Duration = Duration::from_mins(1);
const LIMIT: Duration = Duration::from_mins(1);
/// The goal for the repair of a drift.
const REPAIR: Duration = Duration::from_secs(5);

/// Waits until somebody's change of a file is undone.
async fn repaired(installer: &Installer, name: &str) -> Result<()> {
    let path = installer.seccomp(name);
    let before = fs::read(&path)?;
    fs::write(&path, "{}")?;
    until("a file changed by hand is put right", REPAIR, async || {
        Ok((fs::read(&path)? == before).then_some(()))
    })
    .await?;
    fs::remove_file(&path)?;
    until("a file removed by hand is put back", REPAIR, async || {
        Ok(fs::read(&path).is_ok_and(|content| content == before).then_some(()))
    })
    .await
}

async fn a_node_keeps_its_profiles_while_the_api_server_is_away_for_a_minute(
    shared: &Shared,
) -> Result<()> {
    let cluster = &shared.cluster;
    let way = Service::start().await?;
    let server: SocketAddr = cluster.url().trim_start_matches("https://").parse()?;
    way.add_address(server);
    let node = Node::new(cluster).await?;
    let identity = node.identity().await?.at(&format!("https://{}", way.address));
    let kubeconfig = cluster.kubeconfig(&node.name, &identity)?;
    let mut installer = Installer::start(&cluster.new_folder()?, &node.name, &kubeconfig).await?;
    let [(kept, kept_object), (changed, changed_object), (gone, gone_object)] =
        [profile(), profile(), profile()];
    for object in [&kept_object, &changed_object, &gone_object] {
        cluster.create(object).await?;
    }
    for name in [&kept, &changed, &gone] {
        node.until_state(KIND, name, "Installed").await?;
    }

    let end = tokio::time::Instant::now() + AWAY;
    way.cut();
    until("the metric shows the age of what is known", LIMIT, async || {
        Ok(installer.gauge("watch_age_seconds").await?.filter(|age| *age >= 2.0))
    })
    .await?;
    let (status, detail) = installer.readyz().await?;
    ensure!(status == 200 && detail.contains("not heard of for"), "{status} {detail}");
    repaired(&installer, &kept).await?;

    // Meanwhile the cluster changes, and the daemon comes anew.
    let (new, new_object) = profile();
    cluster.create(&new_object).await?;
    change(cluster, &changed, &json!({ "defaultAction": "SCMP_ACT_ALLOW" })).await?;
    cluster.delete(&gone_object).await?;
    installer.kill()?;
    fs::remove_file(installer.seccomp(&kept))?;
    fs::write(installer.seccomp(&gone), "{}")?;
    installer.start_again().await?;
    let path = installer.seccomp(&gone);
    until("it goes on from its own copy", REPAIR, async || {
        let there = fs::read_to_string(&path)?.contains("SCMP_ACT_LOG");
        Ok((there && installer.seccomp(&kept).is_file()).then_some(()))
    })
    .await?;
    repaired(&installer, &kept).await?;
    // It does not know all objects, which may be others by now.
    let (status, detail) = installer.readyz().await?;
    ensure!(status == 503 && detail.contains("not all known yet"), "{status} {detail}");
    tokio::time::sleep_until(end).await;
    ensure!(installer.seccomp(&gone).is_file(), "nobody has said that it is gone");
    ensure!(!installer.seccomp(&new).exists(), "nobody can have told of it");

    way.add_address(server);
    node.until_state(KIND, &new, "Installed").await?;
    node.until_says(KIND, &changed, "generation 2", |said| said["observedGeneration"] == 2).await?;
    ensure!(fs::read_to_string(installer.seccomp(&changed))?.contains("SCMP_ACT_ALLOW"));
    node.until_silent(KIND, &gone).await?;
    ensure!(!path.exists(), "its object is gone");
    ensure!(installer.seccomp(&kept).is_file(), "its object is there");
    installer.ready().await?;
    until("the metric shows that the watches are back", LIMIT, async || {
        Ok(installer.gauge("watch_age_seconds").await?.filter(|age| *age == 0.0))
    })
    .await?;
    Ok(())
}
