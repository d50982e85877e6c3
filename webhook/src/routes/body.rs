//! Reads a body within its limits: of size, of time, and of how many large ones there may be at once.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::BODY_MAX;

/// What real reviews hardly ever exceed. Only a larger one takes a place among the large.
const SMALL: usize = 64 << 10;

/// Each may take [`BODY_MAX`], and more while it is parsed: what there are of them bounds the memory of the process.
const LARGE_AT_ONCE: usize = 8;

/// How bodies are read.
#[derive(Debug)]
pub(super) struct Reader {
    time: Duration,
    large: Semaphore,
}

/// A body, and its place until it is answered.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) bytes: Bytes,
    _place: Option<SemaphorePermit<'a>>,
}

/// Why there is no whole body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is larger than {BODY_MAX} bytes")]
    TooLarge,
    #[error("the body did not come within {} s", .0.as_secs_f32())]
    Slow(Duration),
    #[error("too many large bodies at once")]
    Crowded,
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
}

impl Reader {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, large: Semaphore::new(LARGE_AT_ONCE) }
    }

    /// Reads a body that says to be of this length, where it says one.
    pub(super) async fn read(
        &self,
        mut body: Body,
        length: Option<u64>,
    ) -> Result<Whole<'_>, BodyError> {
        if length.is_some_and(|length| length > BODY_MAX as u64) {
            return Err(BodyError::TooLarge);
        }
        let deadline = Instant::now() + self.time;
        let mut bytes = BytesMut::new();
        let mut place = None;
        loop {
            let frame = match timeout_at(deadline, body.frame()).await {
                Ok(Some(frame)) => frame.map_err(BodyError::Broken)?,
                Ok(None) => return Ok(Whole { bytes: bytes.freeze(), _place: place }),
                Err(_elapsed) => return Err(BodyError::Slow(self.time)),
            };
            let Ok(data) = frame.into_data() else { continue };
            let size = bytes.len() + data.len();
            if size > BODY_MAX {
                return Err(BodyError::TooLarge);
            }
            if size > SMALL && place.is_none() {
                let permit = timeout_at(deadline, self.large.acquire()).await;
                place = permit.map_err(|_elapsed| BodyError::Crowded)?.ok();
            }
            if bytes.is_empty() && body.is_end_stream() {
                return Ok(Whole { bytes: data, _place: place });
            }
            // Copied, not kept as it came: a piece of one byte would hold on to a whole buffer.
            bytes.extend_from_slice(&data);
        }
    }
}
