//! What audit records tell of containers, as they come.
//!
//! ```text
//!  source (netlink | audit.log | syslog) --> audit (pure) --> origin (whose process) --> whoever follows
//!                                                                                          |
//!                     entry (one JSON object) --> limit, filter --> output                 |
//!                     violations (a condition for each rule), metrics  <-------------------+
//! ```

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

pub use counts::{Counted, Counts};
pub use file::From;
pub use gather::{GatherError, Gathering};
pub use loss::Loss;
pub use origin::{Ended, Origin, Place, Processes, Unknown, Witness};
pub use source::{Choice, Source, SourceError};

use crate::audit::Record;
use origin::Origins;

mod counts;
pub mod enrich;
pub mod entry;
pub mod file;
pub mod filter;
mod gather;
pub mod limit;
mod loss;
pub mod metrics;
pub mod names;
pub mod netlink;
pub mod origin;
pub mod output;
pub mod source;
pub mod violation;

/// How to follow.
#[derive(Clone, Debug)]
pub struct Options {
    pub source: Choice,
    /// Where to begin in a file.
    pub from: From,
    /// The `/proc` of the host.
    pub proc: PathBuf,
    /// Counted is here, which may go on from an earlier follower.
    pub counts: Counts,
    /// Who knows of processes that have ended; without, records of those that were never looked at are nobody's.
    pub processes: Option<Arc<dyn Processes>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            source: Choice::Best,
            from: From::End,
            proc: "/proc".into(),
            counts: Counts::default(),
            processes: None,
        }
    }
}

/// What is told, in the order in which it came.
#[derive(Debug)]
pub enum Event<'a> {
    /// A record, whose it is, and whether that is not just anywhere on the host: it is in a container, or in a mount
    /// namespace of its own.
    Record(&'a Record<'a>, Origin, bool),
    /// Lines are missing, or may be: what is made of the others is incomplete.
    Lost(Loss),
}

/// A source, and whose its records are. Processes are looked at while it is read: that must not wait for anything.
#[derive(Debug)]
pub struct Follower {
    source: Source,
    origins: Origins,
    counts: Counts,
    /// How many lines the kernel had dropped when it last said so.
    dropped: Option<u64>,
    /// When it was last said that lines are missing.
    said: Option<Instant>,
}

impl Follower {
    /// Opens a source.
    pub fn open(options: &Options) -> Result<Self, SourceError> {
        let source = Source::open(&options.source, options.from)?;
        let origins = Origins::new(&options.proc, options.processes.clone());
        if !origins.are_of_host() {
            tracing::warn!(
                proc = %options.proc.display(),
                "these are not the processes of the host, by which records name theirs: set hostPID: true, or --proc to \
                 where the host's /proc is"
            );
        }
        if source.is_complete() {
            tracing::info!(source = source.describe(), "reading audit records");
        } else {
            tracing::warn!(source = source.describe(), "reading audit records");
        }
        Ok(Self { source, origins, counts: options.counts.clone(), dropped: None, said: None })
    }

    /// What is read, and what it may not tell.
    pub fn describe(&self) -> String {
        self.source.describe()
    }

    /// Whether all there is is told, as long as no loss is.
    pub fn is_complete(&self) -> bool {
        self.source.is_complete()
    }

    /// Looks at processes that are new: of those that live long enough for it, no record is nobody's later.
    pub fn sweep(&mut self) {
        self.origins.sweep(Instant::now());
    }

    /// Who looks at processes from another thread, as soon as they are started.
    pub fn witness(&self) -> Witness {
        self.origins.witness()
    }

    /// What was told so far; what is given is the same counts, also later.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Waits until there is something, and tells what is there. Whether there may be more.
    pub fn read(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, SourceError> {
        let Self { source, origins, counts, dropped, said } = self;
        let mut lose = |loss: Loss, each: &mut dyn FnMut(Event<'_>)| {
            counts.lose(loss);
            if said.is_none_or(|said| said.elapsed() > SILENCE) {
                *said = Some(Instant::now());
                tracing::warn!(why = %loss, "audit records are missing");
            }
            each(Event::Lost(loss));
        };
        source.read(patience, &mut |told| match told {
            source::Told::Lost(loss) => lose(loss, each),
            source::Told::Record(Record::Lost(lines)) => lose(Loss::Dropped(lines), each),
            source::Told::Record(Record::LostInAll(total)) => {
                // Where it was not said before, nobody knows how many of them are new.
                let before = dropped.replace(total).unwrap_or_else(|| total.saturating_sub(1));
                if total > before {
                    lose(Loss::Dropped(total - before), each);
                }
            }
            source::Told::Record(record) => {
                let origin = origins.of(&record);
                counts.take(&record, &origin);
                let apart = match &origin {
                    Origin::Known(place) => origins.is_apart(place),
                    Origin::Unknown(_) => false,
                };
                each(Event::Record(&record, origin, apart));
            }
        })
    }
}

/// Follows until `stop` says so, which is asked a few times a second. Meant for a thread of its own.
pub fn follow(
    options: &Options,
    stop: &dyn Fn() -> bool,
    each: &mut dyn FnMut(Event<'_>),
) -> Result<Counted, SourceError> {
    let mut follower = Follower::open(options)?;
    while !stop() {
        follower.read(PATIENCE, each)?;
    }
    Ok(follower.counts.now())
}

/// How long is waited before whoever follows is asked whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);

/// It is not said more often that lines are missing; every time counts.
const SILENCE: Duration = Duration::from_secs(1);
