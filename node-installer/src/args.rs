//! The command line, as typed and as meant.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};
use node_installer::layout::Layout;
use profile::{kinds::selinux::Permitted, mechanism::Mechanism};

const ADMIN_PORT: u16 = 8085;
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Keeps the security profiles of a node installed.
#[derive(Debug, Parser)]
#[command(name = "cinch-node-installer", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install profiles and keep them installed
    Run(Box<RunFlags>),
    /// Take away all that was installed
    Purge(PurgeFlags),
}

#[derive(Debug, Args)]
pub(crate) struct NodeFlags {
    /// Put this before every path on the node
    #[arg(long, env = "CINCH_ROOT", value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Take this as the kubelet's folder, below which runtimes look for seccomp profiles
    #[arg(
        long,
        env = "CINCH_KUBELET_ROOT",
        value_name = "DIR",
        default_value = "/var/lib/kubelet"
    )]
    kubelet_root: PathBuf,
    /// Care for these only
    #[arg(long, env = "CINCH_MECHANISMS", value_name = "LIST", value_delimiter = ',', default_values = ["seccomp", "selinux", "apparmor"])]
    mechanisms: Vec<MechanismFlag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MechanismFlag {
    Seccomp,
    Selinux,
    Apparmor,
}

#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    #[command(flatten)]
    node: NodeFlags,
    /// Take profiles from the YAML files of this folder, and not from a cluster
    #[arg(long, env = "CINCH_MANIFESTS", value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Install once, print a table and end; the exit code is 1 when a profile could not be installed
    #[arg(long)]
    once: bool,
    /// Call this node by this name, which it has in the cluster
    #[arg(long, env = "CINCH_NODE_NAME", value_name = "NAME", conflicts_with = "manifests")]
    node_name: Option<String>,
    /// Reach the cluster as this file says; without it, as the pod's service account or $KUBECONFIG says
    #[arg(long, env = "CINCH_KUBECONFIG", value_name = "FILE", conflicts_with = "manifests")]
    kubeconfig: Option<PathBuf>,
    /// Answer /livez, /readyz and /metrics on this address
    #[arg(long, env = "CINCH_ADMIN", value_name = "ADDR:PORT", default_value_t = SocketAddr::new(ANY, ADMIN_PORT))]
    admin: SocketAddr,
    /// Let `SelinuxProfiles` name this type, which is refused otherwise; may be given several times
    #[arg(long, env = "CINCH_PERMIT_SELINUX_TYPE", value_name = "TYPE", value_delimiter = ',')]
    permit_selinux_type: Vec<String>,
    /// Let `SelinuxProfiles` name this class, which is refused otherwise; may be given several times
    #[arg(long, env = "CINCH_PERMIT_SELINUX_CLASS", value_name = "CLASS", value_delimiter = ',')]
    permit_selinux_class: Vec<String>,
    /// Let `SelinuxProfiles` give this permission, which is refused otherwise; may be given several times
    #[arg(
        long,
        env = "CINCH_PERMIT_SELINUX_PERMISSION",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    permit_selinux_permission: Vec<String>,
    /// Log at this level, or by a filter such as `info,node_installer=debug`
    #[arg(long, env = "CINCH_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeFlags {
    #[command(flatten)]
    node: NodeFlags,
    /// Take away also what processes run under
    #[arg(long)]
    force: bool,
}

/// Which node, and what of it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) layout: Layout,
    pub(crate) mechanisms: Vec<Mechanism>,
}

/// What `run` is to do.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) node: Node,
    pub(crate) objects: Objects,
    pub(crate) once: bool,
    pub(crate) admin: SocketAddr,
    pub(crate) permitted: Permitted,
    pub(crate) log: String,
}

/// Where objects come from.
#[derive(Debug)]
pub(crate) enum Objects {
    Folder(PathBuf),
    Cluster { node: String, kubeconfig: Option<PathBuf> },
}

/// What `purge` is to do.
#[derive(Debug)]
pub(crate) struct Purge {
    pub(crate) node: Node,
    pub(crate) force: bool,
}

impl NodeFlags {
    fn meant(self) -> Node {
        let Self { root, kubelet_root, mechanisms } = self;
        let mechanisms = mechanisms.into_iter().map(|flag| match flag {
            MechanismFlag::Seccomp => Mechanism::Seccomp,
            MechanismFlag::Selinux => Mechanism::Selinux,
            MechanismFlag::Apparmor => Mechanism::Apparmor,
        });
        let mut mechanisms: Vec<_> = mechanisms.collect();
        mechanisms.sort_unstable();
        mechanisms.dedup();
        // Programs may run with another working folder.
        let root = std::path::absolute(&root).unwrap_or(root);
        Node { layout: Layout::new(&root, &kubelet_root), mechanisms }
    }
}

impl PurgeFlags {
    /// The flags as meant.
    pub(crate) fn meant(self) -> Purge {
        let Self { node, force } = self;
        Purge { node: node.meant(), force }
    }
}

impl RunFlags {
    /// The flags as meant.
    pub(crate) fn meant(self) -> anyhow::Result<Run> {
        let Self {
            node,
            manifests,
            once,
            node_name,
            kubeconfig,
            admin,
            permit_selinux_type,
            permit_selinux_class,
            permit_selinux_permission,
            log,
        } = self;
        if once && manifests.is_none() {
            bail!(
                "--once needs --manifests DIR: a node of a cluster is cared for as long as it is one"
            );
        }
        let objects = match (manifests, node_name) {
            (Some(folder), _) => Objects::Folder(folder),
            (None, Some(node)) => Objects::Cluster { node, kubeconfig },
            (None, None) => bail!("one of --manifests DIR and --node-name NAME is needed"),
        };
        let permitted = Permitted {
            types: permit_selinux_type.into_iter().collect(),
            classes: permit_selinux_class.into_iter().collect(),
            permissions: permit_selinux_permission.into_iter().collect(),
        };
        Ok(Run { node: node.meant(), objects, once, admin, permitted, log })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    fn run(flags: &[&str]) -> anyhow::Result<Run> {
        let command = ["cinch-node-installer", "run"].iter().chain(flags);
        match Cli::try_parse_from(command)?.command {
            Command::Run(flags) => flags.meant(),
            Command::Purge(_) => unreachable!(),
        }
    }

    #[test]
    fn a_node_of_a_cluster_has_a_name() {
        let error = run(&[]).unwrap_err().to_string();
        assert_eq!(error, "one of --manifests DIR and --node-name NAME is needed");
        assert!(run(&["--node-name", "n"]).is_ok());
        assert!(run(&["--once", "--node-name", "n"]).is_err(), "once is for folders");
    }

    #[test]
    fn mechanisms_are_chosen() {
        let all = run(&["--manifests", "m"]).unwrap().node.mechanisms;
        assert_eq!(all, Mechanism::ALL);
        let one = run(&["--manifests", "m", "--mechanisms", "apparmor,apparmor"]).unwrap();
        assert_eq!(one.node.mechanisms, [Mechanism::Apparmor]);
    }
}
