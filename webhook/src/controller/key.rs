//! What objects are called. Pure.

use std::{fmt, sync::Arc};

use profile::{kinds::ProfileKind, mechanism::Mechanism};

/// An object in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

/// A profile, which is in no namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileKey {
    pub kind: ProfileKind,
    pub name: Arc<str>,
}

impl Named {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl ProfileKey {
    pub fn new(kind: ProfileKind, name: &str) -> Self {
        Self { kind, name: name.into() }
    }

    /// The profiles that a pod means with what it writes in the field of a mechanism: two kinds share SELinux's names.
    pub fn meant(mechanism: Mechanism, local_name: &str) -> impl Iterator<Item = Self> {
        let name = match mechanism {
            Mechanism::Seccomp => {
                local_name.strip_prefix("operator/").and_then(|path| path.strip_suffix(".json"))
            }
            Mechanism::Selinux => local_name.strip_suffix(".process"),
            Mechanism::Apparmor => Some(local_name),
        };
        let name: Option<Arc<str>> = name.filter(|name| !name.is_empty()).map(Into::into);
        let kinds = ProfileKind::ALL.iter().filter(move |kind| Mechanism::of(**kind) == mechanism);
        kinds.filter_map(move |kind| Some(Self { kind: *kind, name: name.clone()? }))
    }

    /// What a pod writes to use it.
    pub fn local_name(&self) -> String {
        self.mechanism().local_name(&self.name)
    }

    pub fn mechanism(&self) -> Mechanism {
        Mechanism::of(self.kind)
    }
}

impl fmt::Display for ProfileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_writes_leads_back_to_the_profile() {
        for kind in ProfileKind::ALL {
            let key = ProfileKey::new(*kind, "a.b");
            let meant: Vec<_> = ProfileKey::meant(key.mechanism(), &key.local_name()).collect();
            assert!(meant.contains(&key), "{key}");
            let shared = if key.mechanism() == Mechanism::Selinux { 2 } else { 1 };
            assert_eq!(meant.len(), shared, "{key}");
        }
    }

    #[test]
    fn what_others_put_on_a_node_is_none_of_ours() {
        let none = |mechanism, name| ProfileKey::meant(mechanism, name).next().is_none();
        assert!(none(Mechanism::Seccomp, "profiles/audit.json"));
        assert!(none(Mechanism::Seccomp, "operator/.json"));
        assert!(none(Mechanism::Selinux, "container_t"));
    }
}
