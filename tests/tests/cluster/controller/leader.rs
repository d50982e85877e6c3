//! Does one of several controllers write, and the next one go on where it has ended?

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{audit::Moment, namespace::Namespace};

use super::{IMAGE, KIND, daemon::Controller, pod, profile, quiet_cluster, until_is, writes};
use crate::{questions, shared::Shared, write::binding};

questions![
    when_the_leader_is_killed_the_other_one_goes_on_and_nothing_is_written_twice,
    a_leader_that_stops_hands_over_at_once,
];

const STOP: Duration = Duration::from_secs(15);

fn counts(count: u32) -> impl Fn(&Value) -> bool {
    move |binding| binding["status"]["workloadCount"] == count
}

async fn when_the_leader_is_killed_the_other_one_goes_on_and_nothing_is_written_twice(
    _: &Shared,
) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let namespace = Namespace::new(cluster.asker(), &[]).await?;
    let (name, object) = profile();
    cluster.create(&object).await?;
    let bound = binding("b", KIND, &name, IMAGE, &json!({}));
    namespace.create_object(&bound).await?.granted()?;
    let mut one = Controller::start(&cluster, "one").await?;
    one.until_leads().await?;
    let two = Controller::start(&cluster, "two").await?;
    for (number, pod_name) in (1..).zip(["a", "b", "c"]) {
        namespace.create_object(&pod(pod_name, &name)).await?.granted()?;
        until_is(&cluster, &bound, &namespace.name, "it is counted", counts(number)).await?;
    }
    ensure!(one.leads().await? && !two.leads().await?);
    let before = cluster.audit().end()?;
    one.daemon.kill()?;
    namespace.create_object(&pod("d", &name)).await?.granted()?;
    until_is(&cluster, &bound, &namespace.name, "the other one counts it", counts(4)).await?;
    ensure!(two.leads().await?);
    let after = writes(cluster.audit(), before)?;
    ensure!(after.len() == 1, "more than was new: {after:#?}");

    // What was said before and after is said once: no two writes leave the same resource version's content.
    let mut said = BTreeMap::<String, u32>::new();
    for write in writes(cluster.audit(), Moment::BEGIN)? {
        *said.entry(write["objectRef"].to_string()).or_default() += 1;
    }
    let of_binding: u32 =
        said.iter().filter(|(object, _)| object.contains("profilebindings")).map(|(_, n)| n).sum();
    ensure!(
        (2..=5).contains(&of_binding),
        "none, one to three pods and the fourth: {of_binding} writes"
    );

    // A third one comes to what is there, and has nothing to say.
    let from = cluster.audit().end()?;
    let mut two = two;
    two.daemon.stop(STOP).await?;
    let three = Controller::start(&cluster, "three").await?;
    three.until_leads().await?;
    namespace.create_object(&pod("e", &name)).await?.granted()?;
    until_is(&cluster, &bound, &namespace.name, "it counts", counts(5)).await?;
    let written = writes(cluster.audit(), from)?;
    ensure!(written.len() == 1, "written although nothing had changed: {written:#?}");
    Ok(())
}

async fn a_leader_that_stops_hands_over_at_once(_: &Shared) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let mut one = Controller::start(&cluster, "one").await?;
    one.until_leads().await?;
    let two = Controller::start(&cluster, "two").await?;
    let start = std::time::Instant::now();
    one.daemon.stop(STOP).await?;
    two.until_leads().await?;
    let took = start.elapsed();
    ensure!(
        took < Duration::from_secs(12),
        "{took:?}: it waited until the Lease had ended by itself"
    );
    Ok(())
}
