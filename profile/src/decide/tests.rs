//! What a decision comes to, feature by feature.

#![expect(clippy::needless_pass_by_value, reason = "json! literals read better without a borrow")]

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    bindings::{Binding, Bindings},
    recordings::{Recording, Recordings},
    snapshot::{Invalid, Readiness},
};

mod gate;
mod legacy;
mod recording;

/// Nonces that count, and that hold when they begin with "ours".
struct Counting(std::cell::Cell<u64>);

impl Seal for Counting {
    fn stamp(&self, _: &Subject<'_>) -> (String, u64) {
        self.0.set(self.0.get() + 1);
        (format!("ours{}", self.0.get()), 1_700_000_000)
    }

    fn holds(&self, _: &Subject<'_>, nonce: &str, _: u64) -> bool {
        nonce.starts_with("ours")
    }
}

/// A namespace, its profiles and what is asked.
struct Case {
    namespace: Namespace,
    profiles: Profiles,
    tasks: Tasks,
}

const BIND: Tasks = Tasks { bind: true, record: false, recording_on: false };
const BOTH: Tasks = Tasks { bind: true, record: true, recording_on: true };

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "ns"},
        "spec": spec,
    })
}

fn binding(name: &str, kind: &str, profile: &str, image: &str, more: Value) -> Arc<Binding> {
    let mut spec = json!({"profileRef": {"kind": kind, "name": profile}, "image": image});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let object = serde_json::from_value(object("ProfileBinding", name, &spec)).unwrap();
    Arc::new(Binding::new(&object).unwrap())
}

fn seccomp(image: &str, more: Value) -> Arc<Binding> {
    binding("b", "SeccompProfile", "web", image, more)
}

fn recording(name: &str, kind: &str, recorder: &str) -> Recording {
    let spec =
        json!({"kind": kind, "recorder": recorder, "podSelector": {"matchLabels": {"app": "web"}}});
    let object = serde_json::from_value(object("ProfileRecording", name, &spec)).unwrap();
    Recording::new(&object).unwrap().unwrap()
}

impl Case {
    fn new(bindings: impl IntoIterator<Item = Arc<Binding>>) -> Self {
        let mut profiles = Profiles::default();
        for (kind, name) in [
            (ProfileKind::SeccompProfile, "web"),
            (ProfileKind::SelinuxProfile, "web"),
            (ProfileKind::RawSelinuxProfile, "raw"),
            (ProfileKind::AppArmorProfile, "web"),
        ] {
            profiles.insert(kind, name, Readiness::Ready);
        }
        let namespace = Namespace { bindings: Bindings::new(bindings), ..Namespace::default() };
        Self { namespace, profiles, tasks: BIND }
    }

    fn recording(recordings: impl IntoIterator<Item = Recording>) -> Self {
        let mut case = Self::new([]);
        case.namespace.recordings = Recordings::new(recordings);
        case.tasks = BOTH;
        case
    }

    fn scoped<T>(
        &self,
        pod: &Value,
        scope: Scope<'_>,
        check: impl FnOnce(&Decision<'_>) -> T,
    ) -> T {
        let text = pod.to_string();
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        let question = Question {
            pod: &pod,
            namespace_name: "ns",
            namespace: &self.namespace,
            profiles: &self.profiles,
            tasks: self.tasks,
            scope,
        };
        check(&decide(&question, &Counting(0.into())))
    }

    fn decide<T>(&self, pod: &Value, check: impl FnOnce(&Decision<'_>) -> T) -> T {
        self.scoped(pod, Scope::Create, check)
    }

    fn changes(&self, pod: &Value) -> Vec<Change> {
        self.decide(pod, |decision| decision.changes.clone())
    }

    fn reasons(&self, pod: &Value) -> Vec<&'static str> {
        self.decide(pod, |decision| decision.notes.iter().map(Note::reason).collect())
    }

    fn results(&self, pod: &Value) -> Vec<BindResult> {
        self.decide(pod, |decision| decision.bound.iter().map(|bound| bound.result).collect())
    }
}

/// A pod with one container, of nginx, with the security contexts of container and pod.
fn pod(own: Value, of_pod: Value) -> Value {
    json!({
        "metadata": {"name": "p", "labels": {"app": "web"}},
        "spec": {
            "securityContext": of_pod,
            "containers": [{"name": "c", "image": "nginx", "securityContext": own}],
        },
    })
}

fn plain() -> Value {
    pod(Value::Null, Value::Null)
}

fn annotated(key: &str, value: &str, own: Value, of_pod: Value) -> Value {
    let mut pod = pod(own, of_pod);
    pod["metadata"]["annotations"] = json!({key: value});
    pod
}

fn localhost(profile: &str) -> ProfileSource {
    ProfileSource::Localhost(profile.into())
}

fn first(confinement: Confinement) -> Change {
    Change::Confine { place: Place::Container(List::Regular, 0), confinement }
}

#[rstest]
#[case("SeccompProfile", "web", Confinement::Seccomp(localhost("operator/web.json")))]
#[case("SelinuxProfile", "web", Confinement::Selinux("web.process".into()))]
#[case("RawSelinuxProfile", "raw", Confinement::Selinux("raw.process".into()))]
#[case("AppArmorProfile", "web", Confinement::Apparmor(localhost("web")))]
fn each_kind_has_its_field(#[case] kind: &str, #[case] profile: &str, #[case] field: Confinement) {
    let case = Case::new([binding("b", kind, profile, "nginx", json!({}))]);
    assert_eq!(case.changes(&plain()), [first(field)]);
    assert_eq!(case.reasons(&plain()), Vec::<&str>::new());
}

#[test]
fn every_container_is_bound_by_its_own_image() {
    let case = Case::new([seccomp("nginx", json!({}))]);
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {
            "initContainers": [
                {"name": "i", "image": "docker.io/library/nginx:latest"},
                {"name": "sidecar", "image": "nginx", "restartPolicy": "Always"},
            ],
            "containers": [{"name": "other", "image": "redis"}, {"name": "c", "image": "nginx"}],
        },
    });
    let places: Vec<_> = case
        .changes(&pod)
        .into_iter()
        .map(|change| match change {
            Change::Confine { place, .. } => place,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(List::Init, 0), (List::Init, 1), (List::Regular, 1)];
    assert_eq!(places, expected.map(|(list, index)| Place::Container(list, index)));
}

#[test]
fn only_ephemeral_containers_that_are_new_are_changed() {
    let case = Case::new([seccomp("*", json!({}))]);
    let mut pod = plain();
    pod["spec"]["ephemeralContainers"] =
        json!([{"name": "old", "image": "busybox"}, {"name": "new", "image": "busybox"}]);
    case.scoped(&pod, Scope::Ephemeral { before: &["old"] }, |decision| {
        let confinement = Confinement::Seccomp(localhost("operator/web.json"));
        let place = Place::Container(List::Ephemeral, 1);
        assert_eq!(decision.changes, [Change::Confine { place, confinement }]);
    });
}

#[rstest]
#[case::windows(json!({"metadata": {"name": "p"}, "spec": {"os": {"name": "windows"}, "containers": [{"name": "c", "image": "nginx"}]}}))]
#[case::mirror(json!({"metadata": {"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}))]
fn windows_and_mirror_pods_pass_through(#[case] pod: Value) {
    let case = Case::new([seccomp("*", json!({"whenMissing": "Deny"}))]);
    case.decide(&pod, |decision| assert_eq!(*decision, Decision::default()));
}

// What the author of the pod chose.

#[rstest]
#[case::own_of_the_same(json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "operator/web.json"}}), json!(null), BindResult::Unchanged)]
#[case::the_pods_same(json!(null), json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "operator/web.json"}}), BindResult::Unchanged)]
#[case::own(json!({"seccompProfile": {"type": "Unconfined"}}), json!(null), BindResult::Written)]
#[case::the_pods(json!(null), json!({"seccompProfile": {"type": "RuntimeDefault"}}), BindResult::Written)]
fn a_binding_for_an_image_overrides(
    #[case] own: Value,
    #[case] of_pod: Value,
    #[case] result: BindResult,
) {
    let case = Case::new([seccomp("nginx", json!({}))]);
    let pod = pod(own, of_pod);
    assert_eq!(case.results(&pod), [result]);
    let overrides = result == BindResult::Written;
    assert_eq!(case.reasons(&pod), if overrides { vec!["override"] } else { vec![] });
    assert_eq!(case.changes(&pod).len(), usize::from(overrides));
}

#[rstest]
#[case::own(json!({"seccompProfile": {"type": "Unconfined"}}), json!(null))]
#[case::the_pods(json!(null), json!({"seccompProfile": {"type": "RuntimeDefault"}}))]
fn the_wildcard_leaves_what_was_chosen(#[case] own: Value, #[case] of_pod: Value) {
    let case = Case::new([seccomp("*", json!({}))]);
    let pod = pod(own, of_pod);
    assert_eq!((case.results(&pod), case.changes(&pod)), (vec![BindResult::Kept], vec![]));
    assert_eq!(case.reasons(&pod), Vec::<&str>::new());
}

#[rstest]
#[case("*", "Always", BindResult::Written)]
#[case("nginx", "IfUnset", BindResult::Kept)]
fn override_says_otherwise(#[case] image: &str, #[case] word: &str, #[case] result: BindResult) {
    let case = Case::new([seccomp(image, json!({"override": word}))]);
    assert_eq!(
        case.results(&pod(json!({"seccompProfile": {"type": "Unconfined"}}), json!(null))),
        [result]
    );
}

#[test]
fn a_level_alone_is_no_choice_of_a_type() {
    let case = Case::new([binding("b", "SelinuxProfile", "web", "*", json!({}))]);
    let pod = pod(
        json!({"seLinuxOptions": {"level": "s0:c1"}}),
        json!({"seLinuxOptions": {"type": "x_t"}}),
    );
    assert_eq!(case.changes(&pod), [first(Confinement::Selinux("web.process".into()))]);
}

#[test]
fn the_beta_annotation_of_apparmor_is_a_choice_and_follows_the_field() {
    let key = "container.apparmor.security.beta.kubernetes.io/c";
    let mut pod = plain();
    pod["metadata"]["annotations"] = json!({key: "runtime/default"});
    let bound = |image| Case::new([binding("b", "AppArmorProfile", "web", image, json!({}))]);
    assert_eq!(bound("*").results(&pod), [BindResult::Kept]);
    let annotation = Change::Annotate { key: key.into(), value: "localhost/web".into() };
    let field = first(Confinement::Apparmor(localhost("web")));
    assert_eq!(bound("nginx").changes(&pod), [annotation, field]);
    assert_eq!(bound("nginx").reasons(&pod), ["override"]);
}

// What cannot be honoured.

#[rstest]
#[case("Admit", None, BindResult::Missing, "profile-missing")]
#[case("Admit", Some(Readiness::Disabled), BindResult::Disabled, "profile-disabled")]
fn a_profile_that_is_not_there_is_warned_of(
    #[case] when: &str,
    #[case] readiness: Option<Readiness>,
    #[case] result: BindResult,
    #[case] reason: &str,
) {
    let mut case =
        Case::new([binding("b", "SeccompProfile", "gone", "nginx", json!({"whenMissing": when}))]);
    if let Some(readiness) = readiness {
        case.profiles.insert(ProfileKind::SeccompProfile, "gone", readiness);
    }
    assert_eq!((case.results(&plain()), case.changes(&plain())), (vec![result], vec![]));
    assert_eq!(case.reasons(&plain()), [reason]);
}

#[test]
fn a_missing_profile_denies_where_the_binding_says_so() {
    let case = Case::new([binding(
        "b",
        "SeccompProfile",
        "gone",
        "nginx",
        json!({"whenMissing": "Deny"}),
    )]);
    case.decide(&plain(), |decision| {
        assert_eq!(
            decision.denials[0].to_string(),
            "container c: SeccompProfile gone does not exist, and ProfileBinding b says whenMissing: Deny"
        );
    });
    let kept = pod(json!({"seccompProfile": {"type": "RuntimeDefault"}}), json!(null));
    let if_unset = json!({"whenMissing": "Deny", "override": "IfUnset"});
    let case = Case::new([binding("b", "SeccompProfile", "gone", "nginx", if_unset)]);
    case.decide(&kept, |decision| {
        assert!(decision.denials.is_empty(), "the profile is not needed");
    });
}

#[test]
fn a_profile_of_another_kind_with_the_same_name_is_no_substitute() {
    let case = Case::new([binding("b", "RawSelinuxProfile", "web", "nginx", json!({}))]);
    assert_eq!(case.results(&plain()), [BindResult::Missing]);
}

#[test]
fn a_profile_that_is_not_installed_yet_is_bound_with_a_warning() {
    let mut case = Case::new([seccomp("nginx", json!({}))]);
    case.profiles.insert(ProfileKind::SeccompProfile, "web", Readiness::NotYet("Pending"));
    assert_eq!(case.results(&plain()), [BindResult::Written]);
    assert_eq!(case.reasons(&plain()), ["profile-not-installed"]);
}

#[test]
fn a_privileged_container_gets_all_but_seccomp() {
    let case = Case::new([
        seccomp("nginx", json!({})),
        binding("s", "SelinuxProfile", "web", "nginx", json!({})),
        binding("a", "AppArmorProfile", "web", "nginx", json!({})),
    ]);
    let pod = pod(json!({"privileged": true}), json!(null));
    let fields =
        [Confinement::Selinux("web.process".into()), Confinement::Apparmor(localhost("web"))];
    assert_eq!(case.changes(&pod), fields.map(first));
    assert_eq!(case.reasons(&pod), ["privileged"]);
}

#[test]
fn an_invalid_binding_is_told_of() {
    let mut case = Case::new([]);
    let invalid = Invalid { kind: "ProfileBinding", name: "x".into(), reason: "why".into() };
    case.namespace.invalid.push(invalid);
    case.decide(&plain(), |decision| {
        let texts: Vec<_> = decision.notes.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["ProfileBinding x is invalid and has no effect: why"]);
    });
}
