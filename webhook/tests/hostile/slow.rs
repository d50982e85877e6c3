//! Clients that take their time: a head and a body have a limit each, an idle connection has none of these.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt as _, time::sleep};

use crate::{
    client::{Client, JSON, LIMIT, PATH, head, post},
    reviews::{self, SMALL},
    server::{Server, Setup},
};

/// The limit of the server here, for a head and for a body.
const SHORT: Duration = Duration::from_millis(300);
/// Between two bytes of a client that drips.
const DRIP: Duration = Duration::from_millis(20);

async fn impatient() -> Server {
    let mut setup = Setup { body_time: SHORT, ..Setup::default() };
    setup.limits.head = SHORT;
    setup.start().await
}

/// Sends one byte after the other until that fails.
async fn drip(client: &mut Client, bytes: &[u8]) -> usize {
    for (sent, byte) in bytes.iter().enumerate() {
        if client.send([*byte]).await.is_err() {
            return sent;
        }
        sleep(DRIP).await;
    }
    bytes.len()
}

#[tokio::test]
async fn a_client_that_never_says_anything_is_cut_off() {
    let server = impatient().await;
    let tcp = server.tcp().await;
    let start = Instant::now();
    let mut rest = Vec::new();
    let mut tcp = tcp;
    tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut rest).await.unwrap();
    assert!(rest.is_empty() && start.elapsed() >= SHORT / 2 && start.elapsed() < LIMIT);
    server.is_well().await;
}

#[tokio::test]
async fn a_handshake_that_stops_half_way_is_cut_off() {
    let server = impatient().await;
    let mut tcp = server.tcp().await;
    // The header of a TLS record of 512 bytes, of which ten come.
    tcp.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0]).await.unwrap();
    let mut rest = Vec::new();
    drop(tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut rest).await);
    server.is_well().await;
}

#[tokio::test]
async fn a_head_that_comes_drop_by_drop_is_cut_off() {
    let server = impatient().await;
    let mut client = server.connect().await;
    let request = post(PATH, &[JSON, ("X", &"y".repeat(10_000))], SMALL);
    let start = Instant::now();
    assert!(drip(&mut client, &request).await < 1000, "each byte wins no new time");
    client.is_closed().await;
    assert!(start.elapsed() < LIMIT);
    server.is_well().await;
}

#[tokio::test]
async fn a_head_that_stops_is_cut_off() {
    let server = impatient().await;
    let mut client = server.connect().await;
    client.send(&post(PATH, &[JSON], SMALL)[..30]).await.unwrap();
    client.is_closed().await;
    server.is_well().await;
}

/// The limit is the same for the second request of a connection.
#[tokio::test]
async fn a_second_head_that_stops_is_cut_off() {
    let server = impatient().await;
    let mut client = server.connect().await;
    assert!(client.review(SMALL).await.verdict().allowed);
    client.send(&post(PATH, &[JSON], SMALL)[..30]).await.unwrap();
    client.is_closed().await;
    server.is_well().await;
}

#[tokio::test]
async fn a_body_that_comes_drop_by_drop_is_refused() {
    let server = impatient().await;
    let mut client = server.connect().await;
    client.send(head("POST", PATH, &[JSON, ("Content-Length", "10000")])).await.unwrap();
    assert!(drip(&mut client, &[b' '; 10_000]).await < 10_000);
    client.response().await.says(408, "the body did not come within 0.3 s");
    server.is_well().await;
}

#[tokio::test]
async fn a_body_that_stops_is_refused() {
    let server = impatient().await;
    let mut client = server.connect().await;
    let request = post(PATH, &[JSON], SMALL);
    client.send(&request[..request.len() - 1]).await.unwrap();
    let response = client.response().await;
    response.says(408, "the body did not come within 0.3 s");
    assert_eq!(response.header("connection"), Some("close"));
    client.is_closed().await;
    server.is_well().await;
}

#[tokio::test]
async fn a_body_that_never_starts_is_refused() {
    let server = impatient().await;
    let mut client = server.connect().await;
    client.send(head("POST", PATH, &[JSON, ("Transfer-Encoding", "chunked")])).await.unwrap();
    client.response().await.says(408, "the body did not come within 0.3 s");
    server.is_well().await;
}

/// Its place goes to somebody else, however much it asks for.
#[tokio::test]
async fn a_client_that_never_takes_its_answers_is_cut_off() {
    let mut setup = Setup::default();
    setup.limits.head = SHORT;
    setup.limits.connections = 1;
    let server = setup.start().await;
    let mut client = server.connect().await;
    let request = post(PATH, &[JSON], reviews::of_containers(1000));
    // Until all buffers between the two are full and the server is rid of it.
    while client.send(&request).await.is_ok() {}
    server.is_well().await;
}

/// API servers keep connections open between reviews, and open some before they need them.
#[tokio::test]
async fn a_connection_may_be_idle_for_longer_than_a_head_may_take() {
    let server = impatient().await;
    let mut client = server.connect().await;
    sleep(2 * SHORT).await;
    assert!(client.review(SMALL).await.verdict().allowed);
    sleep(2 * SHORT).await;
    assert!(client.review(SMALL).await.verdict().allowed);
}

/// Head and body have a limit each: together they may take longer than one.
#[tokio::test]
async fn a_head_and_a_body_that_are_slow_but_not_too_slow_are_answered() {
    let server = impatient().await;
    let mut client = server.connect().await;
    let request = post(PATH, &[JSON], SMALL);
    for part in [&request[..20], &request[20..200], &request[200..]] {
        client.send(part).await.unwrap();
        sleep(SHORT / 3).await;
    }
    assert!(client.response().await.verdict().allowed);
}
