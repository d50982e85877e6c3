//! A stream that ends when a request's head takes too long, counted from its first byte, or an answer is not taken.
//!
//! Hyper's own limit counts the idle time before a request as well, so it cannot be short; for answers it has none.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Tells a [`Paced`] how far the request is: even in a head, odd behind it.
#[derive(Clone, Debug)]
pub(super) struct Pace(Arc<AtomicUsize>);

impl Pace {
    pub(super) fn new<S>(stream: S, limit: Duration) -> (Paced<S>, Self) {
        let step = Arc::default();
        let paced = Paced { stream, limit, step: Arc::clone(&step), head: None, answer: None };
        (paced, Self(step))
    }

    pub(super) fn head_is_read(&self) {
        self.0.fetch_or(1, Ordering::Relaxed);
    }

    pub(super) fn is_answered(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Deadline = Pin<Box<Sleep>>;

/// The stream.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    limit: Duration,
    step: Arc<AtomicUsize>,
    /// Until when the head of this step must have come.
    head: Option<(usize, Deadline)>,
    /// Until when the client must have taken a piece of the answer.
    answer: Option<Deadline>,
}

impl<S> Paced<S> {
    /// What has become of a write; when nothing, for how long now.
    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.answer = None;
            return write;
        }
        let deadline = self.answer.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let step = this.step.load(Ordering::Relaxed);
        // A head that came in one piece leaves its deadline behind.
        this.head.take_if(|(of, _)| *of != step);
        if let Some((_, deadline)) = &mut this.head
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if step.is_multiple_of(2) && this.head.is_none() {
            // A head mostly comes in one piece: this timer is then dropped before it is ever registered.
            this.head = Some((step, Box::pin(sleep(this.limit))));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(context, write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.written(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flush = Pin::new(&mut this.stream).poll_flush(context);
        this.written(context, flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shutdown = Pin::new(&mut this.stream).poll_shutdown(context);
        this.written(context, shutdown)
    }
}
