//! Requests whose head is wrong, or merely unusual.

use std::time::{Duration, Instant};

use rstest::rstest;
use webhook::routes::BODY_MAX;

use crate::{
    client::{JSON, PATH, head, post},
    reviews::SMALL,
    server::Server,
};

const TEN_MEBIBYTES: usize = 10 << 20;

#[rstest]
#[case::get(head("GET", PATH, &[]), 405, "POST")]
#[case::put(head("PUT", PATH, &[JSON]), 405, "POST")]
#[case::delete(head("DELETE", PATH, &[]), 405, "POST")]
#[case::options(head("OPTIONS", PATH, &[]), 405, "POST")]
#[case::made_up_method(head("BREW", PATH, &[]), 405, "POST")]
#[case::root(post("/", &[JSON], SMALL), 404, "/mutate-v1-pod-binding")]
#[case::unknown_path(post("/validate", &[JSON], SMALL), 404, "/mutate-v1-pod-binding")]
#[case::slash_at_the_end(post("/mutate-v1-pod/", &[JSON], SMALL), 404, "/mutate-v1-pod")]
#[case::climbing(post("/../mutate-v1-pod", &[JSON], SMALL), 404, "/mutate-v1-pod")]
#[case::no_content_type(post(PATH, &[], SMALL), 415, "Content-Type is \"\"")]
#[case::text(post(PATH, &[("Content-Type", "text/plain")], SMALL), 415, "\"text/plain\"")]
#[case::yaml(post(PATH, &[("Content-Type", "application/yaml")], SMALL), 415, "application/json")]
#[case::longer(post(PATH, &[("Content-Type", "application/jsonp")], SMALL), 415, "jsonp")]
#[case::protobuf(
    post(PATH, &[("Content-Type", "application/vnd.kubernetes.protobuf")], b"k8s\0\n"),
    415,
    "application/json is needed"
)]
#[case::long_type(post(PATH, &[("Content-Type", &"x".repeat(9000))], SMALL), 415, "xxx\"")]
#[case::no_body(head("POST", PATH, &[JSON]), 400, "the body is empty")]
#[tokio::test]
async fn is_refused_with_a_status_of_its_own(
    #[case] request: Vec<u8>,
    #[case] status: u16,
    #[case] says: &str,
) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(request).await.unwrap();
    client.response().await.says(status, says);
    assert!(client.review(SMALL).await.verdict().allowed, "the connection is still good");
    server.is_well().await;
}

/// What is no HTTP is refused by the HTTP library, without a message of ours.
#[rstest]
#[case::no_http(b"hello\r\n\r\n".to_vec(), 400)]
#[case::nul_in_a_header(head("POST", PATH, &[("X", "a\0b")]), 400)]
#[case::space_in_a_header_name(head("POST", PATH, &[("X y", "a")]), 400)]
#[case::many_headers(head("POST", PATH, &[("X", "y"); 65]), 431)]
#[case::long_header(head("POST", PATH, &[("X", &"y".repeat(200 << 10))]), 431)]
#[case::long_path(head("POST", &format!("/{}", "y".repeat(69 << 10)), &[]), 414)]
#[case::length_no_number(head("POST", PATH, &[JSON, ("Content-Length", "ten")]), 400)]
#[case::length_negative(head("POST", PATH, &[JSON, ("Content-Length", "-1")]), 400)]
#[case::two_lengths(head("POST", PATH, &[JSON, ("Content-Length", "5"), ("Content-Length", "6")]), 400)]
#[case::unknown_coding(head("POST", PATH, &[JSON, ("Transfer-Encoding", "gzip")]), 400)]
#[tokio::test]
async fn what_is_no_http_ends_the_connection(#[case] request: Vec<u8>, #[case] status: u16) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(request).await.unwrap();
    assert_eq!(client.response().await.status, status);
    client.is_closed().await;
    server.is_well().await;
}

#[tokio::test]
async fn version_two_of_http_is_not_spoken() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    client.is_closed().await;
    server.is_well().await;
}

#[rstest]
#[case::charset(post(PATH, &[("Content-Type", "application/json; charset=utf-8")], SMALL))]
#[case::capitals(post(PATH, &[("content-type", "Application/JSON")], SMALL))]
#[case::spaces(post(PATH, &[("Content-Type", "application/json ; charset=UTF-8")], SMALL))]
#[case::query(post(&format!("{PATH}?timeout=2s"), &[JSON], SMALL))]
#[case::whole_url(post(&format!("https://localhost{PATH}"), &[JSON], SMALL))]
#[case::chunks(chunked(SMALL.as_bytes(), 100))]
#[case::chunks_of_a_byte(chunked(SMALL.as_bytes(), 1))]
#[case::as_the_api_server_sends_it(post(
    PATH,
    &[
        ("User-Agent", "kube-apiserver-admission"),
        ("Accept", "application/json, */*"),
        JSON,
        ("Accept-Encoding", "gzip"),
    ],
    SMALL
))]
#[tokio::test]
async fn what_is_unusual_but_right_is_answered(#[case] request: Vec<u8>) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(&request).await.unwrap();
    assert!(client.response().await.verdict().patch.is_some());
    // Two at once are answered one after the other.
    client.send([&request[..], &request].concat()).await.unwrap();
    assert!(client.response().await.verdict().patch.is_some());
    assert!(client.response().await.verdict().patch.is_some());
    server.is_well().await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let length = SMALL.len().to_string();
    let headers = [JSON, ("Content-Length", &length), ("Expect", "100-continue")];
    client.send(head("POST", PATH, &headers)).await.unwrap();
    assert_eq!(client.response().await.status, 100);
    client.send(SMALL).await.unwrap();
    assert!(client.response().await.verdict().allowed);
}

#[tokio::test]
async fn a_client_that_asks_first_need_not_send_what_is_too_large() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let length = TEN_MEBIBYTES.to_string();
    let headers = [JSON, ("Content-Length", &length), ("Expect", "100-continue")];
    client.send(head("POST", PATH, &headers)).await.unwrap();
    client.response().await.says(413, "the body is larger than");
    server.is_well().await;
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let length = TEN_MEBIBYTES.to_string();
    let start = Instant::now();
    client.send(head("POST", PATH, &[JSON, ("Content-Length", &length)])).await.unwrap();
    let response = client.response().await;
    response.says(413, "the body is larger than 3145728 bytes");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(start.elapsed() < Duration::from_secs(5), "nothing was waited for");
    client.is_closed().await;
    server.is_well().await;
}

/// A client that writes everything before it reads must still get to see the answer.
#[rstest]
#[case::of_known_length(post(PATH, &[JSON], vec![b' '; TEN_MEBIBYTES]))]
#[case::in_chunks(chunked(&vec![b' '; TEN_MEBIBYTES], 16 << 10))]
#[case::in_one_chunk(chunked(&vec![b' '; TEN_MEBIBYTES], TEN_MEBIBYTES))]
#[case::just_too_large(chunked(&vec![b' '; BODY_MAX + 1], 16 << 10))]
#[tokio::test]
async fn ten_mebibytes_are_refused_and_whoever_sent_them_is_told(#[case] request: Vec<u8>) {
    let server = Server::start().await;
    for _ in 0..10 {
        let mut client = server.connect().await;
        // The server may close before all is sent.
        drop(client.send(&request).await);
        client.response().await.says(413, "the body is larger than 3145728 bytes");
        client.is_closed().await;
    }
    server.is_well().await;
}

#[rstest]
#[case::no_size("zz\r\n")]
#[case::negative_size("-5\r\nhello\r\n")]
#[case::huge_size("fffffffffffffffff\r\n")]
#[case::no_line_break("5\r\nhelloX")]
#[case::broken_trailer("0\r\nbad\0\r\n\r\n")]
#[tokio::test]
async fn broken_chunks_are_refused(#[case] chunks: &str) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut request = head("POST", PATH, &[JSON, ("Transfer-Encoding", "chunked")]);
    request.extend(chunks.as_bytes());
    client.send(request).await.unwrap();
    client.response().await.says(400, "");
    client.is_closed().await;
    server.is_well().await;
}

/// Two ways to tell the length, as in request smuggling: never two requests out of one.
#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let headers = [JSON, ("Content-Length", "3"), ("Transfer-Encoding", "chunked")];
    let mut request = head("POST", PATH, &headers);
    request.extend(b"0\r\n\r\n");
    request.extend(post("/mutate-v1-pod", &[JSON], SMALL));
    client.send(request).await.unwrap();
    assert_eq!(client.response().await.status, 400);
    client.is_closed().await;
    server.is_well().await;
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let request = String::from_utf8(post(PATH, &[JSON], SMALL)).unwrap();
    client.send(request.replacen("HTTP/1.1", "HTTP/1.0", 1)).await.unwrap();
    assert!(client.response().await.verdict().allowed);
    client.is_closed().await;
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut request = head("POST", PATH, &[JSON, ("Transfer-Encoding", "chunked")]);
    for chunk in body.chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}
