//! Does one mechanism hold up another?

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use daemon::{client, contact::Contact};
use node_installer::{
    lane::thread::Told,
    source::{
        Lanes,
        cluster::{self, Cluster},
    },
};
use profile::mechanism::Mechanism;
use tests::{namespace::unique, node::Node, until::until};
use tokio::{sync::mpsc, time::timeout};

use super::{KIND, profile};
use crate::{questions, shared::Shared, write};

questions![a_lane_that_is_busy_holds_up_no_other];

const LIMIT: Duration = Duration::from_secs(30);

async fn a_lane_that_is_busy_holds_up_no_other(shared: &Shared) -> Result<()> {
    let node = Node::new(&shared.cluster).await?;
    let contact = Arc::new(Contact::new(cluster::kinds(&Mechanism::ALL)));
    let client = client::connect(Some(node.kubeconfig().await?), &contact).await?;
    let (to_busy, _busy) = mpsc::channel(1);
    let (to_idle, mut idle) = mpsc::channel(1);
    let mut lanes = Lanes::default();
    lanes.insert(Mechanism::Selinux, to_busy.clone());
    lanes.insert(Mechanism::Seccomp, to_idle);
    let source = Cluster { client, contact, node: node.name.clone() };
    let following = tokio::spawn(source.follow(lanes));
    // More than there is room for, and nobody takes them: a commit of policy takes half a minute.
    for _ in 0..4 {
        let name = format!("busy-{}", unique());
        shared.cluster.create(&write::profile("SelinuxProfile", &name)).await?;
    }
    until("there is no more room", LIMIT, async || Ok((to_busy.capacity() == 0).then_some(())))
        .await?;
    let (name, object) = profile();
    shared.cluster.create(&object).await?;
    let told = async {
        while let Some(told) = idle.recv().await {
            if matches!(told, Told::Object(object) if *object.key.name == *name) {
                break;
            }
        }
    };
    timeout(LIMIT, told).await.with_context(|| format!("nobody tells of the {KIND} {name}"))?;
    following.abort();
    Ok(())
}
