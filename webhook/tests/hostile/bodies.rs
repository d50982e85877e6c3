//! Bodies that are no AdmissionReview v1: a 400 that says why, and the connection stays good.

use rstest::rstest;
use serde_json::json;

use crate::{
    reviews::{SMALL, replaced, with, with_labels, with_unread, without},
    server::Server,
};

const CONTAINER: &str = "/request/object/spec/containers/0";
const METADATA: &str = "/request/object/metadata";

#[rstest]
#[case::nothing("", "the body is empty: an AdmissionReview of admission.k8s.io/v1 is needed")]
#[case::spaces("   ", "EOF while parsing a value at line 1 column 3")]
#[case::text("hello", "expected value at line 1 column 1")]
#[case::form("a=1&b=2", "expected value at line 1 column 1")]
#[case::yaml("kind: AdmissionReview\n", "expected value at line 1 column 1")]
#[case::bad_on_the_second_line("{\n  \"kind\": oops\n}", "line 2 column 11")]
#[case::truncated(&SMALL[..3000], "line 1 column 3000")]
#[case::truncated_at_the_end(&SMALL[..SMALL.len() - 2], "EOF while parsing")]
#[case::two_at_once(&SMALL.repeat(2), "trailing characters at line 2 column 1")]
#[case::byte_order_mark(&format!("\u{feff}{SMALL}"), "expected value at line 1 column 1")]
#[case::null("null", "invalid type: null")]
#[case::number("1", "invalid type: integer `1`")]
#[case::list("[]", "invalid type: sequence, expected an object")]
#[case::list_of_the_fields(
    &format!("[\"admission.k8s.io/v1\", \"AdmissionReview\", {}]", request()),
    "invalid type: sequence, expected an object"
)]
#[case::list_as_resource(
    &with("/request", "resource", json!(["", "pods"])),
    "invalid type: sequence, expected an object"
)]
#[case::empty_object("{}", "kind is \"\": an AdmissionReview is needed")]
#[case::pod(&pod(), "kind is \"Pod\": an AdmissionReview is needed")]
#[case::long_kind(&with("", "kind", json!("x".repeat(100_000))), "xxx\": an AdmissionReview")]
#[case::v1beta1(
    &replaced("admission.k8s.io/v1", "admission.k8s.io/v1beta1"),
    "apiVersion is \"admission.k8s.io/v1beta1\": only admission.k8s.io/v1 is served"
)]
#[case::no_version(&without("", "apiVersion"), "apiVersion is \"\": only admission.k8s.io/v1")]
#[case::no_request(&without("", "request"), "the review has no request")]
#[case::request_is_null(&with("", "request", json!(null)), "the review has no request")]
#[case::request_is_text(&with("", "request", json!("x")), "invalid type: string \"x\"")]
#[case::request_is_a_long_text(&with("", "request", json!("x".repeat(100_000))), "xxx...")]
#[case::long_key_twice(
    &with_labels(&format!("{{\"{0}\":\"\",\"{0}\":\"\"}}", "k".repeat(100_000))),
    "duplicate key `kkk"
)]
#[case::no_uid(&without("/request", "uid"), "the request has no uid")]
#[case::empty_uid(&with("/request", "uid", json!("")), "the request has no uid")]
#[case::no_spec(&without("/request/object", "spec"), "missing field `spec`")]
#[case::key_twice_in_the_review(&replaced("{", "{\"kind\":\"Pod\","), "duplicate field `kind`")]
#[case::key_twice_in_the_request(
    &replaced("\"operation\":", "\"operation\":\"DELETE\",\"operation\":"),
    "duplicate field `operation`"
)]
#[case::key_twice_in_a_container(
    &replaced("\"image\":", "\"image\":\"nginx\",\"image\":"),
    "duplicate field `image`"
)]
#[case::key_twice_in_the_labels(&with_labels("{\"a\":\"1\",\"a\":\"2\"}"), "duplicate key `a`")]
#[case::key_twice_in_other_spelling(
    &with_labels("{\"a\":\"1\",\"\\u0061\":\"2\"}"),
    "duplicate key `a`"
)]
#[case::number_as_uid(&with("/request", "uid", json!(7)), "invalid type: integer `7`")]
#[case::number_as_namespace(&with("/request", "namespace", json!(7)), "expected a string")]
#[case::number_as_label(&with_labels("{\"a\":1}"), "expected a string")]
#[case::number_as_image(&with(CONTAINER, "image", json!(1.27)), "floating point `1.27`")]
#[case::flag_as_name(&with(CONTAINER, "name", json!(true)), "invalid type: boolean `true`")]
#[case::text_as_flag(
    &with(&format!("{CONTAINER}/securityContext"), "privileged", json!("yes")),
    "expected a boolean"
)]
#[case::object_as_list(
    &with("/request/object/spec", "containers", json!({})),
    "invalid type: map, expected a list"
)]
#[case::list_as_labels(&with(METADATA, "labels", json!(["a"])), "expected a map")]
#[case::list_as_spec(&with("/request/object", "spec", json!([])), "sequence, expected an object")]
#[case::list_as_container(
    &with("/request/object/spec", "containers", json!([["web", "nginx"]])),
    "sequence, expected an object"
)]
#[case::more_containers_than_can_be_stored(
    &with("/request/object/spec", "containers", json!(vec![json!({}); 10_001])),
    "more than 10000 containers in one list"
)]
#[case::text_as_object(&with("/request", "object", json!("pod")), "invalid type: string")]
#[case::raw_line_break_in_a_text(
    &replaced("registry.example", "registry\nexample"),
    "control character (\\u0000-\\u001F) found while parsing a string"
)]
#[case::half_a_surrogate_pair(&with_labels("{\"a\":\"\\ud800\"}"), "unexpected end of hex escape")]
#[case::nested_where_a_text_belongs(
    &with_labels(&format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000))),
    "invalid type: sequence, expected a string"
)]
#[case::nested_without_end(&with_unread(&"[".repeat(100_000)), "expected")]
#[case::nested_from_the_start(&"[".repeat(100_000), "invalid type: sequence")]
#[case::nested_objects_from_the_start(&"{\"a\":".repeat(100_000), "EOF while parsing")]
#[tokio::test]
async fn is_refused_with_the_reason(#[case] body: &str, #[case] reason: &str) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.review(body).await.says(400, reason);
    // The same connection, then a new one.
    assert!(client.review(SMALL).await.verdict().allowed);
    server.is_well().await;
}

#[rstest]
#[case::in_a_text(b"registry.example", b"registry\xffexample")]
#[case::cut_short(b"registry.example", b"registry\xc3.example")]
#[case::surrogate(b"registry.example", b"registry\xed\xa0\x80.example")]
#[case::in_a_field_that_nobody_reads(b"ClusterFirst", b"Cluster\xfe\xff")]
#[tokio::test]
async fn what_is_not_utf8_is_refused_with_its_place(#[case] from: &[u8], #[case] to: &[u8]) {
    let text = SMALL.as_bytes();
    let at = text.windows(from.len()).position(|window| window == from).unwrap();
    let body = [&text[..at], to, &text[at + from.len()..]].concat();
    let server = Server::start().await;
    let mut client = server.connect().await;
    let response = client.review(&body).await;
    response.says(400, "the body is not UTF-8: ");
    let bad_byte = at + to.iter().position(|b| !b.is_ascii()).unwrap();
    response.says(400, &format!("from index {bad_byte}"));
    assert!(client.review(SMALL).await.verdict().allowed);
    server.is_well().await;
}

fn request() -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(SMALL).unwrap()["request"].take()
}

fn pod() -> String {
    request()["object"].to_string()
}
