//! The profile of what was seen, beside the one of that name that is there already. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt as _};
use profile::{
    algebra,
    kinds::{
        AppArmorProfile, ProfileState, SeccompProfile, SelinuxProfile,
        seccomp::{Action, Arch, SeccompProfileSpec},
    },
    syscall,
};
use recorder::{
    base::Base,
    learned::{
        self, Profile,
        ledger::{self, Ledger},
        tally,
    },
    seen::Seen,
};

use crate::tracker::Publication;

/// The name of the recording, its namespace, and the name of the container that a profile is of.
pub(crate) const RECORDING: &str = "spo.x-k8s.io/recording-id";
pub(crate) const NAMESPACE: &str = "spo.x-k8s.io/recording-namespace";
const CONTAINER: &str = "spo.x-k8s.io/container-id";
/// There while more may come.
pub(crate) const PARTIAL: &str = "spo.x-k8s.io/partial";
/// The uid of the recording, as an annotation: one of the same name that was made later begins anew.
pub(crate) const UID: &str = "spo.x-k8s.io/recording-uid";

/// The type under which SELinux recordings run.
pub(crate) const RECORDED_TYPE: &str = "selinuxrecording.process";

/// How profiles are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making {
    pub(crate) machine: Arch,
    pub(crate) base: Base,
    /// The SELinux type that containers are recorded under; none for whichever they have.
    pub(crate) selinux_type: Option<&'static str>,
}

/// A kind of profile that can be recorded.
pub(crate) trait Recorded: Resource<DynamicType = ()> + Clone + PartialEq {
    /// The profile of what was seen.
    fn learn(publication: &Publication, seen: &Seen, making: Making) -> Profile<Self>;

    /// The profile that also allows what this one allows.
    fn unite(&self, publication: &Publication, making: Making) -> Self;

    fn state(&mut self) -> &mut ProfileState;

    /// What it allows, thing by thing.
    fn items(&self) -> BTreeSet<String>;
}

/// What has to be done about a profile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed<K> {
    Create(K),
    Replace(K),
    /// It says all of that already.
    Nothing,
    /// It is somebody else's.
    Leave,
}

/// What has to be done for a publication where this is there.
pub(crate) fn deed<K: Recorded>(
    publication: &Publication,
    there: Option<&K>,
    making: Making,
) -> Deed<K> {
    let Some(there) = there else {
        let mut new = K::learn(publication, &publication.seen, making).profile;
        if publication.disable {
            *new.state() = ProfileState::Disabled;
        }
        label(new.meta_mut(), publication);
        count(&mut new, None, publication, making);
        return Deed::Create(new);
    };
    let label_is = |key, value: &str| there.labels().get(key).is_some_and(|label| *label == *value);
    let recording = &publication.recording;
    if !label_is(RECORDING, &recording.name) || !label_is(NAMESPACE, &recording.namespace) {
        return Deed::Leave;
    }
    let same = there.annotations().get(UID).is_some_and(|uid| *uid == publication.recording_uid);
    let mut united = if same {
        there.unite(publication, making)
    } else {
        K::learn(publication, &publication.seen, making).profile
    };
    if same {
        // Somebody may have switched it since.
        *united.state() = *there.clone().state();
    } else if publication.disable {
        *united.state() = ProfileState::Disabled;
    }
    let said = united.meta().annotations.clone().unwrap_or_default();
    *united.meta_mut() = there.meta().clone();
    united.annotations_mut().extend(said);
    label(united.meta_mut(), publication);
    count(&mut united, same.then_some(there), publication, making);
    if united == *there { Deed::Nothing } else { Deed::Replace(united) }
}

/// Says how many instances did what, of those that the profile had before and those that were seen here.
fn count<K: Recorded>(
    profile: &mut K,
    before: Option<&K>,
    publication: &Publication,
    making: Making,
) {
    if publication.instances.is_empty() {
        // They would be of another recording of that name.
        if before.is_none() {
            profile.annotations_mut().remove(ledger::ANNOTATION);
            profile.annotations_mut().remove(tally::ANNOTATION);
        }
        return;
    }
    let items = profile.items();
    let mut ledger = before.map_or_else(Ledger::default, |before| {
        let text = before.annotations().get(ledger::ANNOTATION);
        let mut ledger = Ledger::read(text.map(String::as_str));
        ledger.rename(&before.items(), &items);
        ledger
    });
    for (instance, seen) in &publication.instances {
        let did = K::learn(publication, seen, making).profile.items();
        ledger.add(instance, &did, &items);
    }
    let annotations = profile.annotations_mut();
    annotations.insert(ledger::ANNOTATION.to_owned(), ledger.annotation());
    match ledger.seen_by(&items) {
        Some(text) => annotations.insert(tally::ANNOTATION.to_owned(), text),
        None => annotations.remove(tally::ANNOTATION),
    };
}

fn label(metadata: &mut ObjectMeta, publication: &Publication) {
    let labels = metadata.labels.get_or_insert_with(BTreeMap::new);
    labels.insert(RECORDING.to_owned(), publication.recording.name.clone());
    labels.insert(NAMESPACE.to_owned(), publication.recording.namespace.clone());
    labels.insert(CONTAINER.to_owned(), publication.container.clone());
    if publication.partial {
        labels.insert(PARTIAL.to_owned(), "true".to_owned());
    } else {
        labels.remove(PARTIAL);
    }
    let annotations = metadata.annotations.get_or_insert_with(BTreeMap::new);
    annotations.insert(UID.to_owned(), publication.recording_uid.clone());
}

impl Recorded for SeccompProfile {
    fn learn(publication: &Publication, seen: &Seen, making: Making) -> Profile<Self> {
        let Making { machine, base, selinux_type: _ } = making;
        let options = learned::seccomp::Options { machine, base };
        learned::seccomp::profile(&publication.target.name, seen, options)
    }

    fn unite(&self, publication: &Publication, making: Making) -> Self {
        let mut all = calls(&self.spec);
        let before = Self::learn(publication, &all, making).profile;
        all.union(&publication.seen);
        let mut united = Self::learn(publication, &all, making).profile;
        united.spec.state = self.spec.state;
        // Somebody has added rules of other sorts: they stay.
        if before.spec.syscalls != self.spec.syscalls
            && let Ok(merged) = algebra::seccomp::merge([&self.spec, &united.spec])
        {
            united.spec = merged.spec;
        }
        united
    }

    fn state(&mut self) -> &mut ProfileState {
        &mut self.spec.state
    }

    fn items(&self) -> BTreeSet<String> {
        tally::of_seccomp(&self.spec)
    }
}

/// What a recorded profile allows without conditions, as if it had been seen here.
fn calls(spec: &SeccompProfileSpec) -> Seen {
    let mut seen = Seen::default();
    let own =
        spec.syscalls.first().filter(|rule| rule.action == Action::Allow && rule.args.is_empty());
    for name in own.iter().flat_map(|rule| &rule.names) {
        for arch in &spec.architectures {
            if let Some(number) = syscall::number(*arch, name) {
                seen.call(*arch, number);
            }
        }
    }
    seen
}

impl Recorded for AppArmorProfile {
    fn learn(publication: &Publication, seen: &Seen, _: Making) -> Profile<Self> {
        let options = learned::apparmor::Options { names: publication.pods.clone() };
        learned::apparmor::profile(&publication.target.name, seen, &options)
    }

    fn unite(&self, publication: &Publication, making: Making) -> Self {
        let mut united = Self::learn(publication, &publication.seen, making).profile;
        let alone = algebra::apparmor::merge([&self.spec]);
        match (algebra::apparmor::merge([&self.spec, &united.spec]), alone) {
            (Ok(merged), Ok(alone)) if merged != alone => united.spec = merged,
            _ => united.spec = self.spec.clone(),
        }
        united
    }

    fn state(&mut self) -> &mut ProfileState {
        &mut self.spec.state
    }

    fn items(&self) -> BTreeSet<String> {
        tally::of_apparmor(&self.spec)
    }
}

impl Recorded for SelinuxProfile {
    fn learn(publication: &Publication, seen: &Seen, making: Making) -> Profile<Self> {
        let options = learned::selinux::Options { recorded: making.selinux_type };
        learned::selinux::profile(&publication.target.name, seen, options)
    }

    fn unite(&self, publication: &Publication, making: Making) -> Self {
        let mut united = Self::learn(publication, &publication.seen, making).profile;
        let alone = algebra::selinux::merge([&self.spec]);
        match algebra::selinux::merge([&self.spec, &united.spec]) {
            Some(merged) if Some(&merged) != alone.as_ref() => united.spec = merged,
            _ => united.spec = self.spec.clone(),
        }
        united
    }

    fn state(&mut self) -> &mut ProfileState {
        &mut self.spec.state
    }

    fn items(&self) -> BTreeSet<String> {
        tally::of_selinux(&self.spec)
    }
}

#[cfg(test)]
mod tests;
