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

const APPARMOR: &str = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: AppArmorProfile\nmetadata: {name: web}\n\
    spec: {abstract: {filesystem: {readOnlyPaths: [/etc/hosts], readWritePaths: ['/tmp/**']}, executable: {allowedExecutables: \
    [/usr/bin/nginx, /tmp/x]}, capability: {allowedCapabilities: [sys_admin]}}}\n";

const RAW_SELINUX: &str = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: RawSelinuxProfile\nmetadata: {name: r}\n\
    spec: {policy: \"(blockinherit container)\\n(allow process etc_t (file (read)))\\n\"}\n";

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// The names of all fields, at every depth.
fn fields(value: &serde_json::Value) -> std::collections::BTreeSet<String> {
    match value {
        serde_json::Value::Object(all) => {
            let below = all.values().flat_map(fields);
            all.keys().cloned().chain(below).collect()
        }
        serde_json::Value::Array(all) => all.iter().flat_map(fields).collect(),
        _ => std::collections::BTreeSet::new(),
    }
}

#[test]
fn every_kind_is_merged_and_compared() {
    let raw = RAW_SELINUX.replace("(file (read))", "(dir (search))");
    let files = Files::new(&[
        ("a", APPARMOR.to_owned()),
        ("b", APPARMOR.replace("/etc/hosts", "/etc/passwd")),
        ("c", APPARMOR.replace("/etc/hosts", "/etc/*")),
        ("r", RAW_SELINUX.to_owned()),
        ("s", raw),
    ]);
    for (one, other) in [("a", "b"), ("r", "s")] {
        let (code, merged, error) = files.cinch(&["merge", one, other]);
        assert_eq!((code, &*error), (0, ""));
        std::fs::write(files.path("m"), merged).unwrap();
        for part in [one, other] {
            assert_eq!(
                files.cinch(&["check", "--baseline", "m", part]),
                (0, String::new(), String::new())
            );
            assert_eq!(files.cinch(&["check", "--baseline", part, "m"]).0, 1);
        }
        assert_eq!(files.cinch(&["diff", one, one]), (0, String::new(), String::new()));
    }
    // A glob of the baseline is understood.
    assert_eq!(files.cinch(&["check", "--baseline", "c", "a"]).0, 0);
    let (code, beyond, _) = files.cinch(&["check", "--baseline", "a", "c"]);
    assert_eq!((code, &*beyond), (1, "read /etc/*\n"));
}

#[test]
fn what_cannot_be_compared_is_not_a_difference() {
    let files = Files::new(&[("a", seccomp("a", "read")), ("r", RAW_SELINUX.to_owned())]);
    for arguments in
        [&["diff", "a", "r"][..], &["diff", "a", "gone"], &["check", "--baseline", "r", "a"]]
    {
        let (code, out, error) = files.cinch(arguments);
        assert!(
            code == 2 && out.is_empty() && error.starts_with("error: "),
            "{arguments:?} {error}"
        );
    }
}

#[test]
fn every_kind_is_converted_to_what_nodes_are_given_and_back() {
    let files = Files::new(&[
        ("seccomp", seccomp("s", "read")),
        ("selinux", selinux("read")),
        ("raw", RAW_SELINUX.to_owned()),
        ("apparmor", APPARMOR.to_owned()),
    ]);
    for (file, language, kind, begins) in [
        ("seccomp", "oci", "SeccompProfile", "{"),
        ("selinux", "cil", "RawSelinuxProfile", "(block s\n"),
        ("raw", "cil", "RawSelinuxProfile", "(block r\n"),
        ("apparmor", "apparmor", "AppArmorProfile", "@{"),
    ] {
        let (code, text, error) = files.cinch(&["convert", "--to", "raw", file]);
        assert!(code == 0 && text.starts_with(begins), "{file}: {text}{error}");
        let (_, said, _) = files.cinch(&["convert", "--to", "raw", "-o", "json", file]);
        let said = json(&said);
        assert_eq!(
            (said["language"].as_str(), said["text"].as_str()),
            (Some(language), Some(&*text))
        );
        std::fs::write(files.path("text"), &text).unwrap();
        let (code, object, error) = files.cinch(&["convert", "--to", "crd", "-o", "json", "text"]);
        assert_eq!((code, &*error), (0, ""), "{text}");
        assert_eq!(json(&object)["kind"], kind);
        // The same comes out of what came back.
        std::fs::write(files.path("object"), &object).unwrap();
        let name = said["name"].as_str().unwrap();
        let (_, again, error) = files.cinch(&["convert", "--to", "raw", "--name", name, "object"]);
        let rules = |text: &str| -> Vec<String> {
            text.lines()
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect()
        };
        assert_eq!(rules(&again), rules(&text), "{error}");
    }
}

#[test]
fn a_stream_of_objects_is_read_one_by_one() {
    let stream =
        [seccomp("a", "read"), "kind: Pod\napiVersion: v1\n".to_owned(), seccomp("b", "write")]
            .join("---\n");
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: security-profiles-operator.x-k8s.io/v1, kind: SeccompProfile, \
        metadata: {name: l}, spec: {defaultAction: SCMP_ACT_ALLOW}}\n";
    let files = Files::new(&[
        ("all", stream.clone()),
        ("bad", stream.replace("[write]", "[wr-ite]")),
        ("list", list.to_owned()),
        ("cil", "(block a\n(typepermissive process))\n".to_owned()),
    ]);
    let (code, merged, _) = files.cinch(&["merge", "-o", "json", "all"]);
    assert_eq!(
        (code, &json(&merged)["spec"]["syscalls"][0]["names"]),
        (0, &serde_json::json!(["read", "write"]))
    );
    let (code, _, error) = files.cinch(&["merge", "bad"]);
    assert!(
        code == 1
            && error.contains("bad, document 3")
            && error.contains("spec.syscalls[0].names[0]"),
        "{error}"
    );
    let (code, _, error) = files.cinch(&["convert", "--to", "raw", "all"]);
    assert!(code == 1 && error.contains("all: it has 2 profiles"), "{error}");
    assert_eq!(files.cinch(&["convert", "--to", "raw", "list"]).0, 0);
    let (code, _, error) = files.cinch(&["explain", "cil"]);
    assert!(code == 1 && error.contains("typepermissive"), "{error}");
}

#[test]
fn how_many_instances_did_something_is_kept_when_profiles_are_merged_again() {
    let files = Files::new(&[
        ("a", seccomp("a", "read, mount")),
        ("b", seccomp("b", "read")),
        ("c", seccomp("c", "read, bpf")),
    ]);
    let (code, merged, said) = files.cinch(&["merge", "--counts", "a", "b"]);
    assert_eq!(
        (code, &*said),
        (0, "2 instances: 1 things were done by all, 1 by fewer: mount (1)\n")
    );
    std::fs::write(files.path("m"), merged).unwrap();
    let (_, merged, said) = files.cinch(&["merge", "--counts", "-o", "json", "m", "c"]);
    assert_eq!(said, "3 instances: 1 things were done by all, 2 by fewer: bpf (1), mount (1)\n");
    assert_eq!(
        json(&merged)["metadata"]["annotations"]["spo.x-k8s.io/seen-by"],
        r#"{"instances":3,"some":{"bpf":1,"mount":1}}"#
    );
    std::fs::write(files.path("m"), merged).unwrap();
    let (_, text, _) = files.cinch(&["explain", "m"]);
    assert!(text.contains("Done by few of 3 instances\n     1  bpf\n     1  mount\n"), "{text}");
    let (_, merged, _) = files.cinch(&["merge", "-o", "json", "m", "c"]);
    assert!(!merged.contains("seen-by"), "what was so of one is not so of all: {merged}");
}

#[test]
fn a_person_is_told_what_a_profile_lets_happen() {
    let recorded = seccomp("web", "read, openat, socket, execve, clone, exit_group, ptrace, mount");
    let files = Files::new(&[
        ("s", recorded),
        ("a", APPARMOR.to_owned()),
        ("l", selinux("read").replace("var_log_t", "shadow_t")),
    ]);
    let (code, text, error) = files.cinch(&["explain", "s"]);
    assert_eq!((code, &*error), (0, ""));
    for told in [
        "web (SeccompProfile)\n",
        "8 system calls are allowed.",
        "Any other call fails with EPERM (operation not permitted).",
        "  ! mount: changes what is mounted",
        "  ! ptrace: reads and changes other processes",
        "clone3 is refused, and not with ENOSYS",
        "files             2  openat, read\n",
        "network           1  socket\n",
    ] {
        assert!(text.contains(told), "{told}\n\n{text}");
    }
    let (_, text, _) = files.cinch(&["explain", "a"]);
    for told in [
        "  ! SYS_ADMIN: mounts",
        "  ! run /tmp/x: may write the same files (/tmp/**): whatever gets there runs",
        "reads",
    ] {
        assert!(text.contains(told), "{told}\n\n{text}");
    }
    let (_, text, _) = files.cinch(&["explain", "l"]);
    assert!(text.contains("  ! shadow_t file read: passwords of the host"), "{text}");
}

#[test]
fn one_thing_can_be_asked_about() {
    let with_condition = seccomp("web", "read").replace(
        "syscalls: [",
        "syscalls: [{names: [clone], action: SCMP_ACT_ALLOW, args: [{index: 0, op: SCMP_CMP_MASKED_EQ, value: 2114060288}]}, ",
    );
    let files =
        Files::new(&[("s", with_condition), ("a", APPARMOR.to_owned()), ("l", selinux("read"))]);
    for (arguments, code, told) in [
        (
            &["explain", "s", "read"][..],
            0,
            "read is allowed by web\n  rule 2 of 2: it is allowed\n",
        ),
        (&["explain", "s", "mount"], 1, "no rule names it: it fails with EPERM"),
        (&["explain", "s", "clone"], 0, "(no new namespaces)"),
        (&["explain", "a", "/etc/hosts"], 0, "by /etc/hosts: read it"),
        (&["explain", "a", "/tmp/y"], 0, "it may read it, write it, link it, lock it"),
        (&["explain", "a", "/etc/shadow"], 1, "no rule names it"),
        (
            &["explain", "a", "/dev/null"],
            0,
            "by /dev/{null,zero,full,tty,console}: read it, write it",
        ),
        (&["explain", "a", "CAP_SYS_ADMIN"], 0, "capability sys_admin,"),
        (&["explain", "a", "net_raw"], 1, "no rule names the capability"),
        (&["explain", "l", "var_log_t", "file", "read"], 0, "spec.allow.var_log_t.file: read"),
        (
            &["explain", "l", "var_log_t", "file", "write"],
            1,
            "what it inherits (container) may have one",
        ),
    ] {
        let (found, text, error) = files.cinch(arguments);
        assert_eq!((found, &*error), (code, ""), "{arguments:?}\n{text}");
        assert!(text.contains(told), "{told}\n\n{text}");
    }
    let (code, _, error) = files.cinch(&["explain", "s", "mont"]);
    assert!(code == 2 && error.contains("mont is no system call"), "{error}");
}

#[test]
fn scripts_find_the_same_fields_each_time() {
    let files = Files::new(&[("a", seccomp("a", "read")), ("b", seccomp("b", "read, bpf"))]);
    let merged = files.cinch(&["merge", "--counts", "a", "b"]).1;
    std::fs::write(files.path("m"), merged).unwrap();
    for (arguments, expected) in [
        (&["diff", "-o", "json", "a", "b"][..], "differences same"),
        (&["check", "-o", "json", "--baseline", "a", "b"], "beyond within"),
        (&["convert", "-o", "json", "--to", "raw", "a"], "language name text"),
        (
            &["explain", "-o", "json", "m"],
            "enforced entries groups instances kind level name of rare risks summary warnings what why",
        ),
        (&["explain", "-o", "json", "a", "read"], "allowed asked because kind name"),
    ] {
        let (_, text, _) = files.cinch(arguments);
        let found = fields(&json(&text)).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(found, expected, "{arguments:?}");
    }
}
