//! A client that sends what it is told to, byte for byte, and reads answers.

use std::{fmt::Write as _, io, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Nothing that is waited for takes this long, whatever else the machine does.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const PATH: &str = "/mutate-v1-pod-binding";

/// A connection.
pub(crate) struct Client {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

/// What a review's answer says.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) warnings: Vec<String>,
    pub(crate) patch: Option<json_patch::Patch>,
    pub(crate) audit: Value,
}

/// A request with a body of known length.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("Content-Length", &length));
    let mut request = head("POST", path, &headers);
    request.extend(body);
    request
}

/// A request up to its body.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    (head + "\r\n").into_bytes()
}

pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

impl Client {
    pub(crate) async fn new(tcp: TcpStream, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let connect = TlsConnector::from(config).connect(name, tcp);
        let stream = timeout(LIMIT, connect).await.expect("the handshake ends in time")?;
        Ok(Self { stream, read: Vec::new() })
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let write = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        timeout(LIMIT, write).await.expect("the server reads in time")
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn send_end(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next answer.
    pub(crate) async fn response(&mut self) -> Response {
        self.try_response().await.unwrap()
    }

    /// The next answer, unless the connection ends first.
    pub(crate) async fn try_response(&mut self) -> io::Result<Response> {
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if !self.read_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head: Vec<u8> = self.read.drain(..head_end + 4).collect();
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response { status, head, body: Vec::new() };
        let length = response.header("content-length").map_or(0, |n| n.parse().unwrap());
        while self.read.len() < length {
            assert!(self.read_more().await?, "the answer breaks off");
        }
        response.body = self.read.drain(..length).collect();
        Ok(response)
    }

    /// Sends a review, and returns the answer.
    pub(crate) async fn review(&mut self, body: impl AsRef<[u8]>) -> Response {
        self.send(post(PATH, &[JSON], body)).await.unwrap();
        self.response().await
    }

    /// Asserts that the server closes the connection without another word.
    pub(crate) async fn is_closed(&mut self) {
        match self.read_more().await {
            Ok(more) => assert!(!more, "{}", String::from_utf8_lossy(&self.read)),
            // Closed without a farewell: that is what a client deserves that never came to an end itself.
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::BrokenPipe
                ),
                "{error}"
            ),
        }
    }

    /// Makes a drop look like a crash: the peer gets a reset.
    pub(crate) fn vanish(self) {
        let (tcp, _) = self.stream.into_inner();
        tcp.set_zero_linger().unwrap();
    }

    async fn read_more(&mut self) -> io::Result<bool> {
        let read = self.stream.read_buf(&mut self.read);
        Ok(timeout(LIMIT, read).await.expect("the server answers in time")? > 0)
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ str| line.split_once(": ").is_some_and(|(n, _)| n == name);
        Some(self.head.lines().find(|line| value(line))?.split_once(": ")?.1)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Asserts the status and what the message says.
    #[track_caller]
    pub(crate) fn says(&self, status: u16, fragment: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        let text = self.text();
        assert!(text.contains(fragment), "{text:?} does not say {fragment:?}");
        assert!(text.len() < 1024, "a message of {} bytes", text.len());
    }

    pub(crate) fn verdict(&self) -> Verdict {
        assert_eq!(self.status, 200, "{}", self.text());
        let review: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(review["kind"], "AdmissionReview");
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        let response = &review["response"];
        let patch = response["patch"]
            .as_str()
            .map(|patch| serde_json::from_slice(&BASE64_STANDARD.decode(patch).unwrap()).unwrap());
        assert_eq!(response["patchType"] == "JSONPatch", patch.is_some());
        let warnings = response["warnings"].as_array().into_iter().flatten();
        Verdict {
            allowed: response["allowed"].as_bool().unwrap(),
            warnings: warnings.map(|text| text.as_str().unwrap().to_owned()).collect(),
            patch,
            audit: response["auditAnnotations"].clone(),
        }
    }
}

impl Verdict {
    /// The pod of a review after the patch.
    pub(crate) fn patched_pod(&self, review: impl AsRef<[u8]>) -> Value {
        let mut review: Value = serde_json::from_slice(review.as_ref()).unwrap();
        let mut pod = review["request"]["object"].take();
        if let Some(patch) = &self.patch {
            json_patch::patch(&mut pod, patch).unwrap();
        }
        pod
    }
}
