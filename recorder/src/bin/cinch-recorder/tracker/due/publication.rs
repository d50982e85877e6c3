//! What is written of a profile: all that its subjects were seen doing here. Pure.

use profile::kinds::{MergeStrategy, RecordingKind};
use recorder::{learned::ledger, seen::Seen};

use super::{
    super::{Key, Subject, SubjectKey, Tracked},
    TargetKey,
};

/// What a publication says: as long as it is the same there is nothing to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) revision: u64,
    pub(super) instances: usize,
    pub(super) partial: bool,
}

/// A profile that has to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) target: TargetKey,
    pub(crate) kind: RecordingKind,
    pub(crate) recording: Key,
    pub(crate) recording_uid: String,
    pub(crate) container: String,
    pub(crate) seen: Seen,
    /// The names of the pods that it is made of here.
    pub(crate) pods: Vec<String>,
    /// What each instance was seen doing here, by a name that no other one has; empty where a profile is of one.
    pub(crate) instances: Vec<(String, Seen)>,
    pub(crate) partial: bool,
    /// Whether nothing more can come from here.
    pub(super) over: bool,
    pub(crate) disable: bool,
    pub(super) stamp: Stamp,
}

#[cfg(test)]
impl Publication {
    /// Of one pod of `default/web`, for the seccomp profile of this name.
    pub(crate) fn of_test(uid: &str, name: &str, seen: Seen) -> Self {
        let kind = RecordingKind::SeccompProfile;
        Self {
            target: TargetKey { kind: kind.as_str(), name: name.to_owned() },
            kind,
            recording: Key { namespace: "default".to_owned(), name: "web".to_owned() },
            recording_uid: uid.to_owned(),
            container: "main".to_owned(),
            seen,
            pods: vec!["web-0".to_owned()],
            instances: Vec::new(),
            partial: false,
            over: true,
            disable: false,
            stamp: Stamp { revision: 1, instances: 1, partial: false },
        }
    }
}

/// What is counted of the subjects of a profile: those of which something was seen. One more than there is room for says that there
/// were more; the oldest come first, so that it stays the same ones.
pub(super) fn instances(subjects: &[(&SubjectKey, &Tracked)]) -> Vec<(String, Seen)> {
    let united = |(_, tracked): &&(&SubjectKey, &Tracked)| {
        let Subject { merge, seen, .. } = &tracked.subject;
        *merge == MergeStrategy::Containers && !seen.is_empty()
    };
    let mut counted: Vec<_> = subjects.iter().filter(united).collect();
    counted.sort_by_key(|(_, tracked)| tracked.subject.began);
    let counted = counted.into_iter().take(ledger::INSTANCES_MAX + 1);
    let named = counted.map(|(key, tracked)| {
        (format!("{}/{}", key.pod_uid, key.container), tracked.subject.seen.clone())
    });
    named.collect()
}
