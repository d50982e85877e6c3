//! What is read of a folder, and what is said of what cannot be.

use std::{path::Path, time::Duration};

use rstest::rstest;

use super::*;

const BINDING: &str = "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: ProfileBinding
metadata: {name: b, namespace: ns}
spec: {profileRef: {kind: SeccompProfile, name: p}, image: nginx}
";

const RECORDING: &str = "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: ProfileRecording
metadata: {name: r, namespace: ns}
spec: {kind: SeccompProfile, recorder: , podSelector: {}, stopAfter: X}
";

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

fn problems(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", text);
    let (_, problems) = Folder::new(folder.path().to_owned()).read();
    let root = folder.path().to_string_lossy().into_owned() + "/";
    problems.iter().map(|problem| problem.to_string().replace(&root, "")).collect()
}

#[rstest]
#[case::image(&BINDING.replace("nginx", "Nginx"), "a.yaml, document 1: spec.image")]
#[case::field_type(&BINDING.replace("image: nginx", "image: [1]"), "a.yaml, document 1: spec.image: invalid type")]
#[case::unknown_enum(&BINDING.replace("SeccompProfile", "Seccomp"), "a.yaml, document 1: spec.profileRef.kind: ")]
#[case::missing_field(&BINDING.replace(", image: nginx", ""), "a.yaml, document 1: spec: missing field `image`")]
#[case::no_name(&BINDING.replace("name: b, ", ""), "a.yaml, document 1: metadata.name: missing")]
#[case::unknown_kind(&BINDING.replace("ProfileBinding", "ProfileBindings"), "a.yaml, document 1: kind: ProfileBindings is none")]
#[case::stop_after(&RECORDING.replace('X', "soon"), "a.yaml, document 1: spec.stopAfter: ")]
#[case::no_kind("a: b", "a.yaml, document 1: kind: missing")]
#[case::second(&format!("{BINDING}---\n{}", BINDING.replace("nginx", "a b")), "a.yaml, document 2: spec.image")]
#[case::twice(&format!("{BINDING}---\n{BINDING}"), "a.yaml, document 2: ProfileBinding b is defined a second time here")]
#[case::no_yaml("a: [", "a.yaml: not valid YAML: ")]
#[case::bad_selector(&BINDING.replace("image:", "podSelector: {matchExpressions: [{key: a, operator: Is}]}, image:"), "a.yaml, document 1: spec.podSelector: unknown operator")]
fn names_file_document_and_field(#[case] text: &str, #[case] expected: &str) {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with(expected), "{problems:?}");
}

#[test]
fn a_field_left_empty_is_one_that_is_not_there() {
    assert_eq!(problems(&RECORDING.replace('X', "10m")), Vec::<String>::new());
}

#[test]
fn a_bad_file_keeps_its_last_good_state_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::new(dir.path().to_owned());
    write(dir.path(), "a.yaml", BINDING);
    write(dir.path(), "b.yaml", &BINDING.replace("name: b", "name: c"));
    assert_eq!(folder.read().0.count(Kind::Binding), 2);

    write(dir.path(), "a.yaml", "kind: [");
    write(dir.path(), "b.yaml", "");
    let (world, problems) = folder.read();
    assert_eq!((world.count(Kind::Binding), problems.len()), (1, 1));

    write(
        dir.path(),
        "a.yaml",
        &format!("{BINDING}---\n{}", BINDING.replace("name: b", "name: d")),
    );
    let (world, problems) = folder.read();
    assert_eq!((world.count(Kind::Binding), problems.len()), (2, 0));

    std::fs::remove_file(dir.path().join("a.yaml")).unwrap();
    assert_eq!(folder.read().0.count(Kind::Binding), 0);
}

#[test]
fn lists_json_and_foreign_kinds_are_read_and_hidden_files_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let item = BINDING.replace('\n', "\n    ");
    write(dir.path(), "list.yml", &format!("kind: List\napiVersion: v1\nitems:\n  - {item}"));
    let json = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "labels": {"spo.x-k8s.io/enable-binding": ""}}}"#;
    write(dir.path(), "ns.json", json);
    write(
        dir.path(),
        "foreign.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n---\n",
    );
    write(dir.path(), ".hidden.yaml", "kind: [");
    write(dir.path(), "notes.txt", "kind: [");
    let (mut world, problems) = Folder::new(dir.path().to_owned()).read();
    assert_eq!(problems, []);
    assert_eq!((world.count(Kind::Binding), world.count(Kind::Namespace)), (1, 1));
    assert!(!world.snapshot().switches("ns").recording);
}

#[tokio::test]
async fn a_change_is_seen_also_when_a_mounted_folder_is_replaced_by_renaming() {
    let dir = tempfile::tempdir().unwrap();
    // As a ConfigMap is mounted: files are links through ..data, which is replaced by a rename.
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
    };
    for (version, image) in [("v1", "nginx"), ("v2", "redis")] {
        std::fs::create_dir(dir.path().join(version)).unwrap();
        write(&dir.path().join(version), "a.yaml", &BINDING.replace("nginx", image));
    }
    link("v1", "..data");
    link("..data/a.yaml", "a.yaml");
    let published = Published::default();
    let source = Box::new(Folder::new(dir.path().to_owned()));
    let running = tokio::spawn(source.run(published.clone()));
    let image = || {
        let snapshot = published.load();
        let namespace = snapshot.namespaces.get("ns")?;
        let image = profile::image::Reference::parse("redis").ok()?;
        let labels = BTreeMap::new();
        let target =
            profile::bindings::Target { image: Some(&image), container: "c", labels: &labels };
        Some(namespace.bindings.winner(profile::mechanism::Mechanism::Seccomp, &target).is_some())
    };
    let until = async |wanted: bool| {
        while image() != Some(wanted) {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, until(false)).await.expect("the first state is read");
    link("v2", "..data_tmp");
    std::fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    tokio::time::timeout(limit, until(true)).await.expect("the new state is read");
    running.abort();
}
