//! A stream that ends when a request's head takes too long, counted from its first byte.
//!
//! Hyper's own limit counts the idle time before a request as well, so it cannot be short.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Tells a [`Paced`] how far the request is.
#[derive(Clone, Debug)]
pub(super) struct Pace(Arc<AtomicBool>);

impl Pace {
    pub(super) fn new<S>(stream: S, limit: Duration) -> (Paced<S>, Self) {
        let in_head = Arc::new(AtomicBool::new(true));
        let paced = Paced { stream, limit, in_head: Arc::clone(&in_head), deadline: None };
        (paced, Self(in_head))
    }

    pub(super) fn head_is_read(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_answered(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The stream.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    limit: Duration,
    /// Whether what comes now belongs to a head.
    in_head: Arc<AtomicBool>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let in_head = this.in_head.load(Ordering::Relaxed);
        if !in_head {
            this.deadline = None;
        }
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if in_head && this.deadline.is_none() {
            // A head mostly comes in one piece: this timer is then dropped before it is ever registered.
            this.deadline = Some(Box::pin(sleep(this.limit)));
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
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
