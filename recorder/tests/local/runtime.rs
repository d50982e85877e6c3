//! A container runtime that a test plays: it answers over a socket as containerd does.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::Path,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use libtest_mimic::Failed;
use tokio::net::UnixListener;
use tonic::{Request, Response, Status, body::Body, server, transport::Server};
use tonic_prost::ProstCodec;
use tower::Service;

/// The uid of its pod.
pub(crate) const POD: &str = "2c48913c-b29f-11e7-9350-020968147796";

/// A runtime with one pod, which has one container of this id.
#[derive(Clone)]
struct Runtime(String);

/// Answers at a socket, as long as this lives.
pub(crate) fn serve(socket: &Path, id: &str) -> Result<tokio::runtime::Runtime, Failed> {
    let tokio = tokio::runtime::Runtime::new()?;
    let guard = tokio.enter();
    let listener = UnixListener::bind(socket)?;
    drop(guard);
    let incoming = futures::stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let runtime = Runtime(id.to_owned());
    drop(tokio.spawn(Server::builder().add_service(runtime).serve_with_incoming(incoming)));
    Ok(tokio)
}

#[derive(Clone, PartialEq, prost::Message)]
struct List {}

#[derive(Clone, PartialEq, prost::Message)]
struct Containers {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Container>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Container {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    sandbox: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Metadata>,
    #[prost(int32, tag = "6")]
    state: i32,
    #[prost(map = "string, string", tag = "8")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sandboxes {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Sandbox>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sandbox {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
    #[prost(map = "string, string", tag = "5")]
    labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

impl server::NamedService for Runtime {
    const NAME: &'static str = "runtime.v1.RuntimeService";
}

impl Service<http::Request<Body>> for Runtime {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let id = self.0.clone();
        Box::pin(async move {
            Ok(if request.uri().path().ends_with("/ListContainers") {
                let metadata = Some(Metadata { name: "main".into(), ..Metadata::default() });
                let labels = [
                    ("io.kubernetes.pod.uid".to_owned(), POD.to_owned()),
                    ("io.kubernetes.container.name".to_owned(), "main".to_owned()),
                ];
                let labels = labels.into();
                let container = Container { id, sandbox: "s".into(), metadata, state: 1, labels };
                // One that somebody has started beside Kubernetes.
                let foreign = Container { id: "x".into(), ..Container::default() };
                answer(Containers { items: vec![container, foreign] }, request).await
            } else {
                let named =
                    Metadata { name: "web-0".into(), uid: POD.into(), namespace: "shop".into() };
                let labels = [("app".to_owned(), "web".to_owned())].into();
                let sandbox = Sandbox { id: "s".into(), metadata: Some(named), labels };
                answer(Sandboxes { items: vec![sandbox] }, request).await
            })
        })
    }
}

async fn answer<A: prost::Message + Default + Clone + 'static>(
    answer: A,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let service = tower::service_fn(move |_: Request<List>| {
        let answer = answer.clone();
        async move { Ok::<_, Status>(Response::new(answer)) }
    });
    server::Grpc::new(ProstCodec::<A, List>::default()).unary(service, request).await
}
