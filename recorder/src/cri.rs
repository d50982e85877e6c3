//! Asks a container runtime which containers it knows, those that have ended included, over its socket (containerd,
//! CRI-O): the names that Kubernetes gave them.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

use http::uri::PathAndQuery;
use tonic::{
    Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

pub use find::{FindError, find};

mod find;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer: a node has some hundred containers.
const ANSWER: usize = 16 << 20;

/// `SANDBOX_READY` and `CONTAINER_EXITED` of `runtime.v1`.
const READY: i32 = 0;
const EXITED: i32 = 2;

/// Labels that the kubelet gives every container.
const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER: &str = "io.kubernetes.container.name";

/// A runtime.
#[derive(Clone, Debug)]
pub struct Cri {
    channel: Channel,
}

/// A container as its runtime knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub id: String,
    pub pod_uid: String,
    /// None for the sandbox of a pod.
    pub container: Option<String>,
}

/// A pod as its runtime knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Whether its sandbox is there.
    pub ready: bool,
    pub containers: Vec<PodContainer>,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodContainer {
    pub id: String,
    pub name: String,
    pub ended: bool,
}

/// Why a runtime tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    #[error("{0} is no path of a socket")]
    Socket(String, #[source] tonic::transport::Error),
    #[error("the container runtime cannot be reached")]
    Reach(#[from] tonic::transport::Error),
    #[error("the container runtime has no answer to {0}")]
    Answer(&'static str, #[source] Box<Status>),
}

/// `ListContainersRequest` and `ListPodSandboxRequest` of `runtime.v1`, without a filter.
#[derive(Clone, PartialEq, prost::Message)]
struct List {}

/// `ListContainersResponse`, as far as it matters here; so are the others.
#[derive(Clone, PartialEq, prost::Message)]
struct Containers {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Container>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Container {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    sandbox: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<ContainerMetadata>,
    /// `ContainerState`.
    #[prost(int32, tag = "6")]
    state: i32,
    #[prost(map = "string, string", tag = "8")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContainerMetadata {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sandboxes {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Sandbox>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sandbox {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    metadata: Option<SandboxMetadata>,
    /// `PodSandboxState`.
    #[prost(int32, tag = "3")]
    state: i32,
    #[prost(map = "string, string", tag = "5")]
    labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

impl Cri {
    /// The runtime behind a socket, which need not be there yet. Needs a runtime of tokio's.
    pub fn new(socket: &Path) -> Result<Self, CriError> {
        let address = format!("unix://{}", socket.display());
        let endpoint = Endpoint::try_from(address.clone());
        let endpoint = endpoint.map_err(|error| CriError::Socket(address, error))?;
        Ok(Self { channel: endpoint.timeout(PATIENCE).connect_timeout(PATIENCE).connect_lazy() })
    }

    /// All sandboxes and containers of pods.
    pub async fn names(&self) -> Result<Vec<Named>, CriError> {
        let sandboxes: Sandboxes =
            self.ask("ListPodSandbox", "/runtime.v1.RuntimeService/ListPodSandbox").await?;
        let containers: Containers =
            self.ask("ListContainers", "/runtime.v1.RuntimeService/ListContainers").await?;
        let sandboxes = sandboxes.items.into_iter().map(|sandbox| Named {
            id: sandbox.id,
            pod_uid: sandbox.metadata.unwrap_or_default().uid,
            container: None,
        });
        let containers = containers.containers.into_iter().filter_map(|mut container| {
            let pod_uid = container.labels.remove(POD_UID)?;
            let name = container.labels.remove(CONTAINER)?;
            Some(Named { id: container.id, pod_uid, container: Some(name) })
        });
        Ok(sandboxes.chain(containers).collect())
    }

    /// All pods, with their containers; sandboxes of one pod are one.
    pub async fn pods(&self) -> Result<Vec<Pod>, CriError> {
        let sandboxes: Sandboxes =
            self.ask("ListPodSandbox", "/runtime.v1.RuntimeService/ListPodSandbox").await?;
        // Asked for later, so that the pod of each is known.
        let containers: Containers =
            self.ask("ListContainers", "/runtime.v1.RuntimeService/ListContainers").await?;
        Ok(join(sandboxes, containers))
    }

    async fn ask<A>(&self, what: &'static str, path: &'static str) -> Result<A, CriError>
    where
        A: prost::Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(ANSWER);
        grpc.ready().await?;
        let codec = ProstCodec::<List, A>::default();
        let answer = grpc.unary(Request::new(List {}), PathAndQuery::from_static(path), codec);
        let answer = answer.await.map_err(|status| CriError::Answer(what, Box::new(status)))?;
        Ok(answer.into_inner())
    }
}

fn join(sandboxes: Sandboxes, containers: Containers) -> Vec<Pod> {
    let mut by_sandbox = HashMap::<String, Vec<PodContainer>>::new();
    for container in containers.containers {
        let name = container.metadata.unwrap_or_default().name;
        let named = PodContainer { id: container.id, name, ended: container.state == EXITED };
        by_sandbox.entry(container.sandbox).or_default().push(named);
    }
    let mut pods = BTreeMap::<String, Pod>::new();
    for sandbox in sandboxes.items {
        let metadata = sandbox.metadata.unwrap_or_default();
        let own = by_sandbox.remove(&sandbox.id).unwrap_or_default();
        let uid = if metadata.uid.is_empty() { sandbox.id } else { metadata.uid };
        let pod = pods.entry(uid.clone()).or_insert_with(|| Pod {
            uid,
            namespace: metadata.namespace,
            name: metadata.name,
            labels: sandbox.labels.into_iter().collect(),
            annotations: sandbox.annotations.into_iter().collect(),
            ..Pod::default()
        });
        pod.ready |= sandbox.state == READY;
        pod.containers.extend(own);
    }
    pods.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_whose_sandbox_was_made_anew_is_one_pod_and_is_there() {
        let sandbox = |id: &str, state| Sandbox {
            id: id.into(),
            metadata: Some(SandboxMetadata { uid: "u".into(), ..SandboxMetadata::default() }),
            state,
            ..Sandbox::default()
        };
        let container = |id: &str, sandbox: &str| Container {
            id: id.into(),
            sandbox: sandbox.into(),
            ..Container::default()
        };
        let sandboxes = Sandboxes { items: vec![sandbox("new", READY), sandbox("old", 1)] };
        let containers =
            Containers { containers: vec![container("1", "old"), container("2", "new")] };
        let pods = join(sandboxes, containers);
        let ids: Vec<_> = pods.iter().flat_map(|pod| &pod.containers).map(|of| &*of.id).collect();
        assert_eq!((pods.len(), pods.iter().all(|pod| pod.ready), ids), (1, true, vec!["2", "1"]));
    }

    #[tokio::test]
    async fn a_runtime_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let cri = Cri::new(&folder.path().join("none.sock")).unwrap();
        assert!(cri.names().await.is_err());
    }
}
