//! All that a review is answered from: immutable, made anew when an object changes. Pure.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{bindings::Bindings, kinds::ProfileKind, recordings::Recordings};

/// The label that switches binding on for a namespace.
pub const ENABLE_BINDING: &str = "spo.x-k8s.io/enable-binding";
/// The label that switches recording on for a namespace.
pub const ENABLE_RECORDING: &str = "spo.x-k8s.io/enable-recording";

/// What is known of bindings, recordings, namespaces and profiles at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub namespaces: FxHashMap<Box<str>, Arc<Namespace>>,
    pub profiles: Arc<Profiles>,
    /// What holds for a namespace of which no labels are known.
    pub unknown: Switches,
}

/// What is known of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// None while its labels are not known.
    pub switches: Option<Switches>,
    pub bindings: Bindings,
    pub recordings: Recordings,
    /// Objects that cannot be used, and why.
    pub invalid: Vec<Invalid>,
}

/// What a namespace has opted in to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub binding: bool,
    pub recording: bool,
}

/// An object that is there but cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub kind: &'static str,
    pub name: Box<str>,
    pub reason: Box<str>,
}

/// How far a profile is on its way to the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is on the nodes, or nobody reports (a folder of manifests has no status).
    Ready,
    /// Its status says that it is not, or not everywhere.
    NotYet(&'static str),
    /// It is never put on a node.
    Disabled,
}

/// Every profile that there is, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles(FxHashMap<Box<str>, Vec<(ProfileKind, Readiness)>>);

impl Profiles {
    /// Adds a profile or replaces what was known of it.
    pub fn insert(&mut self, kind: ProfileKind, name: &str, readiness: Readiness) {
        let of_name = self.0.entry(name.into()).or_default();
        of_name.retain(|(k, _)| *k != kind);
        of_name.push((kind, readiness));
    }

    /// What is known of a profile; None when there is no such profile.
    pub fn get(&self, kind: ProfileKind, name: &str) -> Option<Readiness> {
        self.0.get(name)?.iter().find(|(k, _)| *k == kind).map(|(_, readiness)| *readiness)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Switches {
    /// Both on.
    pub const ON: Self = Self { binding: true, recording: true };

    /// Reads a namespace's labels: present, with any value but `"false"`, is on.
    pub fn from_labels(labels: &impl crate::selector::Labels) -> Self {
        let on = |key| labels.label(key).is_some_and(|value| value != "false");
        Self { binding: on(ENABLE_BINDING), recording: on(ENABLE_RECORDING) }
    }
}

impl Snapshot {
    /// What a namespace has opted in to, as far as that is known.
    pub fn switches(&self, namespace: &str) -> Switches {
        self.namespaces.get(namespace).and_then(|ns| ns.switches).unwrap_or(self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, false)]
    #[case(Some(""), true)]
    #[case(Some("true"), true)]
    #[case(Some("no"), true)]
    #[case(Some("false"), false)]
    fn a_label_with_any_value_but_false_switches_on(#[case] value: Option<&str>, #[case] on: bool) {
        let labels: BTreeMap<_, _> =
            value.map(|v| (ENABLE_BINDING.to_owned(), v.to_owned())).into_iter().collect();
        let expected = Switches { binding: on, recording: false };
        assert_eq!(Switches::from_labels(&labels), expected);
    }
}
