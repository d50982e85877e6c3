//! The review endpoints: one POST per path, read with limits, answered from the snapshot.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};

use crate::{
    answer::{Answer, Path, answer},
    metrics::Metrics,
    seal::HmacSeal,
    source::{Published, chain},
    token::Token,
};

/// What API servers send at most: etcd's limit on a request, twice (the old object and the new one).
pub const BODY_MAX: usize = 3 << 20;

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
    let reviews = Arc::new(reviews);
    Path::ALL.into_iter().fold(Router::new(), |router, path| {
        let reviews = Arc::clone(&reviews);
        router.route(
            path.as_str(),
            post(move |request| review(State(Arc::clone(&reviews)), path, request)),
        )
    })
}

async fn review(State(reviews): State<Arc<Reviews>>, path: Path, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = match check(&reviews, &head.headers) {
        Ok(()) => read(body, &head.headers, reviews.body_time).await,
        Err(refusal) => Err(refusal),
    };
    match body {
        Ok(body) => reply(&reviews, path, &body, &head.headers),
        Err(refusal) => refuse(&reviews, path, &refusal),
    }
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

async fn read(body: Body, headers: &HeaderMap, time: Duration) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("the body is larger than {BODY_MAX} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > BODY_MAX as u64) {
        return Err(too_large());
    }
    match timeout(time, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            let message = format!("the body broke off: {error}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "broken-body", message))
        }
        Err(_elapsed) => {
            let message = format!("the body did not come within {} s", time.as_secs_f32());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow-body", message))
        }
    }
}

fn reply(reviews: &Reviews, path: Path, body: &[u8], headers: &HeaderMap) -> Response {
    let start = Instant::now();
    let span = crate::telemetry::review_span(path, headers);
    let _entered = span.as_ref().map(tracing::Span::enter);
    let answered = answer(body, path, &reviews.published.load(), &reviews.seal);
    match answered {
        Ok(Answer { body, verdict, reasons }) => {
            tracing::debug!(
                path = path.as_str(),
                verdict = verdict.as_str(),
                ?reasons,
                "review answered"
            );
            reviews.metrics.answered(path, verdict, &reasons, start.elapsed());
            json(StatusCode::OK, body)
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
    let mut response = Response::new(Body::from(format!("{message}\n")));
    *response.status_mut() = *status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    if matches!(*status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        // The rest of the body is not worth reading.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
