//! Connections that speak no TLS, break off, or are too many.

use std::{sync::Arc, time::Duration};

use rstest::rstest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::{
    client::{JSON, LIMIT, PATH, head, post},
    reviews::SMALL,
    server::{Server, Setup},
};

async fn plain(server: &Server, bytes: &[u8]) -> String {
    let mut tcp = server.tcp().await;
    tcp.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // What was not read by the server makes it reset the connection, after its answer.
    drop(timeout(LIMIT, tcp.read_to_end(&mut answer)).await.unwrap());
    String::from_utf8_lossy(&answer).into_owned()
}

#[rstest]
#[case::review(&post(PATH, &[JSON], SMALL))]
#[case::get(b"GET / HTTP/1.0\r\n\r\n")]
#[case::garbage(b"\0\xff\x01garbage")]
#[case::ssh(b"SSH-2.0-OpenSSH_9.9\r\n")]
#[tokio::test]
async fn what_is_not_tls_is_told_so_in_plain_http(#[case] bytes: &[u8]) {
    let server = Server::start().await;
    for _ in 0..10 {
        let answer = plain(&server, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer:?}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.contains("this port speaks TLS"), "{body}");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(length, body.len().to_string());
    }
    server.is_well().await;
}

#[rstest]
#[case::garbage_in_a_record(&[&[0x16, 3, 1, 0, 32][..], &[0xaa; 32]].concat())]
#[case::record_without_end(&[&[0x16, 3, 1, 0xff, 0xff][..], &vec![0; 70_000]].concat())]
#[case::old_version(&[0x16, 3, 0, 0, 4, 1, 0, 0, 0])]
#[tokio::test]
async fn tls_garbage_gets_an_alert_at_most(#[case] bytes: &[u8]) {
    let server = Server::start().await;
    let answer = plain(&server, bytes).await;
    assert!(answer.len() <= 64, "{answer:?}");
    server.is_well().await;
}

#[rstest]
#[case::in_the_head(20)]
#[case::before_the_body(140)]
#[case::in_the_body(1000)]
#[case::after_the_request(usize::MAX)]
#[tokio::test]
async fn a_client_that_vanishes_is_forgotten(#[case] sent: usize) {
    let mut setup = Setup::default();
    setup.limits.connections = 4;
    let server = setup.start().await;
    let request = post(PATH, &[JSON], SMALL);
    // More than the server holds at once: each place must be given back.
    for _ in 0..12 {
        let mut client = server.connect().await;
        client.send(&request[..sent.min(request.len())]).await.unwrap();
        client.vanish();
    }
    timeout(LIMIT, server.is_well()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_handshake_is_forgotten() {
    let mut setup = Setup::default();
    setup.limits.connections = 4;
    let server = setup.start().await;
    for _ in 0..12 {
        let mut tcp = server.tcp().await;
        tcp.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        tcp.set_zero_linger().unwrap();
    }
    timeout(LIMIT, server.is_well()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_says_it_sends_no_more_still_gets_its_answer() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post(PATH, &[JSON], SMALL)).await.unwrap();
    client.send_end().await;
    assert!(client.response().await.verdict().allowed);
    client.is_closed().await;
    server.is_well().await;
}

#[tokio::test]
async fn a_client_that_sends_no_more_in_the_middle_of_a_body_is_let_go() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(head("POST", PATH, &[JSON, ("Content-Length", "100")])).await.unwrap();
    client.send("{").await.unwrap();
    client.send_end().await;
    if let Ok(response) = client.try_response().await {
        response.says(400, "the body broke off");
    }
    server.is_well().await;
}

#[tokio::test]
async fn connections_too_many_wait_and_are_then_served() {
    let mut setup = Setup::default();
    setup.limits.connections = 2;
    let server = setup.start().await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert!(first.review(SMALL).await.verdict().allowed);

    let config = server.client_config(None);
    let mut excess = Vec::new();
    for _ in 0..3 {
        let (tcp, config) = (server.tcp().await, Arc::clone(&config));
        excess.push(tokio::spawn(async move {
            let mut client = crate::client::Client::new(tcp, config).await.unwrap();
            client.review(SMALL).await.verdict().allowed
        }));
    }
    // Those who have a place are served while others wait.
    assert!(second.review(SMALL).await.verdict().allowed);
    let waited = timeout(Duration::from_millis(200), &mut excess[0]).await;
    assert!(waited.is_err(), "a third connection is not served while two are open");
    drop((first, second));
    for client in excess {
        assert!(timeout(LIMIT, client).await.unwrap().unwrap());
    }
    server.is_well().await;
}
