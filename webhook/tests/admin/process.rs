//! All parts of the process but its ports and its flags.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use certs::{Lifetimes, Serving, Source};
use daemon::contact::Health;
use http::Request;
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;
use webhook::{
    admin::{self, Admin},
    metrics::Metrics,
    routes::{self, Reviews},
    seal::HmacSeal,
    source::{Published, folder::Folder},
};

const MANIFESTS: &str = include_str!("../fixtures/manifests.yaml");
pub(crate) const SMALL: &str = include_str!("../fixtures/review-5k.json");
pub(crate) const BOTH: &str = "/mutate-v1-pod";

/// A source of which nothing has been heard for so many seconds.
#[derive(Debug, Default)]
pub(crate) struct Watch(pub(crate) AtomicU64);

impl Health for Watch {
    fn ages(&self) -> Vec<(&'static str, u64)> {
        vec![("Namespace", 0), ("ProfileBinding", self.0.load(Ordering::Relaxed))]
    }
}

pub(crate) struct Process {
    published: Published,
    pub(crate) watch: Arc<Watch>,
    pub(crate) serving: Serving,
    pub(crate) stop: watch::Sender<bool>,
    probes: Router,
    reviews: Router,
    folder: TempDir,
}

impl Process {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certs = Source::Folder(folder.path().join("certs"));
        let names = ["localhost".parse().unwrap()];
        let (serving, _keeper) = certs::open(certs, names, Lifetimes::default()).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let (published, watch) = (Published::default(), Arc::new(Watch::default()));
        let metrics = Arc::new(Metrics::default());
        let health: Arc<dyn Health> = Arc::<Watch>::clone(&watch);
        let probes = admin::router(Admin {
            published: published.clone(),
            health,
            metrics: Arc::clone(&metrics),
            serving: serving.clone(),
            stopping,
        });
        let reviews = routes::router(Reviews {
            published: published.clone(),
            seal: HmacSeal::alone(),
            metrics,
            body_time: Duration::from_secs(20),
            token: None,
        });
        Self { published, watch, serving, stop, probes, reviews, folder }
    }

    /// As [`Self::new`], after the first snapshot.
    pub(crate) async fn loaded() -> Self {
        let process = Self::new().await;
        process.load();
        process
    }

    pub(crate) fn load(&self) {
        let manifests = self.folder.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        std::fs::write(manifests.join("all.yaml"), MANIFESTS).unwrap();
        let (mut world, problems) = Folder::new(manifests).read();
        assert_eq!(problems, []);
        self.published.publish(&mut world);
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        ask(&self.probes, Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn review(&self, body: impl Into<Body>) -> u16 {
        let request = Request::post(BOTH).header("Content-Type", "application/json");
        ask(&self.reviews, request.body(body.into()).unwrap()).await.0
    }

    pub(crate) async fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        text
    }

    /// The value of the one sample that begins so.
    pub(crate) async fn count(&self, key: &str) -> u64 {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {key} in:\n{text}")).parse().unwrap()
    }
}

async fn ask(router: &Router, request: Request<Body>) -> (u16, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
