//! What differs by where recordings come from: who tells of them, and where profiles go.

use std::{path::Path, sync::Arc};

use daemon::{
    client,
    contact::{Contact, Health},
    manifests::Manifests,
};
use futures::future::BoxFuture;
use recorder::cri::Cri;
use tokio::sync::{mpsc, watch};

use crate::{
    args::From,
    profiles::{Making, RECORDED_TYPE},
    source::{ToTracker, Told, WAITING, cluster, folder, runtime, target},
    tracker::Tracker,
    writer::{Cluster, Files, Writer},
};

/// The parts that differ.
pub(crate) struct Setup {
    pub(crate) health: Arc<dyn Health>,
    pub(crate) writer: Writer,
    /// Tells for ever what there is.
    pub(crate) source: BoxFuture<'static, ()>,
    pub(crate) told: mpsc::Receiver<Told>,
    /// For so many profiles it is run, and ends with them.
    pub(crate) profiles: Option<usize>,
}

/// All of them.
#[derive(Debug)]
struct All([Arc<dyn Health>; 2]);

impl Health for All {
    fn ages(&self) -> Vec<(&'static str, u64)> {
        self.0.iter().flat_map(|health| health.ages()).collect()
    }
}

impl Setup {
    /// Prepares what the flags ask for.
    pub(crate) async fn of(
        from: From,
        making: Making,
        cri: &Cri,
        stopping: watch::Receiver<bool>,
        tracker: &mut Tracker,
    ) -> anyhow::Result<Self> {
        let (to, told) = mpsc::channel(WAITING);
        match from {
            From::Cluster { node, kubeconfig } => {
                let contact = Arc::new(Contact::new(cluster::KINDS));
                let client = client::connect(kubeconfig, &contact).await?;
                let making = Making { selinux_type: Some(RECORDED_TYPE), ..making };
                let writer = Writer::Cluster(Box::new(Cluster::new(client.clone(), &node, making)));
                let follow = cluster::follow_all(client, Arc::clone(&contact), node, to);
                let source = Box::pin(follow);
                Ok(Self { health: contact, writer, source, told, profiles: None })
            }
            From::Folder { manifests, output } => {
                let making = Making { selinux_type: Some(RECORDED_TYPE), ..making };
                let files = Files::open(&output, making, true)?;
                tracker.pods_late();
                let (health, source) = of_folder(&manifests, files.clone(), cri, to);
                Ok(Self { health, writer: Writer::Files(files), source, told, profiles: None })
            }
            From::Targets { names, kinds, output } => {
                let writer = Writer::Files(Files::open(&output, making, false)?);
                let known = target::known(cri).await;
                let targets = names.iter().map(|name| target::Target::of(name, &known));
                let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
                for cgroup in targets.iter().filter_map(target::Target::cgroup) {
                    tracker.cgroup(cgroup.to_owned());
                }
                tracker.pods_late();
                let profiles = Some(targets.len() * kinds.len());
                let source = Box::pin(target::follow(targets, kinds, cri.clone(), stopping, to));
                let health = Arc::new(runtime::Answers::default());
                Ok(Self { health, writer, source, told, profiles })
            }
        }
    }
}

fn of_folder(
    manifests: &Path,
    files: Files,
    cri: &Cri,
    to: ToTracker,
) -> (Arc<dyn Health>, BoxFuture<'static, ()>) {
    let answers = Arc::new(runtime::Answers::default());
    let folder = Manifests::new(manifests.to_owned());
    let health = All([folder.health(), Arc::clone(&answers) as Arc<dyn Health>]);
    let (recording, is) = watch::channel(false);
    let recordings = folder::follow(folder, files, recording, to.clone());
    let pods = runtime::follow(cri.clone(), answers, is, to);
    let source = Box::pin(async {
        tokio::join!(recordings, pods);
    });
    (Arc::new(health), source)
}
