//! The controller: what admission leaves to be done afterwards. It watches, and writes only what has changed.
//!
//! ```text
//!  watches --told--> state (indexed) --changes--> parts (duties) --wants--> outbox (paced) --orders--> writer
//!                                                                                            ^
//!                                                                              leader (one of several writes)
//! ```
//!
//! How another duty is added is told in [`part`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use daemon::contact::{Contact, Health};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use kube::Client;
use tokio::{net::TcpListener, sync::watch, time::timeout_at};

use self::{
    admin::Admin,
    core::Core,
    leader::{Place, Term},
    metrics::Metrics,
    outbox::{Order, Outcome},
    told::Kind,
    writer::Writer,
};

mod admin;
pub mod core;
pub mod key;
pub mod leader;
pub mod metrics;
pub mod nodes;
pub mod outbox;
pub mod part;
pub mod place;
pub mod pod;
pub mod profile;
pub mod state;
pub mod told;
mod watches;
mod writer;

/// Who writes, as server-side apply wants to know it.
const MANAGER: &str = "cinch-controller";

/// After the first of several changes, how long to wait for the others before they are looked at.
const GATHER: Duration = Duration::from_millis(20);
const GATHERED: usize = 1000;

/// So many calls are under way at once.
const FLYING: usize = 16;

/// What the controller runs with.
pub struct Controller {
    pub client: Client,
    pub contact: Arc<Contact>,
    pub place: Place,
    pub identity: String,
    pub admin: TcpListener,
    pub stopping: watch::Receiver<bool>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller")
            .field("place", &self.place)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// The kinds that are watched, as probes and metrics call them.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(Kind::as_str)
}

/// A call that has ended.
enum Done {
    Call(Order, Outcome),
    News(Outcome),
}

/// Runs until it is told to stop.
///
/// # Errors
/// When probes cannot be answered any more, or a watch ends.
pub async fn run(controller: Controller) -> std::io::Result<()> {
    let Controller { client, contact, place, identity, admin, stopping } = controller;
    let metrics = Arc::new(Metrics::default());
    let (complete, is_complete) = watch::channel(false);
    let (term, terms) = watch::channel::<Term>(None);
    let (give_up, given_up) = watch::channel(false);
    let router = admin::router(Admin {
        health: Arc::clone(&contact) as Arc<dyn Health>,
        metrics: Arc::clone(&metrics),
        complete: is_complete,
        term: terms.clone(),
    });
    let mut desk = Desk {
        core: Core::new(part::all()),
        writer: Writer::new(client.clone(), identity.clone()),
        flying: FuturesUnordered::new(),
        metrics,
        complete,
        terms,
    };
    let news = watches::all(&client, &contact);
    let work = async {
        let ended = desk.run(news, stopping).await;
        // Only now that nothing is under way may somebody else begin.
        give_up.send_replace(true);
        ended
    };
    let compete = leader::compete(client, place, identity, Arc::new(term), given_up);
    tokio::select! {
        ended = axum::serve(admin, router).into_future() => ended,
        (ended, ()) = async { tokio::join!(work, compete) } => ended,
    }
}

/// What is known, and what is under way.
struct Desk {
    core: Core,
    writer: Writer,
    flying: FuturesUnordered<BoxFuture<'static, Done>>,
    metrics: Arc<Metrics>,
    complete: watch::Sender<bool>,
    terms: watch::Receiver<Term>,
}

impl Desk {
    async fn run(
        &mut self,
        mut news: futures::stream::BoxStream<'static, told::Told>,
        mut stopping: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        loop {
            self.begin();
            let due = self.next_due();
            let timer = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                told = news.next() => {
                    let Some(first) = told else {
                        return Err(std::io::Error::other("the watch ended"));
                    };
                    self.gather(first, &mut news).await;
                }
                Some(done) = self.flying.next() => self.ended(done),
                changed = self.terms.changed() => {
                    if changed.is_err() {
                        return Err(std::io::Error::other("nobody competes for the Lease any more"));
                    }
                    self.term_changed();
                }
                () = timer => self.core.step(Instant::now()),
                _ = stopping.wait_for(|stop| *stop) => break,
            }
        }
        // What is under way has the time that any call has.
        let deadline = tokio::time::Instant::now() + writer::PATIENCE;
        while let Ok(Some(done)) = timeout_at(deadline, self.flying.next()).await {
            self.ended(done);
        }
        self.flying.clear();
        Ok(())
    }

    /// Takes news, and those that come right after.
    async fn gather(
        &mut self,
        first: told::Told,
        news: &mut futures::stream::BoxStream<'static, told::Told>,
    ) {
        let deadline = tokio::time::Instant::now() + GATHER;
        self.core.take(first);
        for _ in 0..GATHERED {
            match timeout_at(deadline, news.next()).await {
                Ok(Some(told)) => self.core.take(told),
                // That it has ended is found again.
                Ok(None) | Err(_) => break,
            }
        }
        self.core.step(Instant::now());
        if self.core.state.is_complete() {
            self.complete.send_if_modified(|complete| !std::mem::replace(complete, true));
        }
        for kind in Kind::ALL {
            self.metrics.set_objects(kind, self.core.state.count(kind));
        }
        self.metrics.set_gated(self.core.state.gated.len());
        self.metrics.set_waiting(self.core.outbox.waiting());
    }

    /// Begins what is due, if this replica leads.
    fn begin(&mut self) {
        let now = Instant::now();
        if !self.leads(now) {
            // Whoever leads has told it.
            while self.core.outbox.next_news().is_some() {}
            return;
        }
        while self.flying.len() < FLYING {
            let writer = self.writer.clone();
            if let Some(order) = self.core.outbox.next(now) {
                self.flying.push(Box::pin(async move {
                    let outcome = writer.call(&order).await;
                    Done::Call(order, outcome)
                }));
            } else if let Some(news) = self.core.outbox.next_news() {
                self.flying.push(Box::pin(async move { Done::News(writer.tell(&news).await) }));
            } else {
                return;
            }
        }
    }

    fn ended(&mut self, done: Done) {
        match done {
            Done::Call(order, outcome) => {
                self.metrics.written(order.object.kind, order.part, outcome);
                self.core.outbox.done(&order.object, outcome, Instant::now());
            }
            Done::News(outcome) => self.metrics.written("Event", "news", outcome),
        }
    }

    fn term_changed(&mut self) {
        let now = Instant::now();
        if !self.leads(now) && !self.flying.is_empty() {
            self.flying.clear();
            self.core.outbox.abandon(now);
        }
    }

    fn leads(&self, now: Instant) -> bool {
        self.terms.borrow().is_some_and(|until| now < until)
    }

    /// When something is to be done without news.
    fn next_due(&self) -> Option<Instant> {
        let outbox = &self.core.outbox;
        let may_begin = self.leads(Instant::now()) && self.flying.len() < FLYING;
        let due = outbox.next_due().filter(|_| may_begin);
        due.into_iter().chain(outbox.wakes_at()).min()
    }
}
