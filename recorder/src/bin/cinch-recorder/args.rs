//! The command line, as typed and as meant.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use profile::kinds::RecordingKind;
use recorder::{base::Base, logs::Choice};

use crate::{entries::EntryFlags, logs::LogsFlags, source::target};

const ADMIN_PORT: u16 = 8085;
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Records what containers of a node do, and makes security profiles of it.
#[derive(Debug, Parser)]
#[command(name = "cinch-recorder", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Record what `ProfileRecordings` of a cluster or of a folder select, or containers that are named
    Run(Box<RunFlags>),
    /// Write audit records as lines of JSON, with whose they are; needs no cluster
    Logs(Box<LogsFlags>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaseFlag {
    Runc,
    Crun,
    None,
}

/// A kind of profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindFlag {
    Seccomp,
    Apparmor,
    Selinux,
}

const STATE: &str = "/var/lib/security-profiles-operator/recorder";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("local").args(["manifests", "container", "cgroup"]).multiple(true))]
pub(crate) struct RunFlags {
    /// Call this node by this name, which it has in the cluster
    #[arg(
        long,
        env = "CINCH_NODE_NAME",
        value_name = "NAME",
        required_unless_present = "local",
        conflicts_with = "local"
    )]
    node_name: Option<String>,
    /// Reach the cluster as this file says; without it, as the pod's service account or $KUBECONFIG says
    #[arg(long, env = "CINCH_KUBECONFIG", value_name = "FILE", conflicts_with = "local")]
    kubeconfig: Option<PathBuf>,
    /// Record what `ProfileRecordings` in this folder select; no cluster is needed
    #[arg(long, env = "CINCH_MANIFESTS", value_name = "DIR", requires = "output", conflicts_with_all = ["container", "cgroup"])]
    manifests: Option<PathBuf>,
    /// Record the container with this id, or whose id begins so, or that the runtime calls so, until it ends
    #[arg(long, value_name = "ID|[[NAMESPACE/]POD/]NAME", requires = "output", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    container: Vec<String>,
    /// Record what runs in this cgroup, or below it, with mounts of its own, until all of that has ended
    #[arg(long, value_name = "PATH", requires = "output")]
    cgroup: Vec<PathBuf>,
    /// Make profiles of this kind of what was named
    #[arg(long, value_enum, value_delimiter = ',', default_value = "seccomp", conflicts_with_all = ["manifests", "node_name"])]
    kind: Vec<KindFlag>,
    /// Write profiles into this folder
    #[arg(
        long,
        env = "CINCH_OUTPUT",
        value_name = "DIR",
        requires = "local",
        conflicts_with = "node_name"
    )]
    output: Option<PathBuf>,
    /// Answer /livez, /readyz and /metrics on this address
    #[arg(long, env = "CINCH_ADMIN", value_name = "ADDR:PORT", default_value_t = SocketAddr::new(ANY, ADMIN_PORT))]
    admin: SocketAddr,
    /// Keep what is not published yet in this folder; by default in one for that, or in .state beside profiles
    #[arg(long, env = "CINCH_STATE", value_name = "DIR", conflicts_with_all = ["container", "cgroup"])]
    state: Option<PathBuf>,
    /// Keep programs and what they have seen in this folder of a BPF file system while no recorder runs
    #[arg(
        long,
        env = "CINCH_BPF",
        value_name = "DIR",
        default_value = "/sys/fs/bpf/cinch-recorder"
    )]
    bpf: PathBuf,
    /// Ask the container runtime behind this socket for names that the API server does not tell
    #[arg(
        long,
        env = "CINCH_CRI",
        value_name = "SOCKET",
        default_value = "/run/containerd/containerd.sock"
    )]
    cri: PathBuf,
    /// Add what this runtime needs to start a container to seccomp profiles
    #[arg(long, env = "CINCH_BASE", value_enum, default_value = "runc")]
    base: BaseFlag,
    /// Write an object again after so many seconds at the earliest
    #[arg(long, env = "CINCH_PACE", value_name = "SECONDS", default_value_t = 10)]
    pace: u64,
    #[command(flatten)]
    enrich: EnrichFlags,
    /// Log at this level, or by a filter such as `info,recorder=debug`
    #[arg(long, env = "CINCH_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

/// What is made of audit records, besides recordings.
#[derive(Clone, Debug, Args)]
pub(crate) struct EnrichFlags {
    /// Write audit records of containers as lines of JSON, with node, namespace, pod and container; needs the host's
    /// processes and network, and `CAP_AUDIT_READ`
    #[arg(long, env = "CINCH_ENRICH")]
    pub(crate) enrich: bool,
    /// Tell of what profiles denied: one Event (events.k8s.io, reason `ProfileViolation`) of what has made the pods, or of a
    /// pod that nothing has made, for each container and system call or rule, whose series counts on, ever more seldom; of
    /// at most 16 rules of a container, the others in one
    #[arg(long, env = "CINCH_VIOLATIONS", conflicts_with = "local")]
    pub(crate) violations: bool,
    /// Read from the kernel (`netlink`), from the log in this file, or from the best there is
    #[arg(long, env = "CINCH_SOURCE", value_name = "auto|netlink|FILE", default_value = "auto")]
    pub(crate) source: Choice,
    #[command(flatten)]
    pub(crate) entries: EntryFlags,
}

/// Where recordings come from, and where profiles go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Cluster { node: String, kubeconfig: Option<PathBuf> },
    Folder { manifests: PathBuf, output: PathBuf },
    Targets { names: Vec<target::Name>, kinds: Vec<RecordingKind>, output: PathBuf },
}

impl From {
    /// The name of this node: in the cluster, or else its own.
    pub(crate) fn node(&self) -> String {
        match self {
            Self::Cluster { node, .. } => node.clone(),
            Self::Folder { .. } | Self::Targets { .. } => {
                let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
                name.unwrap_or_default().trim().to_owned()
            }
        }
    }
}

/// What `run` is to do.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) from: From,
    /// None where nobody asks how it is.
    pub(crate) admin: Option<SocketAddr>,
    /// None where nothing outlives the process; so with `bpf`.
    pub(crate) state: Option<PathBuf>,
    pub(crate) bpf: Option<PathBuf>,
    pub(crate) cri: PathBuf,
    pub(crate) base: Base,
    pub(crate) pace: Duration,
    pub(crate) enrich: EnrichFlags,
    pub(crate) log: String,
}

impl RunFlags {
    /// The flags as meant.
    pub(crate) fn meant(self) -> Run {
        let base = match self.base {
            BaseFlag::Runc => Base::Runc,
            BaseFlag::Crun => Base::Crun,
            BaseFlag::None => Base::None,
        };
        let (node, output) = (self.node_name.unwrap_or_default(), self.output.unwrap_or_default());
        let (mut admin, mut state, mut bpf) = (Some(self.admin), self.state, Some(self.bpf));
        let containers = self.container.into_iter().map(target::Name::Container);
        let names: Vec<_> =
            containers.chain(self.cgroup.into_iter().map(target::Name::Cgroup)).collect();
        let from = if let Some(manifests) = self.manifests {
            state.get_or_insert_with(|| output.join(".state"));
            From::Folder { manifests, output }
        } else if names.is_empty() {
            state.get_or_insert_with(|| STATE.into());
            From::Cluster { node, kubeconfig: self.kubeconfig }
        } else {
            // A daemon may run beside it.
            (admin, state, bpf) = (None, None, None);
            let mut kinds: Vec<RecordingKind> = Vec::new();
            for kind in self.kind {
                let kind = match kind {
                    KindFlag::Seccomp => RecordingKind::SeccompProfile,
                    KindFlag::Apparmor => RecordingKind::AppArmorProfile,
                    KindFlag::Selinux => RecordingKind::SelinuxProfile,
                };
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            From::Targets { names, kinds, output }
        };
        let pace = Duration::from_secs(self.pace);
        Run {
            from,
            admin,
            state,
            bpf,
            cri: self.cri,
            base,
            pace,
            enrich: self.enrich,
            log: self.log,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(flags: &str) -> Result<Run, clap::Error> {
        let words = ["cinch-recorder", "run"].into_iter().chain(flags.split_whitespace());
        match Cli::try_parse_from(words)?.command {
            Command::Run(flags) => Ok(flags.meant()),
            Command::Logs(_) => unreachable!("run was asked for"),
        }
    }

    #[test]
    fn a_name_is_needed_with_a_cluster_alone() {
        let run = meant("--node-name n").unwrap();
        assert_eq!(run.from, From::Cluster { node: "n".into(), kubeconfig: None });
        assert_eq!(run.state.as_deref(), Some(STATE.as_ref()));
        let run = meant("--manifests m --output o").unwrap();
        assert_eq!(run.from, From::Folder { manifests: "m".into(), output: "o".into() });
        assert_eq!(run.state, Some("o/.state".into()));
    }

    #[test]
    fn what_is_named_leaves_nothing_behind_and_is_of_each_kind_once() {
        let run = meant(
            "--container 1 --cgroup /a --container 2 --kind seccomp,apparmor,seccomp --output o",
        )
        .unwrap();
        let container = |id: &str| target::Name::Container(id.into());
        let names = vec![container("1"), container("2"), target::Name::Cgroup("/a".into())];
        let kinds = vec![RecordingKind::SeccompProfile, RecordingKind::AppArmorProfile];
        assert_eq!(run.from, From::Targets { names, kinds, output: "o".into() });
        assert_eq!((run.admin, run.state, run.bpf), (None, None, None));
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused() {
        for flags in [
            "",
            "--output o",
            "--manifests m",
            "--container 1",
            "--cgroup /a",
            "--container= --output o",
            "--manifests m --output o --node-name n",
            "--manifests m --output o --kubeconfig k",
            "--manifests m --output o --container 1",
            "--manifests m --output o --kind seccomp",
            "--container 1 --output o --state s",
            "--node-name n --output o",
            "--node-name n --kind seccomp",
            "--node-name n --container 1",
            "--manifests m --output o --violations",
        ] {
            assert!(meant(flags).is_err(), "{flags}");
        }
    }
}
