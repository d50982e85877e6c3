//! From records to lines of JSON: limited where they are read, named and written in a thread of its own, so that reading never
//! waits for a name or a disk.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Event,
    entry::{Entry, rfc3339},
    filter::Filters,
    limit::{Limit, Limiter, Pass},
    loss::Loss,
    names::Names,
    output::Output,
};
use crate::{audit::Record, cgroup::Container};

/// The most entries that wait to be written, and to be named.
const QUEUE: usize = 4096;

/// For how long a name is waited for: that of a pod may come after its first record.
const WAIT: Duration = Duration::from_secs(5);

/// How often names are asked for again, and what was suppressed is told.
const TURN: Duration = Duration::from_millis(500);

/// How to enrich.
#[derive(Clone, Debug, Default)]
pub struct Enrichment {
    pub node: String,
    pub filters: Filters,
    pub limit: Limit,
    /// Also what is the host's own, or nobody knows whose.
    pub all: bool,
}

/// Takes records, and hands them on as entries. Dropped, it lets what waits be written.
#[derive(Debug)]
pub struct Enricher {
    node: String,
    all: bool,
    limiter: Limiter,
    told: Instant,
    queue: Option<SyncSender<Item>>,
    unwritten: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Item {
    Entry(Box<Entry>, Option<Container>),
    Lost(Loss),
    Suppressed(u64),
}

impl Enricher {
    /// Starts the thread that writes.
    pub fn start(
        enrichment: Enrichment,
        names: Arc<dyn Names>,
        output: Output,
    ) -> io::Result<Self> {
        let Enrichment { node, filters, limit, all } = enrichment;
        let (queue, items) = sync_channel(QUEUE);
        let unwritten = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            node: node.clone(),
            filters,
            names,
            output,
            waiting: VecDeque::new(),
            unwritten: Arc::clone(&unwritten),
        };
        let thread = std::thread::Builder::new().name("entries".to_owned());
        let thread = thread.spawn(move || writer.run(&items))?;
        Ok(Self {
            node,
            all,
            limiter: Limiter::new(limit),
            told: Instant::now(),
            queue: Some(queue),
            unwritten,
            thread: Some(thread),
        })
    }

    /// Takes in what was told. Never waits.
    pub fn take(&mut self, event: &Event<'_>) {
        let now = Instant::now();
        match event {
            Event::Lost(loss) => self.send(Item::Lost(*loss)),
            Event::Record(record, origin, _) => {
                let container = origin.container();
                if container.is_none() && !self.all {
                    return;
                }
                let Pass::Through { suppressed } = self.pass(record, container, now) else {
                    return;
                };
                if let Some(mut entry) = Entry::of(record, origin, &self.node) {
                    entry.suppressed = Some(suppressed).filter(|count| *count > 0);
                    self.send(Item::Entry(Box::new(entry), container.cloned()));
                }
            }
        }
        if now.duration_since(self.told) > TURN {
            self.told = now;
            let untold = self.limiter.untold(now);
            if untold > 0 {
                self.send(Item::Suppressed(untold));
            }
        }
    }

    /// Entries that could not be written, or had no place.
    pub fn unwritten(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.unwritten)
    }

    fn pass(&mut self, record: &Record<'_>, container: Option<&Container>, now: Instant) -> Pass {
        let id = container.map(|container| &*container.id);
        match record {
            Record::Seccomp(r) => self.limiter.take((id, r.action, r.arch, r.number), now),
            Record::AppArmor(r) => {
                self.limiter.take((id, r.verdict, &r.operation, &r.name, &r.requested), now)
            }
            Record::Selinux(r) => {
                let what = (&r.permissions, r.stype(), r.ttype(), r.tclass);
                self.limiter.take((id, r.verdict, what), now)
            }
            Record::Lost(_) | Record::LostInAll(_) => Pass::Suppressed,
        }
    }

    fn send(&self, item: Item) {
        let sent = self.queue.as_ref().is_some_and(|queue| queue.try_send(item).is_ok());
        if !sent {
            self.unwritten.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Enricher {
    fn drop(&mut self) {
        let untold = self.limiter.untold(Instant::now() + Duration::from_hours(24));
        if untold > 0 {
            self.send(Item::Suppressed(untold));
        }
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            drop(thread.join());
        }
    }
}

/// Names entries, and writes them.
struct Writer {
    node: String,
    filters: Filters,
    names: Arc<dyn Names>,
    output: Output,
    /// Without a name so far, the oldest first.
    waiting: VecDeque<(Instant, Box<Entry>, Container)>,
    unwritten: Arc<AtomicU64>,
}

impl Writer {
    fn run(mut self, items: &Receiver<Item>) {
        let mut turn = Instant::now();
        loop {
            match items.recv_timeout(TURN) {
                Ok(item) => self.take(item),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if turn.elapsed() >= TURN {
                turn = Instant::now();
                self.name_waiting(Some(WAIT));
            }
        }
        self.name_waiting(None);
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Entry(mut entry, container) => {
                if let Some(container) = container {
                    entry.name = self.names.of(&container);
                    if entry.name.is_none() && self.waiting.len() < QUEUE {
                        self.waiting.push_back((Instant::now(), entry, container));
                        return;
                    }
                }
                self.write(&entry);
            }
            Item::Lost(loss) => {
                self.say(&json!({ "type": "lost", "reason": loss.name(), "count": loss.lines() }));
            }
            Item::Suppressed(count) => {
                self.say(&json!({ "type": "suppressed", "suppressed": count }));
            }
        }
    }

    /// Asks again for names, and writes what has one by now, or has waited for too long.
    fn name_waiting(&mut self, patience: Option<Duration>) {
        for (since, mut entry, container) in std::mem::take(&mut self.waiting) {
            entry.name = self.names.of(&container);
            if entry.name.is_none() && patience.is_some_and(|patience| since.elapsed() < patience) {
                self.waiting.push_back((since, entry, container));
            } else {
                self.write(&entry);
            }
        }
    }

    fn write(&mut self, entry: &Entry) {
        // An entry is an object with keys of its own.
        let Ok(Value::Object(object)) = serde_json::to_value(entry) else { return };
        if self.filters.let_through(&object) {
            self.print(&Value::Object(object));
        }
    }

    fn say(&mut self, what: &Value) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or_default());
        let mut said = json!({ "timestamp": rfc3339(now), "node": self.node });
        if let (Some(said), Some(what)) = (said.as_object_mut(), what.as_object()) {
            said.extend(what.clone());
        }
        self.print(&said);
    }

    fn print(&mut self, value: &Value) {
        if let Err(error) = self.output.line(&value.to_string()) {
            // Once for each burst: a full disk is full for a while.
            if self.unwritten.fetch_add(1, Relaxed).is_multiple_of(1000) {
                tracing::error!(error = &error as &dyn std::error::Error, "an entry is lost");
            }
        }
    }
}

#[cfg(test)]
mod tests;
