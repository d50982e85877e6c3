//! Where things are on a node. Pure.

use std::path::{Path, PathBuf};

use profile::mechanism::Mechanism;

/// The paths of a node, all below its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    kubelet: PathBuf,
}

impl Layout {
    /// The root is put before every path; `kubelet` is the kubelet's folder, `/var/lib/kubelet` unless set.
    pub fn new(root: &Path, kubelet: &Path) -> Self {
        Self { root: root.to_owned(), kubelet: kubelet.to_owned() }
    }

    /// A path on the node as this process sees it.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a path is called on the node itself, without the root.
    pub fn on_node(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root)
            .map_or_else(|_| path.to_owned(), |rest| Path::new("/").join(rest))
    }

    /// The folder of seccomp profiles, from which runtimes take `localhost` profiles called `operator/NAME.json`.
    pub fn seccomp(&self) -> PathBuf {
        self.at(&self.kubelet).join("seccomp/operator")
    }

    /// The folder of AppArmor profiles, which are loaded from there when the node starts.
    pub fn apparmor(&self) -> PathBuf {
        self.at("/etc/apparmor.d")
    }

    /// What is ours alone.
    pub fn state(&self) -> PathBuf {
        self.at("/var/lib/security-profiles-operator")
    }

    /// The ledger of a mechanism.
    pub fn ledger(&self, mechanism: Mechanism) -> PathBuf {
        self.state().join("installed").join(file_name(mechanism))
    }

    /// Copies of the objects.
    pub fn objects(&self) -> PathBuf {
        self.state().join("objects")
    }
}

/// A mechanism as part of a file's name or a metric's.
pub fn file_name(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Seccomp => "seccomp",
        Mechanism::Selinux => "selinux",
        Mechanism::Apparmor => "apparmor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_put_before_every_path() {
        let layout = Layout::new(Path::new("/host"), Path::new("/var/lib/kubelet"));
        assert_eq!(layout.seccomp(), Path::new("/host/var/lib/kubelet/seccomp/operator"));
        assert_eq!(layout.apparmor(), Path::new("/host/etc/apparmor.d"));
        assert_eq!(layout.on_node(&layout.apparmor()), Path::new("/etc/apparmor.d"));
        let node = Layout::new(Path::new("/"), Path::new("/var/lib/k0s/kubelet"));
        assert_eq!(node.seccomp(), Path::new("/var/lib/k0s/kubelet/seccomp/operator"));
    }
}
