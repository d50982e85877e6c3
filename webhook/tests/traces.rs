//! A review is a span of the API server's own trace, at a collector that speaks OTLP.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use certs::{Lifetimes, Source};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::sync::mpsc;
use tonic::{Response, Status, transport::Server};
use tower::ServiceExt as _;
use webhook::{
    metrics::Metrics,
    routes::{self, Reviews},
    seal::HmacSeal,
    source::{Published, folder::Folder},
    telemetry,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

struct Collector(mpsc::UnboundedSender<Span>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        let spans = resources.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        for span in spans {
            self.0.send(span).map_err(|_closed| Status::unavailable("nobody reads"))?;
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn collector() -> Result<(SocketAddr, mpsc::UnboundedReceiver<Span>), Box<dyn Error>> {
    let (sender, spans) = mpsc::unbounded_channel();
    let listener = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let address = listener.local_addr()?;
    let server = Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
    tokio::spawn(server.serve_with_incoming(listener));
    Ok((address, spans))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_continues_the_trace_of_the_api_server() -> Result<(), Box<dyn Error>> {
    let (address, mut spans) = collector()?;
    let guard = telemetry::start("info", Some(&format!("http://{address}")))?;
    let folder = tempfile::tempdir()?;
    let source = Source::Folder(folder.path().join("certs"));
    let (serving, _keeper) =
        certs::open(source, ["localhost".parse()?], Lifetimes::default()).await?;
    let published = Published::default();
    published.publish(&mut Folder::new(folder.path().to_owned()).read().0);
    let router = routes::router(Reviews {
        published,
        seal: HmacSeal::shared(serving),
        metrics: Arc::new(Metrics::default()),
        body_time: Duration::from_secs(5),
        token: None,
    });

    let request = Request::post("/mutate-v1-pod")
        .header(CONTENT_TYPE, "application/json")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .body(Body::from(include_str!("fixtures/review-5k.json")))?;
    let response = router.oneshot(request).await?;
    assert_eq!(response.status(), StatusCode::OK);
    // What is still on its way is sent before the guard is gone.
    tokio::task::spawn_blocking(move || drop(guard)).await?;

    let span = spans.recv().await.ok_or("no span came")?;
    let (trace, parent) = (u128::from_str_radix(TRACE, 16)?, u64::from_str_radix(PARENT, 16)?);
    assert_eq!(span.name, "review");
    assert_eq!(
        (&*span.trace_id, &*span.parent_span_id),
        (&trace.to_be_bytes()[..], &parent.to_be_bytes()[..])
    );
    let path = span.attributes.iter().find(|attribute| attribute.key == "path");
    assert!(format!("{path:?}").contains("/mutate-v1-pod"), "{path:?}");
    Ok(())
}
