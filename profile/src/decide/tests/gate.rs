//! What is not on the nodes yet.

use super::*;

fn gating(image: &str, more: Value) -> Case {
    let mut spec = json!({"whenNotReady": "Gate"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut case = Case::new([seccomp(image, spec)]);
    case.profiles.insert(ProfileKind::SeccompProfile, "web", Readiness::NotYet("Pending"));
    case
}

fn gates(case: &Case, pod: &Value) -> usize {
    case.changes(pod).iter().filter(|change| **change == Change::Gate).count()
}

#[test]
fn a_pod_waits_behind_one_gate_for_profiles_that_are_not_on_the_nodes() {
    let mut case = gating("nginx", json!({}));
    let mut two = plain();
    two["spec"]["initContainers"] = json!([{"name": "i", "image": "nginx"}]);
    assert_eq!(gates(&case, &two), 1);
    assert_eq!(case.reasons(&two), ["gated", "gated"]);
    assert_eq!(case.changes(&two).len(), 3, "both are bound as well");
    case.profiles.insert(ProfileKind::SeccompProfile, "web", Readiness::Ready);
    assert_eq!((gates(&case, &two), case.reasons(&two)), (0, vec![]));
}

#[rstest]
#[case::null(json!(null), 1)]
#[case::empty(json!([]), 1)]
#[case::of_others(json!([{"name": "example.com/wait"}]), 1)]
#[case::ours(json!([{"name": "example.com/wait"}, {"name": "spo.x-k8s.io/profile-not-ready"}]), 0)]
fn a_gate_is_added_to_those_of_others_and_never_twice(#[case] before: Value, #[case] count: usize) {
    let case = gating("nginx", json!({}));
    let mut pod = plain();
    pod["spec"]["schedulingGates"] = before;
    assert_eq!((gates(&case, &pod), case.reasons(&pod)), (count, vec!["gated"]));
}

#[test]
fn a_container_that_has_the_profile_already_waits_as_well() {
    let profile = json!({"type": "Localhost", "localhostProfile": "operator/web.json"});
    let pod = pod(json!({ "seccompProfile": profile }), json!(null));
    assert_eq!(gating("nginx", json!({})).changes(&pod), [Change::Gate]);
}

#[rstest]
#[case::bind(json!({"whenNotReady": "Bind"}), plain(), "profile-not-installed")]
#[case::kept(json!({"override": "IfUnset"}), pod(json!({"seccompProfile": {"type": "Unconfined"}}), json!(null)), "")]
#[case::privileged(json!({}), pod(json!({"privileged": true}), json!(null)), "privileged")]
fn a_pod_that_needs_nothing_from_the_nodes_does_not_wait(
    #[case] more: Value,
    #[case] pod: Value,
    #[case] reason: &str,
) {
    let case = gating("nginx", more);
    assert_eq!(gates(&case, &pod), 0);
    assert_eq!(case.reasons(&pod).first().copied().unwrap_or_default(), reason);
}

#[rstest]
#[case::missing(None, BindResult::Missing)]
#[case::disabled(Some(Readiness::Disabled), BindResult::Disabled)]
fn a_pod_does_not_wait_for_what_will_never_come(
    #[case] readiness: Option<Readiness>,
    #[case] result: BindResult,
) {
    let spec = json!({"whenNotReady": "Gate"});
    let mut case = Case::new([binding("b", "SeccompProfile", "gone", "nginx", spec)]);
    if let Some(readiness) = readiness {
        case.profiles.insert(ProfileKind::SeccompProfile, "gone", readiness);
    }
    assert_eq!((gates(&case, &plain()), case.results(&plain())), (0, vec![result]));
}

#[test]
fn a_pod_that_names_its_node_cannot_be_held() {
    let mut pod = plain();
    pod["spec"]["nodeName"] = json!("node");
    let case = gating("nginx", json!({}));
    assert_eq!((gates(&case, &pod), case.reasons(&pod)), (0, vec!["not-gated"]));
    pod["spec"]["nodeName"] = json!("");
    assert_eq!(gates(&case, &pod), 1);
}

#[test]
fn an_ephemeral_container_comes_too_late_for_a_gate() {
    let mut pod = plain();
    pod["spec"]["ephemeralContainers"] = json!([{"name": "new", "image": "nginx"}]);
    gating("nginx", json!({})).scoped(&pod, Scope::Ephemeral { before: &[] }, |decision| {
        assert!(!decision.gated && !decision.changes.contains(&Change::Gate));
        assert_eq!(decision.notes[0].reason(), "profile-not-installed");
    });
}

#[test]
fn what_is_recorded_from_logs_is_not_held() {
    let mut case = gating("nginx", json!({}));
    case.namespace.recordings = Recordings::new([recording("r", "SeccompProfile", "Logs")]);
    case.tasks = BOTH;
    assert_eq!((gates(&case, &plain()), case.reasons(&plain())), (0, vec!["recorded-instead"]));
}
