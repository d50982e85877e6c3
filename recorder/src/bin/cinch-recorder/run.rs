//! Runs the daemon from its flags to its end.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use daemon::{contact::Health, error::chain, signals};
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
    setup::Setup,
    source::Told,
    tracker::{Key, Moment, Outcome, Publication, Recording, Report, TargetKey, Tracker},
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
    disk: Option<Disk>,
    writer: Writer,
    health: Arc<dyn Health>,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    runtime: Cri,
    /// Whether a batch of writes is under way.
    writing: bool,
    /// Whether nothing more will come, and all that has been written.
    ending: bool,
    written: BTreeSet<TargetKey>,
    taken: bool,
}

/// Records until a signal.
pub(crate) async fn run(flags: Run) -> anyhow::Result<()> {
    let Run { from, admin, state, bpf, cri, base, pace, enrich, log } = flags;
    daemon::logs::start(&log)?;
    let (stop, mut stopping) = watch::channel(false);
    let signals = signals::listen(stop)?;
    let (board, metrics) = (Arc::new(Board::default()), Arc::new(Metrics::default()));
    let making = Making { machine: learned::machine(), base, selinux_type: None };
    let runtime = Cri::new(&cri)?;
    let mut tracker = Tracker::new(making.machine, pace);
    let node = from.node();
    let setup = Setup::of(from, making, &runtime, stopping.clone(), &mut tracker).await?;
    let Setup { health, writer, source, told, profiles } = setup;
    let disk = state.map(|state| Disk::open(&state)).transpose()?;
    if let Some(disk) = &disk {
        tracker.restore(disk.read()?, moment());
    }
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
        writer,
        health: Arc::clone(&health),
        board: Arc::clone(&board),
        metrics: Arc::clone(&metrics),
        runtime,
        writing: false,
        ending: false,
        written: BTreeSet::new(),
        taken: false,
    };
    let (done, ended) = oneshot::channel::<usize>();
    let handle = Handle::current();
    // Programs that are loaded, and files that are written, must hold up no probe.
    std::thread::Builder::new()
        .name("record".to_owned())
        .spawn(move || {
            // Nobody waits for it when the process ends.
            done.send(handle.block_on(parts.record(told))).unwrap_or_default();
        })
        .context("cannot start a thread")?;
    let probes = async {
        let Some(admin) = admin else { return std::future::pending().await };
        probes(admin, Admin { board, health, metrics }).await
    };
    // What was named is recorded to its end, and a signal is one.
    let stopped = async {
        match profiles {
            Some(_) => std::future::pending().await,
            None => drop(stopping.wait_for(|stopping| *stopping).await),
        }
    };
    tokio::select! {
        ended = probes => ended?,
        () = source => bail!("a part of it broke off"),
        written = ended => match (written, profiles) {
            (Ok(written), Some(wanted)) if written < wanted => {
                bail!("{written} of {wanted} profiles were written: of the others nothing was seen, or the file is somebody else's")
            }
            (Ok(_), Some(_)) => {}
            _ => bail!("a part of it broke off"),
        },
        () = stopped => {}
        () = signals => {}
    }
    if let Some(hearing) = hearing {
        hearing.finish();
    }
    tracing::info!("stopped");
    Ok(())
}

/// Answers probes, for ever.
async fn probes(address: SocketAddr, admin: Admin) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!(admin = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
    axum::serve(listener, admin::router(admin)).await.context("probes cannot be answered")
}

/// Now.
pub(crate) fn moment() -> Moment {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let uptime = Duration::try_from(uptime).unwrap_or_default();
    Moment { uptime, wall: Timestamp::now() }
}

impl Parts {
    /// Takes in news and looks at the kernel, until nothing more will come. Gives the number of profiles.
    async fn record(mut self, mut told: mpsc::Receiver<Told>) -> usize {
        let (to_written, mut written) = mpsc::channel::<Written>(OUTCOMES);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                news = told.recv() => {
                    let Some(news) = news else { return self.written.len() };
                    let now = moment();
                    self.tell(news, now);
                    while let Ok(news) = told.try_recv() {
                        self.tell(news, now);
                    }
                }
                Some(written) = written.recv() => self.was_written(written),
                _ = look.tick() => {}
            }
            self.turn(&to_written);
            // Somebody else's file will not go away while one waits.
            let nothing = self.taken && self.tracker.active() == 0 || self.tracker.is_idle();
            if self.ending && !self.writing && nothing {
                return self.written.len();
            }
        }
    }

    fn tell(&mut self, news: Told, now: Moment) {
        self.ending |= matches!(news, Told::End);
        news.tell(&mut self.tracker, now);
    }

    fn turn(&mut self, to_written: &mpsc::Sender<Written>) {
        let now = moment();
        let fresh = self.health.ages().iter().all(|(kind, age)| *kind != "Pod" || *age == 0);
        self.tracker.pods_fresh(fresh);
        self.tracker.step(now);
        let needs = self.tracker.needs();
        self.ears.open(needs, now);
        self.ears.listen(&mut self.tracker, now);
        let foreseen = self.tracker.foreseen();
        self.eyes.open(needs, foreseen, &mut self.tracker, now);
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
        let Some(disk) = &self.disk else { return true };
        let failed = if changed.is_empty() { Vec::new() } else { disk.write(changed) };
        let all = failed.is_empty();
        for (key, error) in failed {
            let error = chain(&error);
            tracing::error!(error, "it would be lost if this process were killed");
            self.tracker.not_saved(key);
        }
        for error in removed.iter().filter_map(|key| disk.remove(key).err()) {
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
            match outcome {
                Outcome::Written => drop(self.written.insert(publication.target.clone())),
                Outcome::Taken => self.taken = true,
                Outcome::Failed => {}
            }
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
