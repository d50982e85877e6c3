//! Load on one server: a closed loop for throughput, an open one for latency.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;

use crate::connection::Connection;

/// A server that does not answer for so long never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// Several connections to one server.
#[derive(Debug)]
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
}

/// What a closed loop has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) answers: u32,
    pub(crate) took: Duration,
}

impl Throughput {
    pub(crate) fn per_second(self) -> f64 {
        f64::from(self.answers) / self.took.as_secs_f64()
    }
}

impl Load {
    pub(crate) fn open(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        count: usize,
    ) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(count);
        for n in 0..count {
            let mut connection = Connection::open(address, config)?;
            poll.registry().register(&mut connection.stream, Token(n), Interest::READABLE)?;
            connections.push(connection);
        }
        Ok(Self { poll, events: Events::with_capacity(count), connections })
    }

    /// One request and the text of its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<String> {
        self.connections[0].send(request)?;
        let mut text = None;
        while text.is_none() {
            self.wait(Some(PATIENCE), |connection, _| {
                if let Some(answer) = connection.receive()? {
                    text = Some(String::from_utf8_lossy(answer).into_owned());
                }
                Ok(())
            })?;
        }
        Ok(text.unwrap_or_default())
    }

    /// Every connection sends its next request as soon as its last one is answered.
    pub(crate) fn closed(&mut self, request: &[u8], time: Duration) -> Result<Throughput> {
        let start = Instant::now();
        let (mut answers, mut open) = (0, self.connections.len());
        for connection in &mut self.connections {
            connection.send(request)?;
        }
        while open > 0 {
            let more = start.elapsed() < time;
            self.wait(Some(PATIENCE), |connection, _| {
                if connection.receive()?.is_some() {
                    answers += 1;
                    if more { connection.send(request)? } else { open -= 1 }
                }
                Ok(())
            })?;
        }
        Ok(Throughput { answers, took: start.elapsed() })
    }

    /// Requests are due at fixed times, whatever has become of those before; latency counts from when one was due, also
    /// when every connection was taken then.
    pub(crate) fn open_loop(
        &mut self,
        request: &[u8],
        per_second: f64,
        time: Duration,
    ) -> Result<Histogram<u64>> {
        let mut nanoseconds = Histogram::new(3)?;
        let step = Duration::from_secs_f64(1.0 / per_second);
        let mut free: VecDeque<usize> = (0..self.connections.len()).collect();
        let mut due_of = vec![Instant::now(); self.connections.len()];
        let start = Instant::now();
        let mut due = start;
        while due < start + time || free.len() < self.connections.len() {
            while due <= Instant::now()
                && due < start + time
                && let Some(connection) = free.pop_front()
            {
                due_of[connection] = due;
                self.connections[connection].send(request)?;
                due += step;
            }
            // Never sleeps: waking up would take longer than what is measured.
            self.wait(Some(Duration::ZERO), |connection, n| {
                if connection.receive()?.is_some() {
                    let latency = due_of[n].elapsed().as_nanos().try_into()?;
                    nanoseconds.record(latency)?;
                    free.push_back(n);
                }
                Ok(())
            })?;
            ensure!(start.elapsed() < time + PATIENCE, "the server does not keep up");
        }
        Ok(nanoseconds)
    }

    fn wait(
        &mut self,
        limit: Option<Duration>,
        mut readable: impl FnMut(&mut Connection, usize) -> Result<()>,
    ) -> Result<()> {
        self.poll.poll(&mut self.events, limit)?;
        let patient = limit.is_some_and(|limit| limit >= PATIENCE);
        ensure!(!(patient && self.events.is_empty()), "no answer within {PATIENCE:?}");
        for event in &self.events {
            let Token(n) = event.token();
            readable(&mut self.connections[n], n)?;
        }
        Ok(())
    }
}
