//! Reviews that look odd but are reviews: each is answered, and nobody's work is stopped.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    client::{JSON, post},
    reviews::{SMALL, about, changed, with, with_labels, with_unread},
    server::Server,
};

const SPEC: &str = "/request/object/spec";

#[rstest]
#[case::deployment("apps", "deployments", None, json!({"spec": {"template": {"spec": {}}}}))]
#[case::no_spec_at_all("", "configmaps", None, json!({"metadata": {}, "data": {"a": "b"}}))]
#[case::another_spec("batch", "jobs", None, json!({"spec": {"containers": 3}}))]
#[case::eviction("", "pods", Some("eviction"), json!({"metadata": {"name": "web"}}))]
#[case::binding("", "pods", Some("binding"), json!({"metadata": {}, "target": {"kind": "Node"}}))]
#[case::options("", "pods", Some("attach"), json!({"stdin": true, "container": "web"}))]
#[case::nothing("", "pods", None, json!(null))]
#[tokio::test]
async fn what_is_no_pod_in_the_making_is_admitted_with_a_warning(
    #[case] group: &str,
    #[case] resource: &str,
    #[case] sub_resource: Option<&str>,
    #[case] object: Value,
) {
    let server = Server::start().await;
    let review = about(group, resource, sub_resource, &object);
    let verdict = server.connect().await.review(review).await.verdict();
    assert!(verdict.allowed && verdict.patch.is_none());
    let [warning] = &verdict.warnings[..] else { panic!("{:?}", verdict.warnings) };
    assert!(warning.contains("the webhook's registration is too wide"), "{warning}");
    server.is_well().await;
}

#[rstest]
#[case::delete("DELETE")]
#[case::update("UPDATE")]
#[case::unknown("EXPLODE")]
#[case::lower_case("create")]
#[tokio::test]
async fn what_makes_no_pod_is_admitted_with_a_warning(#[case] operation: &str) {
    let server = Server::start().await;
    let review = with("/request", "operation", json!(operation));
    let verdict = server.connect().await.review(review).await.verdict();
    assert!(verdict.allowed && verdict.patch.is_none());
    assert_eq!(verdict.warnings.len(), 1);
    server.is_well().await;
}

#[rstest]
#[case::absent(changed(|review| {
    let spec = review.pointer_mut(SPEC).unwrap().as_object_mut().unwrap();
    spec.remove("containers");
    spec.remove("initContainers");
}))]
#[case::null(changed(|review| {
    review["request"]["object"]["spec"] = json!({"containers": null, "initContainers": null});
}))]
#[case::empty(changed(|review| review["request"]["object"]["spec"] = json!({"containers": []})))]
#[case::empty_spec(changed(|review| review["request"]["object"]["spec"] = json!({})))]
#[tokio::test]
async fn a_pod_without_containers_is_admitted_as_it_is(#[case] review: String) {
    let server = Server::start().await;
    let verdict = server.connect().await.review(review).await.verdict();
    assert!(verdict.allowed && verdict.patch.is_none() && verdict.warnings.is_empty());
    server.is_well().await;
}

#[rstest]
#[case::nested_lists(with_unread(&["[".repeat(100_000), "]".repeat(100_000)].concat()))]
#[case::nested_objects(with_unread(&["{\"a\":".repeat(100_000), "1".into(), "}".repeat(100_000)].concat()))]
#[case::number_too_large(with_unread("1e999999999"))]
#[case::key_twice_where_nobody_reads(with_unread("{\"a\":1,\"a\":2}"))]
#[case::labels_are_null(with_labels("null"))]
#[case::unknown_fields(with("", "future", json!({"a": [1, 2, {"b": null}]})))]
#[case::spaces_around(format!("\r\n\t {SMALL} \n"))]
#[tokio::test]
async fn what_stands_in_fields_that_nobody_reads_makes_no_difference(#[case] review: String) {
    let server = Server::start().await;
    let verdict = server.connect().await.review(&review).await.verdict();
    let plain = server.connect().await.review(SMALL).await.verdict();
    assert!(verdict.allowed && plain.patch.is_some());
    assert_eq!(verdict.patch, plain.patch);
    server.is_well().await;
}

#[rstest]
#[case::nul("we\0b")]
#[case::line_breaks("web\r\nWarning: 299 - \"forged\"")]
#[case::escape("web\u{1b}[31m")]
#[case::delete_and_c1("web\u{7f}\u{85}")]
#[case::slashes_and_tildes("we~1b/~0..")]
#[case::quotes("web\"},{\"op\":\"remove\",\"path\":\"/spec\"")]
#[case::not_ascii("wéb\u{202e}🦀")]
#[case::empty("")]
#[tokio::test]
async fn names_with_anything_in_them_go_through_and_into_no_header(#[case] name: &str) {
    let server = Server::start().await;
    let review = changed(|review| {
        let pod = &mut review["request"]["object"];
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["labels"] = json!({ "record": "yes", name: name });
        pod["metadata"]["annotations"] = json!({ "io.containers.trace-logs/x": name, format!("io.containers.trace-bpf/{name}"): name });
        pod["spec"]["containers"][0]["name"] = json!(name);
        pod["spec"]["containers"][1]["image"] = json!(name);
    });
    let mut client = server.connect().await;
    client.send(post("/mutate-v1-pod", &[JSON], &review)).await.unwrap();
    let verdict = client.response().await.verdict();
    assert!(verdict.allowed);
    assert!(!verdict.warnings.is_empty());
    for text in verdict.warnings.iter().map(String::as_str).chain(audit_values(&verdict.audit)) {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    let pod = verdict.patched_pod(&review);
    assert_eq!(pod["spec"]["containers"][0]["name"], name);
    let annotations = pod["metadata"]["annotations"].as_object().unwrap();
    let marks: Vec<_> = annotations.keys().collect();
    let expected =
        ["metrics", "migrate", name].map(|name| format!("io.containers.trace-logs/{name}"));
    assert!(marks.len() == 3 && expected.iter().all(|key| marks.contains(&key)), "{marks:?}");
    server.is_well().await;
}

fn audit_values(audit: &Value) -> impl Iterator<Item = &str> {
    audit.as_object().into_iter().flatten().map(|(_, value)| value.as_str().unwrap())
}
