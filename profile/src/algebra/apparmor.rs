//! What AppArmor profiles allow, united and compared, as far as that can be told. Pure.

use std::{collections::BTreeSet, fmt};

use crate::kinds::apparmor::{Abstract, AppArmorMode, AppArmorProfileSpec};

pub use merge::{NotMerged, merge};
pub use path::meet;
pub use subset::{Subset, subset};

mod glob;
mod merge;
mod path;
mod subset;

/// One thing that a profile allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Whatever is not allowed happens, too: the profile complains only.
    Everything,
    /// What a body in AppArmor's own language allows.
    Policy(String),
    /// Running the programs of a path.
    Execute(String),
    /// Loading the libraries of a path.
    Load(String),
    /// Reading the files of a path.
    Read(String),
    /// Writing the files of a path.
    Write(String),
    /// Raw sockets.
    Raw,
    /// TCP sockets.
    Tcp,
    /// UDP sockets.
    Udp,
    /// A capability, without `CAP_`.
    Capability(String),
    /// A rule on ptrace, signals, mounts or unix sockets, as JSON.
    Rule {
        /// Its list: ptrace, signal, mount or unix.
        list: &'static str,
        /// The rule.
        rule: String,
    },
}

/// What differs between two profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What only the left one lists, sorted.
    pub left: Vec<Permission>,
    /// What only the right one lists, sorted.
    pub right: Vec<Permission>,
    /// Paths that only the left one denies, and only the right one.
    pub denied: (Vec<String>, Vec<String>),
}

/// All that a profile lists.
pub fn permissions(spec: &AppArmorProfileSpec) -> BTreeSet<Permission> {
    let mut all = BTreeSet::new();
    if spec.effective_mode() == AppArmorMode::Complain {
        all.insert(Permission::Everything);
    }
    all.extend(spec.policy.clone().map(Permission::Policy));
    spec.abstract_.iter().for_each(|rules| listed(rules, &mut all));
    all
}

fn listed(rules: &Abstract, all: &mut BTreeSet<Permission>) {
    if let Some(executable) = &rules.executable {
        all.extend(executable.allowed_executables.iter().cloned().map(Permission::Execute));
        all.extend(executable.allowed_libraries.iter().cloned().map(Permission::Load));
    }
    if let Some(files) = &rules.filesystem {
        let read = files.read_only_paths.iter().chain(&files.read_write_paths);
        let write = files.write_only_paths.iter().chain(&files.read_write_paths);
        all.extend(read.cloned().map(Permission::Read));
        all.extend(write.cloned().map(Permission::Write));
    }
    if let Some(network) = &rules.network {
        let protocols = network.allowed_protocols.clone().unwrap_or_default();
        let sockets = [
            (network.allow_raw, Permission::Raw),
            (protocols.allow_tcp, Permission::Tcp),
            (protocols.allow_udp, Permission::Udp),
        ];
        all.extend(
            sockets.into_iter().filter(|(is, _)| *is == Some(true)).map(|(_, socket)| socket),
        );
    }
    let capabilities = rules.capability.iter().flat_map(|rules| &rules.allowed_capabilities);
    all.extend(capabilities.map(|name| Permission::Capability(capability(name))));
    all.extend(rules.ptrace.iter().map(|rule| as_json("ptrace", rule)));
    all.extend(rules.signal.iter().map(|rule| as_json("signal", rule)));
    all.extend(rules.mount.iter().map(|rule| as_json("mount", rule)));
    all.extend(rules.unix.iter().map(|rule| as_json("unix", rule)));
}

/// The name of a capability in one spelling.
fn capability(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}

fn as_json(list: &'static str, rule: &impl serde::Serialize) -> Permission {
    let rule = serde_json::to_string(rule).expect("a rule has string keys alone");
    Permission::Rule { list, rule }
}

/// Whether a glob of AppArmor stands for a path; none where it has a variable of which the value is not known.
pub fn matches(glob: &str, path: &str) -> Option<bool> {
    glob::Globs::new([glob]).map(|globs| globs.matches(path.as_bytes()))
}

/// The paths that a profile denies, whatever it lists.
fn denied(spec: &AppArmorProfileSpec) -> BTreeSet<&str> {
    let files = spec.abstract_.iter().flat_map(|rules| &rules.filesystem);
    files.flat_map(|files| &files.denied_paths).map(String::as_str).collect()
}

/// What each profile lists, or denies, that the other does not.
pub fn diff(left: &AppArmorProfileSpec, right: &AppArmorProfileSpec) -> Diff {
    let (l, r) = (permissions(left), permissions(right));
    let (l_denied, r_denied) = (denied(left), denied(right));
    let only = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| {
        these.difference(those).map(|path| (*path).to_owned()).collect()
    };
    Diff {
        left: l.difference(&r).cloned().collect(),
        right: r.difference(&l).cloned().collect(),
        denied: (only(&l_denied, &r_denied), only(&r_denied, &l_denied)),
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything (complain)"),
            Self::Policy(_) => f.write_str("a policy in AppArmor's own language"),
            Self::Execute(path) => write!(f, "execute {path}"),
            Self::Load(path) => write!(f, "load {path}"),
            Self::Read(path) => write!(f, "read {path}"),
            Self::Write(path) => write!(f, "write {path}"),
            Self::Raw => f.write_str("raw sockets"),
            Self::Tcp => f.write_str("TCP sockets"),
            Self::Udp => f.write_str("UDP sockets"),
            Self::Capability(name) => write!(f, "capability {name}"),
            Self::Rule { list, rule } => write!(f, "{list} {rule}"),
        }
    }
}

impl fmt::Display for Diff {
    /// One line for each difference: `+` is allowed on the right only, `-` on the left only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.left.iter().try_for_each(|permission| writeln!(f, "- {permission}"))?;
        self.right.iter().try_for_each(|permission| writeln!(f, "+ {permission}"))?;
        self.denied.0.iter().try_for_each(|path| writeln!(f, "+ no longer denied: {path}"))?;
        self.denied.1.iter().try_for_each(|path| writeln!(f, "- denied: {path}"))
    }
}
