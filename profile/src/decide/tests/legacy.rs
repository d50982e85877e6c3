//! Annotations of old.

use super::*;

const POD_KEY: &str = "seccomp.security.alpha.kubernetes.io/pod";
const CONTAINER_KEY: &str = "container.seccomp.security.alpha.kubernetes.io/c";

#[rstest]
#[case("runtime/default", ProfileSource::RuntimeDefault)]
#[case("docker/default", ProfileSource::RuntimeDefault)]
#[case("unconfined", ProfileSource::Unconfined)]
#[case("localhost/a/b.json", localhost("a/b.json"))]
fn a_legacy_annotation_becomes_its_field(#[case] value: &str, #[case] source: ProfileSource) {
    let case = Case::new([]);
    let of_pod = annotated(POD_KEY, value, json!(null), json!(null));
    let confinement = Confinement::Seccomp(source);
    let change = Change::Confine { place: Place::Pod, confinement: confinement.clone() };
    assert_eq!(case.changes(&of_pod), [change]);
    assert_eq!(case.reasons(&of_pod), ["legacy-annotation"]);
    let of_container = annotated(CONTAINER_KEY, value, json!(null), json!(null));
    assert_eq!(case.changes(&of_container), [first(confinement)]);
}

#[rstest]
#[case::own_field(Case::new([]), json!({"seccompProfile": {"type": "Unconfined"}}), json!(null))]
#[case::the_pods_field(Case::new([]), json!(null), json!({"seccompProfile": {"type": "Unconfined"}}))]
fn a_legacy_annotation_yields_to_a_field(
    #[case] case: Case,
    #[case] own: Value,
    #[case] of_pod: Value,
) {
    for key in [POD_KEY, CONTAINER_KEY] {
        let pod = annotated(key, "runtime/default", own.clone(), of_pod.clone());
        assert_eq!(case.changes(&pod), [], "{key}");
    }
}

#[test]
fn a_legacy_annotation_yields_to_a_binding() {
    let case = Case::new([seccomp("nginx", json!({}))]);
    let field = first(Confinement::Seccomp(localhost("operator/web.json")));
    let of_pod = annotated(POD_KEY, "unconfined", json!(null), json!(null));
    assert_eq!(case.changes(&of_pod), std::slice::from_ref(&field));
    // The API server wants the container's annotation to say the same as the field.
    let value = "localhost/operator/web.json";
    let annotation = Change::Annotate { key: CONTAINER_KEY.into(), value: value.into() };
    let of_container = annotated(CONTAINER_KEY, "unconfined", json!(null), json!(null));
    assert_eq!(case.changes(&of_container), [annotation, field.clone()]);
    assert_eq!(case.reasons(&of_container), ["legacy-replaced"]);
    let the_same = annotated(CONTAINER_KEY, value, json!(null), json!(null));
    assert_eq!(case.changes(&the_same), [field]);
}

#[rstest]
#[case("localhost/../etc")]
#[case("localhost//etc")]
#[case("localhost/")]
#[case("other")]
fn a_legacy_annotation_that_means_nothing_is_only_told_of(#[case] value: &str) {
    let pod = annotated(POD_KEY, value, json!(null), json!(null));
    let case = Case::new([]);
    assert_eq!((case.changes(&pod), case.reasons(&pod)), (vec![], vec!["legacy-unknown"]));
}
