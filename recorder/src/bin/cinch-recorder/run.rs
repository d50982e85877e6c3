//! Runs the daemon from its flags to its end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use daemon::{
    client,
    contact::{Contact, Health as _},
    error::chain,
    signals,
};
use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use recorder::{
    cri::{Cri, Named},
    learned,
};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    admin::{self, Admin, Board},
    args::Run,
    disk::Disk,
    ears::Ears,
    enrich::{self, Enrich, Turn},
    eyes::Eyes,
    metrics::Metrics,
    profiles::Making,
    source::{Told, WAITING, cluster},
    tracker::{Key, Moment, Outcome, Publication, Recording, Report, Tracker},
    violations::{Ledger, Occurrence},
    writer::Writer,
};

/// How often is looked what containers have done.
const LOOK: Duration = Duration::from_secs(1);

/// So many writes are under way at once.
const WRITES: usize = 4;

/// So many outcomes wait.
const OUTCOMES: usize = 16;

/// How a batch of writes ended.
#[derive(Debug, Default)]
struct Written {
    profiles: Vec<(Publication, Outcome)>,
    statuses: Vec<(Key, Report, Result<Option<Recording>, ()>)>,
    /// What the container runtime has told beside that; no batch ends with it.
    names: Vec<Named>,
    /// Events about violations, which are a batch of their own.
    violations: Vec<(Occurrence, Result<u64, ()>)>,
}

/// The parts of the daemon.
#[derive(Debug)]
struct Parts {
    tracker: Tracker,
    eyes: Eyes,
    ears: Ears,
    enrich: Option<Enrich>,
    disk: Disk,
    writer: Writer,
    contact: Arc<Contact>,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    runtime: Cri,
    /// Whether a batch of writes is under way.
    writing: bool,
}

/// Records until a signal.
pub(crate) async fn run(flags: Run) -> anyhow::Result<()> {
    let Run { node, kubeconfig, admin, state, bpf, cri, base, pace, enrich, log } = flags;
    daemon::logs::start(&log)?;
    let (stop, mut stopping) = watch::channel(false);
    let signals = signals::listen(stop)?;
    let (board, metrics) = (Arc::new(Board::default()), Arc::new(Metrics::default()));
    let contact = Arc::new(Contact::new(cluster::KINDS));
    let client = client::connect(kubeconfig, &contact).await?;
    let making = Making { machine: learned::machine(), base };
    let disk = Disk::open(&state)?;
    let mut tracker = Tracker::new(making.machine, pace);
    tracker.restore(disk.read()?, moment());
    let options = enrich::options(&enrich);
    let ledger = Ledger::new(pace);
    let enrich = Enrich::new(enrich, &node, &metrics, &options.counts, ledger)?;
    let hearing = enrich.as_ref().map(|enrich| enrich.hearing.clone());
    let parts = Parts {
        tracker,
        eyes: Eyes::new(bpf),
        ears: Ears::new(options, hearing.clone()),
        enrich,
        disk,
        writer: Writer::new(client.clone(), &node, making),
        contact: Arc::clone(&contact),
        board: Arc::clone(&board),
        metrics: Arc::clone(&metrics),
        runtime: Cri::new(&cri)?,
        writing: false,
    };
    let (to, told) = mpsc::channel(WAITING);
    let (alive, ended) = oneshot::channel::<()>();
    let handle = Handle::current();
    // Programs that are loaded, and files that are written, must hold up no probe.
    std::thread::Builder::new()
        .name("record".to_owned())
        .spawn(move || {
            // Dropped when the thread ends, however it does.
            let _alive = alive;
            handle.block_on(parts.record(told));
        })
        .context("cannot start a thread")?;
    let background: [BoxFuture<'_, ()>; 2] = [
        Box::pin(cluster::follow_all(client, Arc::clone(&contact), node, to)),
        Box::pin(async move { drop(ended.await) }),
    ];
    let listener =
        TcpListener::bind(admin).await.with_context(|| format!("cannot listen on {admin}"))?;
    tracing::info!(admin = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
    let admin = admin::router(Admin { board, health: contact, metrics });
    tokio::select! {
        ended = axum::serve(listener, admin).into_future() => ended.context("probes cannot be answered")?,
        _ = futures::future::select_all(background) => bail!("a part of it broke off"),
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = signals => {}
    }
    if let Some(hearing) = hearing {
        hearing.finish();
    }
    tracing::info!("stopped");
    Ok(())
}

/// Now.
pub(crate) fn moment() -> Moment {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let uptime = Duration::try_from(uptime).unwrap_or_default();
    Moment { uptime, wall: Timestamp::now() }
}

impl Parts {
    /// Takes in news and looks at the kernel, for ever.
    async fn record(mut self, mut told: mpsc::Receiver<Told>) {
        let (to_written, mut written) = mpsc::channel::<Written>(OUTCOMES);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                news = told.recv() => {
                    let Some(news) = news else { return };
                    let now = moment();
                    news.tell(&mut self.tracker, now);
                    while let Ok(news) = told.try_recv() {
                        news.tell(&mut self.tracker, now);
                    }
                }
                Some(written) = written.recv() => self.was_written(written),
                _ = look.tick() => {}
            }
            self.turn(&to_written);
        }
    }

    fn turn(&mut self, to_written: &mpsc::Sender<Written>) {
        let now = moment();
        let fresh = self.contact.ages().iter().all(|(kind, age)| *kind != "Pod" || *age == 0);
        self.tracker.pods_fresh(fresh);
        self.tracker.step(now);
        let needs = self.tracker.needs();
        self.ears.open(needs, now);
        self.ears.listen(&mut self.tracker, now);
        self.eyes.open(needs, &mut self.tracker, now);
        match self.eyes.look(&mut self.tracker, now) {
            Ok(unnamed) if unnamed.is_empty() => {}
            Ok(_) => self.ask(to_written),
            Err(error) => {
                tracing::error!(error = chain(&error), "cannot look at what was recorded");
            }
        }
        let refused = self.eyes.refused().or_else(|| self.ears.refused());
        self.board.say(self.tracker.is_complete(), refused);
        self.metrics.recorded.set(self.tracker.active().try_into().unwrap_or(i64::MAX));
        self.metrics.seen(self.eyes.watch(), self.eyes.lost());
        // First of all what would be lost with the process.
        if self.save()
            && let Err(error) = self.eyes.kept(&self.tracker)
        {
            tracing::error!(error = chain(&error), "cannot make room for what is recorded");
        }
        for note in self.tracker.take_notes() {
            let recording = note.recording.to_string();
            tracing::warn!(recording, reason = note.reason, "{}", note.text);
            let writer = self.writer.clone();
            drop(tokio::spawn(async move { writer.tell(&note).await }));
        }
        if !self.writing {
            self.write(to_written, now);
        }
        self.enrich(to_written, now);
    }

    /// What becomes of audit records beside recordings.
    fn enrich(&mut self, to_written: &mpsc::Sender<Written>, now: Moment) {
        let Some(enrich) = &mut self.enrich else { return };
        let Turn { ask, due } = enrich.turn(&self.tracker, &self.metrics, now);
        if ask {
            self.ask(to_written);
        }
        if due.is_empty() {
            return;
        }
        let (writer, to_written) = (self.writer.clone(), to_written.clone());
        drop(tokio::spawn(async move {
            let violations = write_violations(&writer, due).await;
            drop(to_written.send(Written { violations, ..Written::default() }).await);
        }));
    }

    /// Asks the runtime for names, in the background.
    fn ask(&self, to_written: &mpsc::Sender<Written>) {
        let (runtime, to_written) = (self.runtime.clone(), to_written.clone());
        drop(tokio::spawn(async move {
            match runtime.names().await {
                // An empty one would end a batch.
                Ok(names) if names.is_empty() => {}
                Ok(names) => drop(to_written.send(Written { names, ..Written::default() }).await),
                Err(error) => tracing::warn!(error = chain(&error), "no names from the runtime"),
            }
        }));
    }

    /// Whether all is on the disk; what is not is tried again.
    fn save(&mut self) -> bool {
        let (changed, removed) = self.tracker.take_changed();
        let mut all = true;
        for (key, subject) in changed {
            if let Err(error) = self.disk.write(key.clone(), subject) {
                tracing::error!(
                    error = chain(&error),
                    "it would be lost if this process were killed"
                );
                self.tracker.not_saved(key);
                all = false;
            }
        }
        for error in removed.iter().filter_map(|key| self.disk.remove(key).err()) {
            tracing::error!(error = chain(&error), "it would be found again by the next process");
        }
        all
    }

    /// Writes what is due, in the background.
    fn write(&mut self, to_written: &mpsc::Sender<Written>, now: Moment) {
        let profiles = self.tracker.publications(now);
        let reports = self.tracker.reports(now);
        if profiles.is_empty() && reports.is_empty() {
            return;
        }
        self.writing = true;
        let (writer, to_written) = (self.writer.clone(), to_written.clone());
        drop(tokio::spawn(async move {
            let written = write(&writer, profiles, reports, now).await;
            // The receiver ends only when the process does.
            drop(to_written.send(written).await);
        }));
    }

    fn was_written(&mut self, written: Written) {
        let now = moment();
        if let Some(enrich) = self.enrich.as_mut().filter(|_| !written.violations.is_empty()) {
            enrich.told(written.violations, now);
            return;
        }
        if !written.names.is_empty() {
            if let Some(enrich) = &self.enrich {
                enrich.named(&written.names);
            }
            for named in &written.names {
                self.tracker.named(named, now);
            }
            return;
        }
        self.writing = false;
        for (publication, outcome) in written.profiles {
            self.metrics.published(publication.target.kind, outcome);
            self.tracker.published(&publication, outcome, now);
        }
        for (key, report, result) in written.statuses {
            if result.is_ok() {
                self.metrics.reported();
            }
            self.tracker.reported(&key, &report, result, now);
        }
    }
}

async fn write(
    writer: &Writer,
    profiles: Vec<Publication>,
    reports: Vec<(Recording, Report)>,
    now: Moment,
) -> Written {
    use futures::StreamExt as _;
    let profiles = futures::stream::iter(profiles).map(|publication| async move {
        let outcome = writer.publish(&publication).await;
        (publication, outcome)
    });
    let profiles = profiles.buffer_unordered(WRITES).collect().await;
    let statuses = futures::stream::iter(reports).map(|(recording, report)| async move {
        let result = writer.report(&recording, &report, now).await;
        (recording.key, report, result)
    });
    let statuses = statuses.buffer_unordered(WRITES).collect().await;
    Written { profiles, statuses, ..Written::default() }
}

async fn write_violations(
    writer: &Writer,
    due: Vec<Occurrence>,
) -> Vec<(Occurrence, Result<u64, ()>)> {
    use futures::StreamExt as _;
    let written = futures::stream::iter(due).map(|occurrence| async move {
        let result = writer.violation(&occurrence).await;
        (occurrence, result)
    });
    written.buffer_unordered(WRITES).collect().await
}
