//! The real server on a free port, with certificates of its own and a folder of manifests.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use certs::{Lifetimes, Serving, Source};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use webhook::{
    metrics::Metrics,
    routes::{self, Reviews},
    seal::HmacSeal,
    server::{self, Limits},
    source::{Published, folder::Folder},
    tls,
    token::Token,
};

use crate::{
    client::{Client, LIMIT},
    reviews::SMALL,
};

/// A binding of every kind for the first container of the captured reviews, a wildcard, and a recording.
pub(crate) const MANIFESTS: &str = include_str!("../fixtures/manifests.yaml");

/// How to start it.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) body_time: Duration,
    pub(crate) token: Option<PathBuf>,
    pub(crate) client_ca: Option<PathBuf>,
}

/// A running server, ended when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    roots: RootCertStore,
    _folder: TempDir,
}

/// A certificate and its key, as PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Default for Setup {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        let limits = Limits { connections: 64, head: LIMIT, linger: second, drain: LIMIT };
        Self { limits, body_time: LIMIT, token: None, client_ca: None }
    }
}

impl Setup {
    pub(crate) async fn start(self) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("certs");
        let names = ["localhost".parse().unwrap()];
        let (serving, _keeper) =
            certs::open(Source::Folder(certs), names, Lifetimes::default()).await.unwrap();
        let tls = tls::config(&serving, self.client_ca.as_deref()).unwrap();
        let router = routes::router(Reviews {
            published: published(folder.path().join("manifests")),
            seal: HmacSeal::alone(),
            metrics: Arc::new(Metrics::default()),
            body_time: self.body_time,
            token: self.token.map(|path| Token::open(&path).unwrap()),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(server::serve(listener, tls, router, self.limits, stopping));
        Server { address, stop, task, roots: roots(&serving), _folder: folder }
    }
}

fn published(folder: PathBuf) -> Published {
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("all.yaml"), MANIFESTS).unwrap();
    let (mut world, problems) = Folder::new(folder).read();
    assert_eq!(problems, []);
    let published = Published::default();
    published.publish(&mut world);
    published
}

fn roots(serving: &Serving) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let bundle = serving.trust_bundle().unwrap();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

impl Server {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// Without TLS.
    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// With TLS, trusting only this server's authority.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_as(None).await
    }

    pub(crate) async fn connect_as(&self, identity: Option<&Identity>) -> Client {
        Client::new(self.tcp().await, self.client_config(identity)).await.unwrap()
    }

    pub(crate) fn client_config(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone());
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        })
    }

    /// Asserts that a good review is answered rightly.
    pub(crate) async fn is_well(&self) {
        let verdict = self.connect().await.review(SMALL).await.verdict();
        assert!(verdict.allowed);
        let web = verdict.patched_pod(SMALL)["spec"]["containers"][0].clone();
        let profile = &web["securityContext"]["seccompProfile"]["localhostProfile"];
        assert_eq!(profile, "operator/web.json");
    }

    /// Waits until the server has ended by itself.
    pub(crate) async fn ended(&mut self) {
        timeout(LIMIT, &mut self.task).await.expect("the server ends in time").unwrap();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
