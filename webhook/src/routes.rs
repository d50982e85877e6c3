//! The review endpoints: one POST per path, read with limits, answered from the snapshot.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response, routing::post};
use daemon::error::chain;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::{Instant, timeout};

use self::body::{BodyError, Reader, Whole};
use crate::{
    answer::{Answer, Path, answer},
    metrics::Metrics,
    seal::HmacSeal,
    source::Published,
    token::Token,
    warnings::cut,
};

mod body;

/// What API servers send at most: etcd's limit on a request, twice (the old object and the new one).
pub const BODY_MAX: usize = 3 << 20;

/// How long a review waits for the first snapshot: the API server gives up on it after 2 s.
const LOADING: Duration = Duration::from_millis(1500);

const MESSAGE_MAX: usize = 512;

/// All that answering needs.
#[derive(Clone, Debug)]
pub struct Reviews {
    pub published: Published,
    pub seal: HmacSeal,
    pub metrics: Arc<Metrics>,
    pub body_time: Duration,
    /// Asked of whoever sends reviews, where one is set.
    pub token: Option<Token>,
}

/// The endpoints.
pub fn router(reviews: Reviews) -> Router {
    let reader = Reader::new(reviews.body_time);
    let shared = Arc::new((reviews, reader));
    let router = Path::ALL.into_iter().fold(Router::new(), |router, path| {
        let shared = Arc::clone(&shared);
        router.route(path.as_str(), post(move |request| review(Arc::clone(&shared), path, request)))
    });
    let paths = Path::ALL.map(Path::as_str).join(", ");
    router
        .fallback(async move || text(StatusCode::NOT_FOUND, &format!("reviews go to {paths}")))
        .method_not_allowed_fallback(async || {
            text(StatusCode::METHOD_NOT_ALLOWED, "a review is sent by POST")
        })
}

async fn review(shared: Arc<(Reviews, Reader)>, path: Path, request: Request) -> Response {
    let (reviews, reader) = &*shared;
    let (head, body) = request.into_parts();
    match receive(reviews, reader, &head.headers, body).await {
        Ok(body) => reply(reviews, path, &body.bytes, &head.headers),
        Err(refusal) => refuse(reviews, path, &refusal),
    }
}

async fn receive<'a>(
    reviews: &Reviews,
    reader: &'a Reader,
    headers: &HeaderMap,
    body: Body,
) -> Result<Whole<'a>, Refusal> {
    check(reviews, headers)?;
    let body = read(reader, body, headers).await?;
    // Nothing is bound from nothing: a review that comes before the first snapshot waits for it, if not for long.
    if !reviews.published.is_loaded() && timeout(LOADING, reviews.published.loaded()).await.is_err()
    {
        let message = "not ready: bindings and profiles are not loaded yet";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-loaded", message));
    }
    Ok(body)
}

/// Why a request is not answered with a review.
struct Refusal {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }
}

fn check(reviews: &Reviews, headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(token) = &reviews.token
        && !token.admits(headers.get(header::AUTHORIZATION))
    {
        let message = "a bearer token of the API server is needed";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "token", message));
    }
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let shown: String = content_type.chars().take(64).collect();
    let message = format!("Content-Type is {shown:?}: application/json is needed");
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", message))
}

async fn read<'a>(
    reader: &'a Reader,
    body: Body,
    headers: &HeaderMap,
) -> Result<Whole<'a>, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    reader.read(body, length).await.map_err(|error| {
        let (status, reason) = match &error {
            BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            BodyError::Slow(_) => (StatusCode::REQUEST_TIMEOUT, "slow-body"),
            BodyError::Crowded => (StatusCode::SERVICE_UNAVAILABLE, "crowded"),
            BodyError::Broken(_) => (StatusCode::BAD_REQUEST, "broken-body"),
        };
        Refusal::new(status, reason, chain(&error))
    })
}

fn reply(reviews: &Reviews, path: Path, body: &[u8], headers: &HeaderMap) -> Response {
    let start = Instant::now();
    let span = crate::telemetry::review_span(path, headers);
    let _entered = span.as_ref().map(tracing::Span::enter);
    let answered = answer(body, path, &reviews.published.load(), &reviews.seal);
    match answered {
        Ok(answer) => {
            let Answer { verdict, reasons, .. } = &answer;
            tracing::debug!(
                path = path.as_str(),
                verdict = verdict.as_str(),
                ?reasons,
                "review answered"
            );
            reviews.metrics.answered(path, &answer, start.elapsed());
            json(StatusCode::OK, answer.body)
        }
        Err(error) => {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "bad-review", chain(&error));
            refuse(reviews, path, &refusal)
        }
    }
}

fn refuse(reviews: &Reviews, path: Path, refusal: &Refusal) -> Response {
    let Refusal { status, reason, message } = refusal;
    tracing::debug!(path = path.as_str(), status = status.as_u16(), message, "request refused");
    reviews.metrics.refused(path, reason);
    // A parser's error repeats what it did not like, as long as that is.
    let mut response = text(*status, &cut(message, MESSAGE_MAX));
    let body_is_left = [
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if body_is_left.contains(status) {
        // The rest of the body is not worth reading.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn text(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{message}\n")));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
