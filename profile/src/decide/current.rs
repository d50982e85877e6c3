//! Which profile a container has before anything is changed. Pure.

use std::borrow::Cow;

use super::Question;
use crate::{
    mechanism::Mechanism,
    pod::{Container, Localhost, SecurityContext},
};

/// The beta annotation for AppArmor, which the API server still turns into the field; the container's name follows.
pub(super) const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The annotation for seccomp, which nobody turns into a field any more; the container's name follows.
pub(super) const SECCOMP_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// What confines a container, in the words of the field; None where nothing was chosen.
///
/// A container's own field comes before the pod's. A container's `seLinuxOptions` replace the pod's as a whole, so that a
/// container that sets only a level has no type, whatever the pod says.
pub(super) fn current<'a>(
    question: &Question<'a>,
    container: &'a Container<'a>,
    mechanism: Mechanism,
) -> Option<Cow<'a, str>> {
    let own = container.security_context.as_ref();
    let pod = question.pod.spec.security_context.as_ref();
    match mechanism {
        Mechanism::Seccomp => {
            profile(own, |c| &c.seccomp_profile).or_else(|| profile(pod, |c| &c.seccomp_profile))
        }
        Mechanism::Apparmor => profile(own, |c| &c.app_armor_profile)
            .or_else(|| annotated(question, container))
            .or_else(|| profile(pod, |c| &c.app_armor_profile)),
        Mechanism::Selinux => {
            let options =
                |context: Option<&'a SecurityContext<'a>>| context?.se_linux_options.as_ref();
            let kind = options(own).or_else(|| options(pod))?.kind.as_deref();
            kind.filter(|kind| !kind.is_empty()).map(Cow::Borrowed)
        }
    }
}

/// How a field would say that a profile of the node is in use.
pub(super) fn localhost(mechanism: Mechanism, local_name: &str) -> Cow<'_, str> {
    match mechanism {
        Mechanism::Selinux => Cow::Borrowed(local_name),
        Mechanism::Seccomp | Mechanism::Apparmor => Cow::Owned(["Localhost/", local_name].concat()),
    }
}

fn profile<'a>(
    context: Option<&'a SecurityContext<'a>>,
    field: fn(&'a SecurityContext<'a>) -> &'a Option<Localhost<'a>>,
) -> Option<Cow<'a, str>> {
    field(context?).as_ref().filter(|profile| !profile.kind.is_empty()).map(Localhost::describe)
}

fn annotated<'a>(question: &Question<'a>, container: &Container<'_>) -> Option<Cow<'a, str>> {
    let annotations = question.pod.metadata.annotations.as_ref()?;
    if !annotations.has_prefix(APPARMOR_ANNOTATION) {
        return None;
    }
    let value = annotations.get(&[APPARMOR_ANNOTATION, &container.name].concat())?;
    Some(match value {
        "runtime/default" => Cow::Borrowed("RuntimeDefault"),
        "unconfined" => Cow::Borrowed("Unconfined"),
        _ => value
            .strip_prefix("localhost/")
            .map_or(Cow::Borrowed(value), |name| Cow::Owned(["Localhost/", name].concat())),
    })
}
