//! Puts a profile of the node into a container's field, and into the annotation that must not differ from it. Pure.

use super::{
    Change, Confinement, Decision, Note, Place, ProfileSource, Question,
    current::{APPARMOR_ANNOTATION, SECCOMP_ANNOTATION},
};
use crate::{mechanism::Mechanism, pod::Container};

/// Writes a profile of the node into a container's field.
pub(super) fn confine<'a>(
    question: &Question<'a>,
    place: Place,
    container: &Container<'_>,
    mechanism: Mechanism,
    local_name: String,
    decision: &mut Decision<'a>,
) {
    // The API server refuses a pod whose annotation and field differ, also where it heeds the field alone.
    let annotation = match mechanism {
        Mechanism::Seccomp => Some(SECCOMP_ANNOTATION),
        Mechanism::Apparmor => Some(APPARMOR_ANNOTATION),
        Mechanism::Selinux => None,
    };
    let key = annotation.map(|prefix| [prefix, &container.name].concat()).unwrap_or_default();
    let annotations = question.pod.metadata.annotations.as_ref();
    if let Some((key, before)) = annotations.and_then(|annotations| annotations.entry(&key)) {
        let value = ["localhost/", &local_name].concat();
        if before != value {
            if mechanism == Mechanism::Seccomp {
                decision.notes.push(Note::LegacyReplaced { key, value: before });
            }
            decision.changes.push(Change::Annotate { key: key.to_owned(), value });
        }
    }
    let confinement = match mechanism {
        Mechanism::Seccomp => Confinement::Seccomp(ProfileSource::Localhost(local_name)),
        Mechanism::Apparmor => Confinement::Apparmor(ProfileSource::Localhost(local_name)),
        Mechanism::Selinux => Confinement::Selinux(local_name),
    };
    decision.changes.push(Change::Confine { place, confinement });
}
