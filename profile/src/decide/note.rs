//! What the client that makes a pod ought to know. Pure.

use std::{borrow::Cow, fmt};

use crate::{kinds::ProfileKind, mechanism::Mechanism, pod::PROFILE_NOT_READY, snapshot::Invalid};

/// A warning, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note<'a> {
    Missing {
        container: &'a str,
        kind: ProfileKind,
        profile: &'a str,
        binding: &'a str,
    },
    Disabled {
        container: &'a str,
        kind: ProfileKind,
        profile: &'a str,
        binding: &'a str,
    },
    NotInstalled {
        container: &'a str,
        kind: ProfileKind,
        profile: &'a str,
        status: &'static str,
    },
    Gated {
        container: &'a str,
        kind: ProfileKind,
        profile: &'a str,
        status: &'static str,
    },
    NotGated {
        container: &'a str,
        kind: ProfileKind,
        profile: &'a str,
        status: &'static str,
    },
    Privileged {
        container: &'a str,
        by: By<'a>,
    },
    Overrides {
        container: &'a str,
        mechanism: Mechanism,
        value: Cow<'a, str>,
        by: By<'a>,
    },
    RecordedInstead {
        container: &'a str,
        mechanism: Mechanism,
        binding: &'a str,
        recording: &'a str,
    },
    AlsoRecorded {
        container: &'a str,
        recording: &'a str,
        instead: &'a str,
    },
    ForeignMark {
        key: &'a str,
    },
    Legacy {
        key: &'a str,
        field: &'static str,
    },
    LegacyReplaced {
        key: &'a str,
        value: &'a str,
    },
    LegacyUnknown {
        key: &'a str,
        value: &'a str,
    },
    Invalid(&'a Invalid),
}

/// The object in whose name something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    Binding(&'a str),
    Recording(&'a str),
}

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binding(name) => write!(f, "ProfileBinding {name}"),
            Self::Recording(name) => write!(f, "ProfileRecording {name}"),
        }
    }
}

impl<'a> Note<'a> {
    /// A word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "profile-missing",
            Self::Disabled { .. } => "profile-disabled",
            Self::NotInstalled { .. } => "profile-not-installed",
            Self::Gated { .. } => "gated",
            Self::NotGated { .. } => "not-gated",
            Self::Privileged { .. } => "privileged",
            Self::Overrides { .. } => "override",
            Self::RecordedInstead { .. } => "recorded-instead",
            Self::AlsoRecorded { .. } => "also-recorded",
            Self::ForeignMark { .. } => "foreign-mark",
            Self::Legacy { .. } => "legacy-annotation",
            Self::LegacyReplaced { .. } => "legacy-replaced",
            Self::LegacyUnknown { .. } => "legacy-unknown",
            Self::Invalid(_) => "invalid-object",
        }
    }

    /// The container it is about; without one it is about the pod.
    pub fn container(&self) -> Option<&'a str> {
        match self {
            Self::Missing { container, .. }
            | Self::Disabled { container, .. }
            | Self::NotInstalled { container, .. }
            | Self::Gated { container, .. }
            | Self::NotGated { container, .. }
            | Self::Privileged { container, .. }
            | Self::Overrides { container, .. }
            | Self::RecordedInstead { container, .. }
            | Self::AlsoRecorded { container, .. } => Some(container),
            Self::ForeignMark { .. }
            | Self::Legacy { .. }
            | Self::LegacyReplaced { .. }
            | Self::LegacyUnknown { .. }
            | Self::Invalid(_) => None,
        }
    }
}

/// The text without the container, so that the same warning for several containers is given once.
impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { kind, profile, binding, .. } => write!(
                f,
                "{kind} {profile} does not exist: not applied, although ProfileBinding {binding} asks for it"
            ),
            Self::Disabled { kind, profile, binding, .. } => write!(
                f,
                "{kind} {profile} is disabled: not applied, although ProfileBinding {binding} asks for it"
            ),
            Self::NotInstalled { kind, profile, status, .. } => write!(
                f,
                "{kind} {profile} is not installed yet (status {status}): the container waits until it is"
            ),
            Self::Gated { kind, profile, status, .. } => write!(
                f,
                "{kind} {profile} is not installed yet (status {status}): the pod is scheduled when it is, which {PROFILE_NOT_READY} waits for"
            ),
            Self::NotGated { kind, profile, status, .. } => write!(
                f,
                "{kind} {profile} is not installed yet (status {status}): no gate can hold a pod that names its node, so the container waits until it is"
            ),
            Self::Privileged { by, .. } => write!(
                f,
                "privileged, and the kubelet gives a privileged container no seccomp profile: {by} has no effect there"
            ),
            Self::Overrides { mechanism, value, by, .. } => {
                write!(f, "{mechanism} {value} of the pod is overridden by {by}")
            }
            Self::RecordedInstead { mechanism, binding, recording, .. } => write!(
                f,
                "{mechanism} is recorded by ProfileRecording {recording}: ProfileBinding {binding} is not applied"
            ),
            Self::AlsoRecorded { recording, instead, .. } => write!(
                f,
                "already recorded by ProfileRecording {instead}: ProfileRecording {recording} gets nothing from it"
            ),
            Self::ForeignMark { key } => {
                write!(
                    f,
                    "annotation {key} came with the pod and was not kept: only a ProfileRecording sets it"
                )
            }
            Self::Legacy { key, field } => {
                write!(
                    f,
                    "annotation {key} is ignored since Kubernetes 1.27 and was turned into {field}: set that"
                )
            }
            Self::LegacyReplaced { key, value } => write!(
                f,
                "annotation {key}: {value:?} is replaced by the profile that the container gets: take it out"
            ),
            Self::LegacyUnknown { key, value } => write!(
                f,
                "annotation {key}: {value:?} is none of runtime/default, docker/default, unconfined, localhost/<path>"
            ),
            Self::Invalid(Invalid { kind, name, reason }) => {
                write!(f, "{kind} {name} is invalid and has no effect: {reason}")
            }
        }
    }
}
