//! Many nodes in this process: lanes, watches and status as in the daemon, each with a folder, a Node and a token.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use daemon::{client, contact::Contact};
use node_installer::{
    backend::{Backend as _, seccomp::Seccomp},
    board::Board,
    lane::{self, Lane},
    layout::Layout,
    metrics::Metrics,
    source::{
        Lanes,
        cluster::{self, Cluster as Source},
    },
    status,
};
use profile::{
    kinds::{ProfileKind, node::NodeProfileState, selinux::Permitted},
    mechanism::Mechanism,
};
use serde_json::Value;
use tests::{cluster::Cluster, node::Node, until::until};
use tokio::{runtime::Handle, sync::mpsc, task::AbortHandle};

use crate::{
    one::is_status_write,
    profiles,
    report::{Cost, Fleet},
    watched::{Sent, Watched},
};

const LIMIT: Duration = Duration::from_mins(10);
/// Nothing is written for so long once all is said: nodes write once a second.
const QUIET: Duration = Duration::from_millis(2500);

/// One simulated node.
struct Member {
    board: Arc<Board>,
    tasks: [AbortHandle; 2],
}

impl Drop for Member {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Member {
    async fn start(node: &Node<'_>, root: &Path) -> Result<Self> {
        let contact = Arc::new(Contact::new(cluster::kinds(&Mechanism::ALL)));
        let client = client::connect(Some(node.kubeconfig().await?), &contact).await?;
        let layout = Layout::new(&root.join(&node.name), Path::new("/var/lib/kubelet"));
        let backend = Seccomp::new(&layout);
        let mechanism = backend.mechanism();
        let metrics = Arc::new(Metrics::default());
        let board = Arc::new(Board::new(&[mechanism], Arc::clone(&metrics)));
        let lane =
            Lane::open(Box::new(backend), &layout, Permitted::default(), Arc::clone(&metrics))?;
        let (to, told) = mpsc::channel(256);
        let mut lanes = Lanes::default();
        lanes.insert(mechanism, to);
        let (said, handle) = (Arc::clone(&board), Handle::current());
        std::thread::spawn(move || {
            let say = |reports, complete| said.say(mechanism, reports, complete);
            lane::thread::run(lane, told, &handle, &say);
        });
        let keep = status::keep(client.clone(), node.name.clone(), Arc::clone(&board), metrics);
        let source = Source { client, contact, node: node.name.clone() };
        let tasks =
            [tokio::spawn(keep).abort_handle(), tokio::spawn(source.follow(lanes)).abort_handle()];
        Ok(Self { board, tasks })
    }

    /// How many profiles are installed in these generations, numbered from the first.
    fn has(&self, generations: &[i64]) -> bool {
        let status = self.board.status();
        let installed = |number: usize, generation: i64| {
            let name = profiles::name(number);
            status.profiles.iter().any(|profile| {
                profile.kind == ProfileKind::SeccompProfile
                    && profile.name == name
                    && profile.state == NodeProfileState::Installed
                    && profile.observed_generation == Some(generation)
            })
        };
        self.board.is_complete()
            && generations
                .iter()
                .enumerate()
                .all(|(number, generation)| installed(number, *generation))
    }
}

/// Costs of a change of one profile, and of many at once, with so many profiles in the cluster.
pub(crate) async fn measure(
    cluster: &Cluster,
    nodes: usize,
    standing: usize,
    batch: usize,
) -> Result<Fleet> {
    let folder = tempfile::tempdir()?;
    // An object for one profile and node would be as large as that of a node with one profile.
    profiles::create(cluster, 0..1).await?;
    let mut watched = Watched::start(cluster, "nodesecurityprofiles").await?;
    let mut members = Vec::new();
    let first = Node::new(cluster).await?;
    members.push(Member::start(&first, folder.path()).await?);
    settle(cluster, &members, &[1], &watched).await?;
    let before = watched.sent();
    profiles::change(cluster, 0, 1).await?;
    settle(cluster, &members, &[2], &watched).await?;
    let single = watched.sent() - before;
    ensure!(single.events == 1, "{} events of one change", single.events);

    let start = Instant::now();
    for _ in 1..nodes {
        let node = Node::new(cluster).await?;
        members.push(Member::start(&node, folder.path()).await?);
    }
    profiles::create(cluster, 1..standing).await?;
    let mut generations = vec![1; standing];
    generations[0] = 2;
    settle(cluster, &members, &generations, &watched).await?;
    let started = start.elapsed();

    watched = Watched::start(cluster, "nodesecurityprofiles").await?;
    let sources = Watched::start(cluster, "seccompprofiles").await?;
    let mut costs = Vec::new();
    for changed in [1, batch.min(standing)] {
        let (said, told, from) = (watched.sent(), sources.sent(), cluster.audit().end()?);
        let start = Instant::now();
        for (number, generation) in generations.iter_mut().enumerate().take(changed) {
            *generation += 1;
            profiles::change(cluster, number, usize::try_from(*generation)?).await?;
        }
        until("all nodes have the change", LIMIT, async || {
            Ok(members.iter().all(|member| member.has(&generations)).then_some(()))
        })
        .await?;
        let installed = start.elapsed();
        settle(cluster, &members, &generations, &watched).await?;
        let events: Vec<Value> = cluster.audit().since(from)?;
        let writes = events.iter().filter(|event| is_status_write(event)).count();
        costs.push(Cost {
            changed,
            installed,
            writes,
            said: watched.sent() - said,
            told: sources.sent() - told,
        });
    }
    Ok(Fleet { nodes, standing, started, single: single.bytes, costs })
}

/// Waits until all nodes have what they should and have said so: nothing more is written.
async fn settle(
    cluster: &Cluster,
    members: &[Member],
    generations: &[i64],
    watched: &Watched,
) -> Result<()> {
    until("all nodes have all profiles", LIMIT, async || {
        Ok(members.iter().all(|member| member.has(generations)).then_some(()))
    })
    .await?;
    let (mut last, mut since) = (Sent::default(), Instant::now());
    until("nothing more is said", LIMIT, async || {
        let now = watched.sent();
        if now.events != last.events {
            (last, since) = (now, Instant::now());
        }
        Ok((since.elapsed() > QUIET && all_said(cluster, generations.len()).await?).then_some(()))
    })
    .await
    .context("nodes go on writing")
}

/// Whether every node says that it has so many profiles. A server that is busy is quiet as well.
async fn all_said(cluster: &Cluster, count: usize) -> Result<bool> {
    let at = "/apis/security-profiles-operator.x-k8s.io/v1/nodesecurityprofiles";
    let list = cluster.asker().ask("GET", at, None).await?.granted()?;
    let objects = list["items"].as_array().context("no list")?;
    Ok(objects.iter().all(|object| object["status"]["installed"] == count))
}
