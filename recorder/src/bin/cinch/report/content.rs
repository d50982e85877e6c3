//! What a report says: the form of its JSON. Pure.

use k8s_openapi::jiff::Timestamp;
use profile::{kinds::recording::RecordedContainer, mechanism::Mechanism};
use serde::Serialize;

use super::{confinement::Confinement, pod::Role};

/// All of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) made: Made,
    pub(crate) totals: Totals,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) violations: Vec<Violation>,
    /// Different violations that are not in the list.
    pub(crate) violations_left_out: u64,
    /// What the report could not see, or what is wrong with what it saw.
    pub(crate) notes: Vec<String>,
}

/// When, by whom and of what it was made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    /// The address of the API server, or the folder.
    pub(crate) of: String,
    /// That of Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Empty for all.
    pub(crate) namespaces: Vec<String>,
}

/// What a workload, or one of its containers, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum State {
    /// A recording learns what it does.
    Recording,
    /// No profile of ours, and nothing is being learned.
    Disabled,
    /// It runs under a profile of ours.
    Applying,
}

/// How many workloads are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct States {
    pub(crate) applying: u64,
    pub(crate) recording: u64,
    pub(crate) disabled: u64,
}

/// What containers run under, by one mechanism: how many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Share {
    /// A profile of ours.
    pub(crate) profile: u64,
    /// None of ours, and it is being recorded.
    pub(crate) recording: u64,
    pub(crate) runtime_default: u64,
    /// Something on the node that is not ours.
    pub(crate) localhost: u64,
    /// Nothing was chosen: the runtime's own choice.
    pub(crate) unset: u64,
    pub(crate) unconfined: u64,
}

/// The shares of all mechanisms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shares {
    pub(crate) seccomp: Share,
    pub(crate) apparmor: Share,
    pub(crate) selinux: Share,
}

/// The figures of all namespaces together.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    pub(crate) namespaces: u64,
    pub(crate) workloads: States,
    pub(crate) pods: u64,
    pub(crate) containers: u64,
    pub(crate) shares: Shares,
    /// How often something was denied.
    pub(crate) denied: u64,
}

/// One namespace.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Namespace {
    pub(crate) name: String,
    /// Whether it has opted in to binding, and to recording.
    pub(crate) binding: bool,
    pub(crate) recording: bool,
    pub(crate) workloads: States,
    pub(crate) pods: u64,
    pub(crate) containers: u64,
    pub(crate) shares: Shares,
}

/// What owns pods.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Workload {
    pub(crate) namespace: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) pods: u64,
    /// Pods that wait until their profile is on the nodes.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) gated: u64,
    /// How many containers run, in all pods, and how many of these under a profile of ours.
    pub(crate) running: u64,
    pub(crate) confined: u64,
    /// How often its pods were denied something.
    pub(crate) denied: u64,
    pub(crate) containers: Vec<Container>,
}

/// Containers of one name, in all pods of a workload.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) images: Vec<String>,
    pub(crate) seccomp: Vec<Used>,
    pub(crate) apparmor: Vec<Used>,
    pub(crate) selinux: Vec<Used>,
}

/// What so many pods have of one mechanism.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Used {
    pub(crate) pods: u64,
    #[serde(flatten)]
    pub(crate) confinement: Confinement,
}

/// A recording, and how far it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recording {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) recorder: &'static str,
    /// Waiting, Recording or Complete; none where no recorder has said anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<&'static str>,
    pub(crate) paused: bool,
    /// Pods that are being recorded, at most 100.
    pub(crate) active: usize,
    pub(crate) containers: Vec<RecordedContainer>,
}

/// What was denied to the containers of one name of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Violation {
    pub(crate) namespace: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<String>,
    pub(crate) what: String,
    pub(crate) count: u64,
    pub(crate) pods: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Recording => "Recording",
            Self::Disabled => "Disabled",
            Self::Applying => "Applying",
        }
    }
}

impl States {
    pub(super) fn add(&mut self, state: State) {
        match state {
            State::Applying => self.applying += 1,
            State::Recording => self.recording += 1,
            State::Disabled => self.disabled += 1,
        }
    }

    pub(crate) fn all(self) -> u64 {
        self.applying + self.recording + self.disabled
    }
}

impl Shares {
    pub(super) fn of_mut(&mut self, mechanism: Mechanism) -> &mut Share {
        match mechanism {
            Mechanism::Seccomp => &mut self.seccomp,
            Mechanism::Selinux => &mut self.selinux,
            Mechanism::Apparmor => &mut self.apparmor,
        }
    }

    pub(crate) fn of(&self, mechanism: Mechanism) -> Share {
        self.clone().of_mut(mechanism).to_owned()
    }

    pub(super) fn union(&mut self, other: &Self) {
        for mechanism in Mechanism::ALL {
            self.of_mut(mechanism).union(other.of(mechanism));
        }
    }
}

impl Share {
    fn union(&mut self, other: Self) {
        self.profile += other.profile;
        self.recording += other.recording;
        self.runtime_default += other.runtime_default;
        self.localhost += other.localhost;
        self.unset += other.unset;
        self.unconfined += other.unconfined;
    }

    pub(crate) fn all(self) -> u64 {
        self.profile
            + self.recording
            + self.runtime_default
            + self.localhost
            + self.unset
            + self.unconfined
    }
}

impl Container {
    pub(super) fn of_mut(&mut self, mechanism: Mechanism) -> &mut Vec<Used> {
        match mechanism {
            Mechanism::Seccomp => &mut self.seccomp,
            Mechanism::Selinux => &mut self.selinux,
            Mechanism::Apparmor => &mut self.apparmor,
        }
    }

    pub(crate) fn of(&self, mechanism: Mechanism) -> &[Used] {
        match mechanism {
            Mechanism::Seccomp => &self.seccomp,
            Mechanism::Selinux => &self.selinux,
            Mechanism::Apparmor => &self.apparmor,
        }
    }
}
