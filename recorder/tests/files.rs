//! `cinch merge`, `diff` and `check`, as a person or a script calls them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use tempfile::TempDir;

fn seccomp(name: &str, calls: &str) -> String {
    format!(
        "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {{name: {name}}}\n\
         spec: {{defaultAction: SCMP_ACT_ERRNO, syscalls: [{{names: [{calls}], action: SCMP_ACT_ALLOW}}]}}\n"
    )
}

fn selinux(permissions: &str) -> String {
    format!(
        "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SelinuxProfile\nmetadata: {{name: s}}\n\
         spec: {{allow: {{var_log_t: {{file: [{permissions}]}}}}}}\n"
    )
}

struct Files(TempDir);

impl Files {
    fn new(texts: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in texts {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn cinch(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cinch"))
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn what_is_merged_stays_within_nothing_but_the_union() {
    let files =
        Files::new(&[("a", seccomp("a", "read, write")), ("b", seccomp("b", "read, mount"))]);
    let (code, merged, _) = files.cinch(&["merge", "a", "b"]);
    assert_eq!(code, 0);
    std::fs::write(files.path("m"), merged).unwrap();
    for part in ["a", "b"] {
        assert_eq!(files.cinch(&["check", "--baseline", "m", part]).0, 0);
        let (code, beyond, _) = files.cinch(&["check", "--baseline", part, "m"]);
        assert_eq!(code, 1);
        let call = if part == "a" { "mount" } else { "write" };
        assert!(beyond.contains(call), "{beyond}");
    }
}

#[test]
fn a_difference_is_told_and_is_an_exit_code() {
    let files = Files::new(&[("a", seccomp("a", "read")), ("b", seccomp("b", "read, mount"))]);
    assert_eq!(files.cinch(&["diff", "a", "a"]), (0, String::new(), String::new()));
    let (code, text, _) = files.cinch(&["diff", "a", "b"]);
    assert!(code == 1 && text.contains("mount"), "{text}");
    let (code, json, _) = files.cinch(&["diff", "-o", "json", "a", "b"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &value["same"]), (1, &serde_json::Value::Bool(false)));
}

#[test]
fn the_json_of_a_runtime_is_compared_with_an_object() {
    let raw = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[]}]}"#;
    let files = Files::new(&[("a", seccomp("a", "read")), ("b", raw.to_owned())]);
    assert_eq!(files.cinch(&["diff", "a", "b"]).0, 0);
}

#[test]
fn a_profile_is_the_same_after_it_was_converted_there_and_back() {
    let files = Files::new(&[("a", seccomp("a", "read, write"))]);
    let (code, raw, _) = files.cinch(&["convert", "--to", "raw", "a"]);
    assert!(code == 0 && raw.contains("\"defaultAction\": \"SCMP_ACT_ERRNO\""), "{raw}");
    std::fs::write(files.path("raw"), raw).unwrap();
    let (_, back, _) = files.cinch(&["convert", "--to", "crd", "--name", "again", "raw"]);
    assert!(back.contains("name: again"), "{back}");
    std::fs::write(files.path("back"), back).unwrap();
    assert_eq!(files.cinch(&["diff", "a", "back"]), (0, String::new(), String::new()));
}

#[test]
fn a_shell_and_a_reader_get_what_they_need() {
    let files = Files::new(&[]);
    let (code, bash, _) = files.cinch(&["completions", "bash"]);
    assert!(code == 0 && bash.contains("record") && bash.contains("complete "));
    let (code, man, _) = files.cinch(&["man"]);
    assert!(code == 0 && man.starts_with(".ie") && man.contains("cinch"), "{man}");
}

#[test]
fn other_kinds_are_compared_too_but_not_with_one_another() {
    let files = Files::new(&[
        ("a", selinux("read")),
        ("b", selinux("read, write")),
        ("s", seccomp("s", "read")),
    ]);
    let (code, beyond, _) = files.cinch(&["check", "--baseline", "a", "b"]);
    assert_eq!((code, &*beyond), (1, "var_log_t file write\n"));
    let (code, _, error) = files.cinch(&["diff", "a", "s"]);
    assert!(code == 2 && error.contains("cannot be compared"), "{error}");
}

#[test]
fn a_mistake_in_a_file_is_named() {
    let files = Files::new(&[("bad", seccomp("a", "read").replace("ERRNO", "NO"))]);
    let (code, _, error) = files.cinch(&["merge", "bad"]);
    assert_eq!(code, 1);
    assert!(error.contains("bad, document 1") && error.contains("defaultAction"), "{error}");
}
