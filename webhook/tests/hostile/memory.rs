//! Memory stays bounded whatever is sent: measured on the real program, in a process of its own.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

use crate::{
    client::{Client, JSON, LIMIT, PATH, head, post},
    reviews::{SMALL, replaced},
    server::MANIFESTS,
};

const MEBIBYTE: usize = 1 << 20;

/// `cinch-webhook serve`, killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
    config: Arc<ClientConfig>,
    _folder: TempDir,
}

impl Process {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certs, manifests) = (folder.path().join("certs"), folder.path().join("manifests"));
        fs::create_dir(&manifests).unwrap();
        fs::write(manifests.join("all.yaml"), MANIFESTS).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cinch-webhook"))
            .args([
                "serve",
                "--listen=127.0.0.1:0",
                "--admin=127.0.0.1:0",
                "--threads=2",
                "--request-timeout=15s",
            ])
            .arg("--certs")
            .arg(&certs)
            .arg("--manifests")
            .arg(&manifests)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = timeout(LIMIT, async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it says where it listens");
                let line: Value = serde_json::from_str(&line).unwrap();
                if line["message"] == "listening" {
                    break line["reviews"].as_str().unwrap().parse().unwrap();
                }
            }
        });
        let address = address.await.unwrap();
        // The pipe stays open: what is logged later has somewhere to go.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, address, config: trusting(&certs.join("ca.crt")), _folder: folder }
    }

    async fn connect(&self) -> Client {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        Client::new(tcp, Arc::clone(&self.config)).await.unwrap()
    }

    /// The most memory that it ever had, in bytes.
    fn peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// How much more memory it took than for a good review, while each of so many connections sent this.
    async fn growth(&self, connections: usize, request: Vec<u8>, statuses: &[u16]) -> usize {
        self.is_well().await;
        let before = self.peak();
        let request: Arc<[u8]> = request.into();
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let (mut client, request) = (self.connect().await, Arc::clone(&request));
            clients.spawn(async move {
                // The server may close before all is sent.
                drop(client.send(&request).await);
                client.response().await.status
            });
        }
        for status in clients.join_all().await {
            assert!(statuses.contains(&status), "{status}");
        }
        self.is_well().await;
        let growth = self.peak() - before;
        println!("{connections} connections: {} KiB more", growth >> 10);
        growth
    }

    async fn is_well(&self) {
        assert!(self.connect().await.review(SMALL).await.verdict().patch.is_some());
    }
}

fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn chunked(chunk: &str, count: usize) -> Vec<u8> {
    let mut request = head("POST", PATH, &[JSON, ("Transfer-Encoding", "chunked")]);
    request.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).repeat(count).as_bytes());
    request.extend(b"0\r\n\r\n");
    request
}

/// Eight large bodies at once, each of 3 MiB in a buffer that doubles as it grows (4 MiB beside the 2 MiB before), are
/// 48 MiB; each connection has 64 KiB of a body and as much again in the buffers of HTTP and of TLS: 50 are 10 MiB.
#[tokio::test]
async fn fifty_bodies_of_ten_mebibytes_take_less_than_64_mebibytes() {
    let process = Process::start().await;
    let request = chunked(&"x".repeat(64 << 10), 160);
    assert!(request.len() > 10 * MEBIBYTE);
    assert!(process.growth(50, request, &[413, 503]).await < 64 * MEBIBYTE);
}

/// The pieces are as small as can be, and what holds them together must not be larger than they are.
#[tokio::test]
async fn bodies_in_chunks_of_a_byte_take_no_more_than_others() {
    let process = Process::start().await;
    let request = chunked(" ", 100_000);
    assert!(process.growth(4, request, &[400]).await < 4 * MEBIBYTE);
}

/// Two bytes of a review become hundreds in memory: as many containers as may be, and then a million.
#[tokio::test]
async fn a_million_containers_take_no_more_than_ten_thousand() {
    let process = Process::start().await;
    for (count, status) in [(9_990, 200), (MEBIBYTE - 2000, 400)] {
        let empty = vec!["{}"; count].join(",");
        let review = replaced("\"containers\":[", &format!("\"containers\":[{empty},"));
        let growth = process.growth(2, post(PATH, &[JSON], review), &[status]).await;
        assert!(growth < 32 * MEBIBYTE, "{growth} bytes for {count} containers");
    }
}
