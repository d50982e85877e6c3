//! Renewal of leaf and authority while clients that trust only what they were told shake hands
//! and ask all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use certs::{Lifetimes, Name, Serving, Source, open};
use rstest::rstest;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::api::Api;

/// A change of authority at 8 s, of the leaf every 2 s: all within 12 s.
const LIFETIMES: Lifetimes = Lifetimes {
    authority: Duration::from_secs(12),
    leaf: Duration::from_secs(3),
    overlap: Duration::from_millis(1500),
};

/// How long a client goes on with the authorities it was told before.
const LAG: Duration = Duration::from_millis(500);

const LIMIT: Duration = Duration::from_mins(1);

#[derive(Clone, Copy)]
enum Place {
    Folder,
    Secret,
}

/// Starts a replica: a TLS server that sends back what it gets.
async fn replica(source: Source) -> (Serving, u16, JoinSet<()>) {
    let names = ["localhost".parse::<Name>().unwrap(), "127.0.0.1".parse().unwrap()];
    let (serving, keeper) = open(source, names, LIFETIMES).await.unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(serving.resolver());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { match keeper.run().await {} });
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                // A client that goes away is no news.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = [0; 4];
                while stream.read_exact(&mut asked).await.is_ok() {
                    stream.write_all(&asked).await.unwrap();
                }
            });
        }
    });
    (serving, port, tasks)
}

fn client(bundle: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Or else only the first handshake looks at the certificate.
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

async fn connect(bundle: &str, port: u16, name: &'static str) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from(name).unwrap();
    client(bundle).connect(name, stream).await.expect("the server is trusted")
}

async fn ask(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}

/// Shakes hands and asks until `done`, with the bundle of `LAG` ago.
async fn keep_asking(serving: Serving, port: u16, done: Arc<AtomicBool>, asked: Arc<AtomicU64>) {
    let mut status = serving.status();
    let mut trusted = serving.trust_bundle().unwrap();
    let mut kept = connect(&trusted, port, "localhost").await;
    let mut news: Option<(tokio::time::Instant, Arc<str>)> = None;
    while !done.load(Ordering::Relaxed) {
        let bundle = status.borrow_and_update().trust_bundle.clone().unwrap();
        if bundle != trusted && news.is_none() {
            news = Some((tokio::time::Instant::now(), bundle));
        }
        if let Some((_, bundle)) = news.take_if(|(since, _)| since.elapsed() >= LAG) {
            trusted = bundle;
        }
        for name in ["localhost", "127.0.0.1"] {
            ask(&mut connect(&trusted, port, name).await).await;
        }
        ask(&mut kept).await;
        asked.fetch_add(3, Ordering::Relaxed);
        sleep(Duration::from_millis(2)).await;
    }
}

#[rstest]
#[case::in_a_folder(Place::Folder)]
#[case::in_a_secret(Place::Secret)]
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_two_replicas_renew_leaf_and_authority(#[case] place: Place) {
    let (folder, api) = (tempfile::tempdir().unwrap(), Api::default());
    let source = || match place {
        Place::Folder => Source::Folder(folder.path().to_owned()),
        Place::Secret => Source::Secret {
            client: api.client(),
            namespace: "cinch".to_owned(),
            name: "cinch-webhook".to_owned(),
        },
    };
    let (one, one_port, _one_tasks) = replica(source()).await;
    let (other, other_port, _other_tasks) = replica(source()).await;
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    // What clients are told comes from one replica, as one of them writes caBundle first.
    for port in [one_port, other_port] {
        clients.spawn(keep_asking(one.clone(), port, Arc::clone(&done), Arc::clone(&asked)));
    }

    let first = one.trust_bundle().unwrap();
    let mut status = one.status();
    let replaced = status.wait_for(|status| {
        let bundle = status.trust_bundle.as_deref().unwrap_or_default();
        !bundle.contains(first.trim())
    });
    tokio::select! {
        replaced = timeout(LIMIT, replaced) => drop(replaced.expect("in time").unwrap()),
        failed = clients.join_next() => failed.expect("there are clients").unwrap(),
    }
    done.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }

    let (one, other) = (one.status().borrow().clone(), other.status().borrow().clone());
    assert_eq!((one.failures, other.failures), (0, 0));
    assert!(one.reloads >= 5, "the leaf was renewed only {} times", one.reloads);
    let made = one.renewals + other.renewals;
    assert!((6..=12).contains(&made), "{made} certificates made, so not by one for both");
    assert!(asked.load(Ordering::Relaxed) > 500);
}
