//! What is written into a folder, and what is left alone.

use std::collections::BTreeSet;

use profile::kinds::seccomp::Arch;
use recorder::{base::Base, seen::Seen};

use super::*;

const MAKING: Making = Making { machine: Arch::X86_64, base: Base::None, selinux_type: None };

/// A publication of a recording with this uid, of these calls.
fn publication(uid: &str, calls: &[&str]) -> Publication {
    let mut seen = Seen::default();
    for call in calls {
        seen.call(Arch::X86_64, profile::syscall::number(Arch::X86_64, call).unwrap());
    }
    Publication::of_test(uid, "web-main", seen)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_profile_is_written_whole_and_grows_with_its_recording() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path(), MAKING, true).unwrap();
    // One that was killed while it wrote has left this.
    fs::write(folder.path().join(".seccompprofile-web-main.yaml.new"), "half").unwrap();
    assert_eq!(files.publish(&publication("u", &["read"])), Outcome::Written);
    assert_eq!(files.publish(&publication("u", &["write"])), Outcome::Written);
    assert_eq!(names(folder.path()), ["seccompprofile-web-main.yaml".to_owned()].into());
    let text = fs::read_to_string(folder.path().join("seccompprofile-web-main.yaml")).unwrap();
    let profile: SeccompProfile = sole(&text).unwrap();
    let calls: Vec<_> = profile.spec.syscalls.iter().flat_map(|rule| &rule.names).collect();
    // The last thing that a runtime does is to start the program.
    assert_eq!(calls, ["execve", "read", "write"]);
}

#[test]
fn what_is_not_of_the_recording_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path(), MAKING, true).unwrap();
    let path = folder.path().join("seccompprofile-web-main.yaml");
    assert_eq!(files.publish(&publication("other", &["read"])), Outcome::Written);
    let of_other = fs::read_to_string(&path).unwrap();
    for text in [&*of_other, "no profile", "", "apiVersion: v1\nkind: Pod\n"] {
        fs::write(&path, text).unwrap();
        assert_eq!(files.publish(&publication("u", &["write"])), Outcome::Taken, "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path(), MAKING, true).unwrap();
    for name in ["../x", "a/b", ".x", "a\0b", "Ü", &"x".repeat(LONGEST + 1)] {
        assert!(files.path(name).is_err(), "{name}");
    }
    let mut publication = publication("u", &["read"]);
    publication.target.name = "/../../x".to_owned();
    assert_eq!(files.publish(&publication), Outcome::Failed);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn what_was_said_of_a_recording_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key { namespace: "shop".to_owned(), name: "web".to_owned() };
    let status = ProfileRecordingStatus {
        phase: Some(profile::kinds::RecordingPhase::Complete),
        ..ProfileRecordingStatus::default()
    };
    Files::open(folder.path(), MAKING, true).unwrap().keep(&key, &status).unwrap();
    let files = Files::open(folder.path(), MAKING, true).unwrap();
    assert_eq!(files.status(&key), Some(status));
    files.forget(&key);
    assert_eq!(files.status(&key), None);
}
