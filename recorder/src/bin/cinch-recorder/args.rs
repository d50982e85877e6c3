//! The command line, as typed and as meant.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use recorder::{base::Base, logs::Choice};

use crate::{entries::EntryFlags, logs::LogsFlags};

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
    /// Record what `ProfileRecordings` select
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

#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Call this node by this name, which it has in the cluster
    #[arg(long, env = "CINCH_NODE_NAME", value_name = "NAME")]
    node_name: String,
    /// Reach the cluster as this file says; without it, as the pod's service account or $KUBECONFIG says
    #[arg(long, env = "CINCH_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Answer /livez, /readyz and /metrics on this address
    #[arg(long, env = "CINCH_ADMIN", value_name = "ADDR:PORT", default_value_t = SocketAddr::new(ANY, ADMIN_PORT))]
    admin: SocketAddr,
    /// Keep what is not published yet in this folder
    #[arg(
        long,
        env = "CINCH_STATE",
        value_name = "DIR",
        default_value = "/var/lib/security-profiles-operator/recorder"
    )]
    state: PathBuf,
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
    /// Tell of what profiles denied: one Event (events.k8s.io, reason `ProfileViolation`) of the pod for each container and
    /// system call or rule, whose series counts on, ever more seldom; of at most 16 rules of a container, the others in one
    #[arg(long, env = "CINCH_VIOLATIONS")]
    pub(crate) violations: bool,
    /// Read from the kernel (`netlink`), from the log in this file, or from the best there is
    #[arg(long, env = "CINCH_SOURCE", value_name = "auto|netlink|FILE", default_value = "auto")]
    pub(crate) source: Choice,
    #[command(flatten)]
    pub(crate) entries: EntryFlags,
}

/// What `run` is to do.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) node: String,
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) admin: SocketAddr,
    pub(crate) state: PathBuf,
    pub(crate) bpf: PathBuf,
    pub(crate) cri: PathBuf,
    pub(crate) base: Base,
    pub(crate) pace: Duration,
    pub(crate) enrich: EnrichFlags,
    pub(crate) log: String,
}

impl RunFlags {
    /// The flags as meant.
    pub(crate) fn meant(self) -> Run {
        let Self { node_name, kubeconfig, admin, state, bpf, cri, base, pace, enrich, log } = self;
        let base = match base {
            BaseFlag::Runc => Base::Runc,
            BaseFlag::Crun => Base::Crun,
            BaseFlag::None => Base::None,
        };
        let pace = Duration::from_secs(pace);
        Run { node: node_name, kubeconfig, admin, state, bpf, cri, base, pace, enrich, log }
    }
}
