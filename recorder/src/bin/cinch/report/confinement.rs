//! What a container runs under, by one mechanism, and whose doing that is. Pure.

use std::collections::BTreeMap;

use profile::{
    bindings::Target,
    image::Reference,
    kinds::{Override, ProfileKind, Recorder, RecordingKind},
    mechanism::Mechanism,
    recordings::Mark,
};
use serde::Serialize;

use super::{
    content::Share,
    known::{Known, Space},
    pod::{Container, Context, PodSpec, Source},
};

/// The annotation that stood for the field before Kubernetes 1.30; the container's name follows.
const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Types that hold nothing back.
const UNCONFINED_TYPES: [&str; 3] = ["unconfined_t", "spc_t", "super_privileged_container_t"];

/// What there is, in words of its own: no two that differ are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Confinement {
    pub(crate) class: Class,
    /// The name of the profile; of one that is not ours, as the node calls it.
    #[serde(rename = "profile", skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The binding that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) binding: Option<String>,
    /// The recording that learns what the container does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recording: Option<String>,
    /// The profile that a binding gives to such a container when it is made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<Remark>,
}

/// Where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Class {
    /// It is a profile of ours.
    Profile,
    RuntimeDefault,
    /// Something on the node that is not ours.
    Localhost,
    Unset,
    Unconfined,
}

/// What else has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Remark {
    /// The kubelet gives a privileged container no seccomp profile.
    Privileged,
    /// It is called as one of ours would be, and there is no such object.
    NoObject,
    /// It was made for a recording that is over.
    RecordingOver,
}

/// A container of a pod.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) space: Option<&'a Space>,
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) annotations: &'a BTreeMap<String, String>,
    pub(super) spec: &'a PodSpec,
    pub(super) container: &'a Container,
}

/// What was chosen, in the words of the field.
#[derive(Debug, PartialEq, Eq)]
enum Chosen<'a> {
    Nothing,
    RuntimeDefault,
    Unconfined,
    Local(&'a str),
}

impl Confinement {
    pub(super) fn of(known: &Known, subject: &Subject<'_>, mechanism: Mechanism) -> Self {
        let chosen = chosen(subject, mechanism);
        let recording = subject.space.and_then(|space| space.recording(subject, mechanism));
        let bare = |class: Class, name: Option<&str>| Self {
            name: name.map(str::to_owned),
            recording: recording.map(str::to_owned),
            ..class.of_several()
        };
        let mut this = match chosen {
            Chosen::Nothing => bare(Class::Unset, None),
            Chosen::RuntimeDefault => bare(Class::RuntimeDefault, None),
            Chosen::Unconfined => bare(Class::Unconfined, None),
            Chosen::Local(local) if is_for_recordings(mechanism, local) => {
                let over = recording.is_none().then_some(Remark::RecordingOver);
                Self { remark: over, ..bare(Class::Localhost, Some(local)) }
            }
            Chosen::Local(local) => match ours(known, mechanism, local) {
                Some(name) if known.has(mechanism, name) => bare(Class::Profile, Some(name)),
                Some(_) => {
                    Self { remark: Some(Remark::NoObject), ..bare(Class::Localhost, Some(local)) }
                }
                None => bare(Class::Localhost, Some(local)),
            },
        };
        let privileged = mechanism == Mechanism::Seccomp && subject.container.is_privileged();
        if privileged {
            let remark = Some(Remark::Privileged);
            return Self { remark, ..bare(Class::Unconfined, None) };
        }
        let winner = winner(subject, mechanism).filter(|(kind, profile, _)| {
            Mechanism::of(*kind) == mechanism && known.is_enabled(*kind, profile)
        });
        if let Some((_, profile, binding)) = winner {
            if this.class == Class::Profile && this.name.as_deref() == Some(profile) {
                this.binding = Some(binding.name.to_string());
            } else if this.recording.is_none()
                && (binding.overriding == Override::Always || this.class == Class::Unset)
            {
                this.next = Some(profile.to_owned());
            }
        }
        this
    }

    /// Counts it among the shares.
    pub(super) fn count(&self, share: &mut Share) {
        match (self.class, &self.recording) {
            (Class::Profile, _) => share.profile += 1,
            (_, Some(_)) => share.recording += 1,
            (Class::RuntimeDefault, None) => share.runtime_default += 1,
            (Class::Localhost, None) => share.localhost += 1,
            (Class::Unset, None) => share.unset += 1,
            (Class::Unconfined, None) => share.unconfined += 1,
        }
    }

    /// In few words.
    pub(crate) fn words(&self) -> String {
        let name = self.name.as_deref().unwrap_or("various");
        match self.class {
            Class::Profile | Class::Localhost => name.to_owned(),
            Class::RuntimeDefault => "RuntimeDefault".to_owned(),
            Class::Unset => "not set".to_owned(),
            Class::Unconfined => "Unconfined".to_owned(),
        }
    }

    /// What there is to say besides.
    pub(crate) fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        details.extend(self.binding.as_ref().map(|binding| format!("by binding {binding}")));
        details.extend(self.recording.as_ref().map(|name| format!("recorded by {name}")));
        details.extend(self.next.as_ref().map(|name| format!("will get {name} when made anew")));
        details.extend(self.remark.map(|remark| remark.as_str().to_owned()));
        details
    }
}

impl Class {
    /// Of this class, and nothing else is said: several that differ.
    pub(super) fn of_several(self) -> Confinement {
        Confinement {
            class: self,
            name: None,
            binding: None,
            recording: None,
            next: None,
            remark: None,
        }
    }
}

impl Remark {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::NoObject => "no such profile",
            Self::RecordingOver => "its recording is over",
        }
    }
}

fn chosen<'a>(subject: &Subject<'a>, mechanism: Mechanism) -> Chosen<'a> {
    let own = subject.container.security_context.as_ref();
    let pod = subject.spec.security_context.as_ref();
    let field = |field: fn(&Context) -> &Option<Source>| {
        let set = |context: Option<&'a Context>| {
            field(context?).as_ref().filter(|source| !source.type_.is_empty())
        };
        (set(own), set(pod))
    };
    match mechanism {
        Mechanism::Seccomp => {
            let (own, pod) = field(|context| &context.seccomp_profile);
            own.or(pod).map_or(Chosen::Nothing, of_source)
        }
        Mechanism::Apparmor => {
            let (own, pod) = field(|context| &context.app_armor_profile);
            let key = format!("{APPARMOR_ANNOTATION}{}", subject.container.name);
            let annotated = subject.annotations.get(&key).map(|value| match value.as_str() {
                "runtime/default" => Chosen::RuntimeDefault,
                "unconfined" => Chosen::Unconfined,
                value => Chosen::Local(value.strip_prefix("localhost/").unwrap_or(value)),
            });
            let own = own.map(of_source).or(annotated);
            own.or_else(|| pod.map(of_source)).unwrap_or(Chosen::Nothing)
        }
        Mechanism::Selinux => {
            let options = |context: Option<&'a Context>| context?.se_linux_options.as_ref();
            // A container's options replace the pod's as a whole.
            let options = options(own).or_else(|| options(pod));
            match options.and_then(|options| options.type_.as_deref()).unwrap_or_default() {
                "" => Chosen::Nothing,
                type_ if UNCONFINED_TYPES.contains(&type_) => Chosen::Unconfined,
                type_ => Chosen::Local(type_),
            }
        }
    }
}

fn of_source(source: &Source) -> Chosen<'_> {
    match source.type_.as_str() {
        "RuntimeDefault" => Chosen::RuntimeDefault,
        "Unconfined" => Chosen::Unconfined,
        _ => Chosen::Local(source.localhost_profile.as_deref().unwrap_or_default()),
    }
}

/// The name of the profile of ours that a pod calls so.
fn ours<'a>(known: &Known, mechanism: Mechanism, local: &'a str) -> Option<&'a str> {
    match mechanism {
        Mechanism::Seccomp => local.strip_prefix("operator/")?.strip_suffix(".json"),
        Mechanism::Selinux => local.strip_suffix(".process"),
        // Anything else on the node may have such a name.
        Mechanism::Apparmor => known.has(mechanism, local).then_some(local),
    }
}

fn is_for_recordings(mechanism: Mechanism, local: &str) -> bool {
    let kind = match mechanism {
        Mechanism::Seccomp => RecordingKind::SeccompProfile,
        Mechanism::Selinux => RecordingKind::SelinuxProfile,
        Mechanism::Apparmor => RecordingKind::AppArmorProfile,
    };
    Mark::of(Recorder::Logs, kind).confinement.is_some_and(|(_, name)| name == local)
}

fn winner<'a>(
    subject: &Subject<'a>,
    mechanism: Mechanism,
) -> Option<(ProfileKind, &'a str, &'a profile::bindings::Binding)> {
    let bindings = subject.space?.bindings()?;
    let image = Reference::parse(&subject.container.image).ok();
    let target = Target {
        image: image.as_ref(),
        container: &subject.container.name,
        labels: subject.labels,
    };
    let binding = bindings.winner(mechanism, &target)?;
    Some((binding.kind, &binding.profile, binding))
}
