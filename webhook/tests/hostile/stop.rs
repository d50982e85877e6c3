//! The stop: nothing that was sent is lost, and API servers are told to go elsewhere.

use std::{io::ErrorKind, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    client::{JSON, LIMIT, PATH, post},
    reviews::SMALL,
    server::{Server, Setup},
};

const LINGER: Duration = Duration::from_millis(500);

async fn start(drain: Duration) -> Server {
    let mut setup = Setup::default();
    setup.limits.linger = LINGER;
    setup.limits.drain = drain;
    setup.start().await
}

async fn is_refused(server: &Server) -> bool {
    let connected = TcpStream::connect(server.address).await;
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn before_the_stop_connections_are_kept() {
    let server = start(LIMIT).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        assert_eq!(client.review(SMALL).await.header("connection"), None);
    }
}

#[tokio::test]
async fn new_connections_are_served_during_linger_and_each_answer_closes_its_own() {
    let mut server = start(LIMIT).await;
    let mut kept = server.connect().await;
    assert!(kept.review(SMALL).await.verdict().allowed);
    server.stop.send_replace(true);
    let stopped = Instant::now();
    let mut served = 0;
    while stopped.elapsed() < LINGER / 2 {
        let mut client = server.connect().await;
        let response = client.review(SMALL).await;
        assert_eq!(response.header("connection"), Some("close"));
        assert!(response.verdict().patch.is_some());
        client.is_closed().await;
        served += 1;
    }
    assert!(served > 0);
    let response = kept.review(SMALL).await;
    assert_eq!(response.header("connection"), Some("close"));
    assert!(response.verdict().patch.is_some());
    kept.is_closed().await;
    assert!(!server.has_ended(), "it goes on until linger is over");
    server.ended().await;
    assert!(stopped.elapsed() >= LINGER);
    assert!(is_refused(&server).await);
}

#[tokio::test]
async fn errors_close_their_connection_too_during_linger() {
    let server = start(LIMIT).await;
    server.stop.send_replace(true);
    let mut client = server.connect().await;
    let response = client.review("{}").await;
    assert_eq!((response.status, response.header("connection")), (400, Some("close")));
    client.is_closed().await;
}

#[tokio::test]
async fn a_review_in_flight_is_answered_before_the_end() {
    let mut server = start(LIMIT).await;
    let mut client = server.connect().await;
    let request = post(PATH, &[JSON], SMALL);
    let (first, rest) = request.split_at(1000);
    client.send(first).await.unwrap();
    server.stop.send_replace(true);
    // Until long after linger: the listener is gone, the review is not.
    while !is_refused(&server).await {
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!server.has_ended());
    client.send(rest).await.unwrap();
    let response = client.response().await;
    assert_eq!(response.header("connection"), Some("close"));
    assert!(response.verdict().patch.is_some());
    server.ended().await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_hold_up_nothing() {
    let mut server = start(LIMIT).await;
    let mut fresh = server.connect().await;
    let mut used = server.connect().await;
    assert!(used.review(SMALL).await.verdict().allowed);
    let stopped = Instant::now();
    server.stop.send_replace(true);
    fresh.is_closed().await;
    used.is_closed().await;
    server.ended().await;
    assert!(stopped.elapsed() >= LINGER && stopped.elapsed() < LIMIT);
}

#[tokio::test]
async fn a_review_that_never_comes_to_its_end_is_not_waited_for_longer_than_drain() {
    let mut server = start(Duration::from_millis(200)).await;
    let mut client = server.connect().await;
    client.send(&post(PATH, &[JSON], SMALL)[..1000]).await.unwrap();
    let stopped = Instant::now();
    server.stop.send_replace(true);
    server.ended().await;
    assert!(stopped.elapsed() < LIMIT);
}

#[tokio::test]
async fn nobody_left_who_could_ask_for_a_stop_is_a_stop() {
    let mut server = start(LIMIT).await;
    drop(std::mem::replace(&mut server.stop, tokio::sync::watch::channel(false).0));
    server.ended().await;
}
