//! What is recorded.

use super::*;

#[rstest]
#[case(
    "SeccompProfile",
    "Logs",
    "trace-logs",
    Some(Confinement::Seccomp(localhost("operator/log-enricher-trace.json")))
)]
#[case("SelinuxProfile", "Logs", "trace-avcs", Some(Confinement::Selinux("selinuxrecording.process".into())))]
#[case(
    "AppArmorProfile",
    "Logs",
    "trace-logs-apparmor",
    Some(Confinement::Apparmor(localhost("apparmorrecording")))
)]
#[case("SeccompProfile", "Bpf", "trace-bpf", None)]
#[case("AppArmorProfile", "Bpf", "trace-bpf-apparmor", None)]
#[case("SelinuxProfile", "Bpf", "trace-bpf-selinux", Some(Confinement::Selinux("selinuxrecording.process".into())))]
fn each_recorder_and_kind_has_its_mark(
    #[case] kind: &str,
    #[case] recorder: &str,
    #[case] stem: &str,
    #[case] field: Option<Confinement>,
) {
    let case = Case::recording([recording("r", kind, recorder)]);
    let key = format!("io.containers.{stem}/c");
    let mark = Change::Annotate { key, value: "r_c_ours1_1700000000".into() };
    let expected: Vec<_> = std::iter::once(mark).chain(field.map(first)).collect();
    assert_eq!(case.changes(&plain()), expected);
    let mut other = plain();
    other["metadata"]["labels"] = json!({"app": "db"});
    assert_eq!(case.changes(&other), []);
}

#[test]
fn a_mark_of_ours_stays_and_one_that_came_with_the_pod_does_not() {
    let case = Case::recording([recording("r", "SeccompProfile", "Bpf")]);
    let key = "io.containers.trace-bpf/c";
    let with = |value: &str| annotated(key, value, json!(null), json!(null));
    assert_eq!(case.changes(&with("r_c_ours9_1700000000")), []);
    let replaced = Change::Annotate { key: key.into(), value: "r_c_ours1_1700000000".into() };
    for value in ["r_c_theirs_1700000000", "x_c_ours9_1700000000", "r_c_ours9_", "", "r_c"] {
        assert_eq!(case.changes(&with(value)), std::slice::from_ref(&replaced), "{value:?}");
        assert_eq!(case.reasons(&with(value)), ["foreign-mark"], "{value:?}");
    }
}

#[test]
fn a_mark_that_no_recording_stands_behind_is_removed() {
    let case = Case::recording([]);
    let with = |key: &str, value: &str| annotated(key, value, json!(null), json!(null));
    let key = "io.containers.trace-logs/c";
    let removed = Change::RemoveAnnotation { key: key.into() };
    assert_eq!(case.changes(&with(key, "r_c_theirs_1")), [removed]);
    assert_eq!(case.changes(&with(key, "r_c_ours1_1")), [], "another replica may know more");
    assert_eq!(case.changes(&with("io.containers.trace-syscall", "of:/x.json")), [], "not ours");
}

#[test]
fn what_is_recorded_from_logs_is_not_bound() {
    let mut case = Case::recording([recording("r", "SeccompProfile", "Logs")]);
    case.namespace.bindings = Bindings::new([seccomp("nginx", json!({}))]);
    assert_eq!(case.results(&plain()), [BindResult::Recorded]);
    assert_eq!(case.reasons(&plain()), ["recorded-instead"]);
    case.tasks = Tasks { bind: true, record: false, recording_on: true };
    assert_eq!(case.changes(&plain()), [], "the other request does not undo it either");
    case.tasks = BIND;
    assert_eq!(
        case.results(&plain()),
        [BindResult::Written],
        "a namespace that does not record binds"
    );
}

#[test]
fn what_is_recorded_by_ebpf_is_bound_as_well() {
    let mut case = Case::recording([recording("r", "SeccompProfile", "Bpf")]);
    case.namespace.bindings = Bindings::new([seccomp("nginx", json!({}))]);
    assert_eq!(case.changes(&plain()).len(), 2);
}

#[test]
fn the_first_recording_by_name_gets_the_mark() {
    let case = Case::recording([
        recording("z", "SeccompProfile", "Bpf"),
        recording("a", "SeccompProfile", "Bpf"),
    ]);
    case.decide(&plain(), |decision| {
        let recorded: Vec<_> = decision.recorded.iter().map(|r| r.recording).collect();
        assert_eq!(recorded, ["a"]);
    });
    assert_eq!(case.reasons(&plain()), ["also-recorded"]);
}

#[test]
fn a_privileged_container_cannot_be_recorded_through_seccomp_logs() {
    let case = Case::recording([recording("r", "SeccompProfile", "Logs")]);
    let pod = pod(json!({"privileged": true}), json!(null));
    assert_eq!((case.changes(&pod), case.reasons(&pod)), (vec![], vec!["privileged"]));
}

#[test]
fn recording_overrides_what_the_pod_says_and_tells_of_it() {
    let case = Case::recording([recording("r", "SeccompProfile", "Logs")]);
    let pod = pod(json!({"seccompProfile": {"type": "RuntimeDefault"}}), json!(null));
    assert_eq!(case.reasons(&pod), ["override"]);
}
