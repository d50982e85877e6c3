//! What listens to audit records while a recording learns from logs, or always where records are enriched.

use std::{sync::Arc, time::Duration};

use daemon::error::chain;
use recorder::{
    kernel::EndedProcesses,
    logs::{Event, Gathering, Options, Processes},
};

use crate::{
    enrich::Hearing,
    tracker::{Moment, Needs, Tracker},
};

/// After this is tried again what was refused.
const AGAIN: Duration = Duration::from_secs(30);

/// Who knows of processes that have ended; without, records of those that end at once are nobody's, which is counted.
pub(crate) fn ended_processes() -> Option<Arc<dyn Processes>> {
    EndedProcesses::shared()
        .inspect_err(|error| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "whose the records are of processes that end at once will not be known"
            );
        })
        .ok()
}

/// A thread that reads records, while somebody needs them.
#[derive(Debug)]
pub(crate) struct Ears {
    options: Options,
    /// Who hears every record, whether it is recorded or not.
    hearing: Option<Hearing>,
    /// Whether a recording learns from logs.
    recording: bool,
    gathering: Option<Gathering>,
    refused: Option<(Duration, String)>,
}

impl Ears {
    pub(crate) fn new(options: Options, hearing: Option<Hearing>) -> Self {
        Self { options, hearing, recording: false, gathering: None, refused: None }
    }

    /// Why nothing is heard, where that is so.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_ref().map(|(_, why)| &**why)
    }

    /// Begins to listen, or ends it.
    pub(crate) fn open(&mut self, needs: Needs, now: Moment) {
        self.recording = needs.logs;
        if !needs.logs && self.hearing.is_none() {
            (self.gathering, self.refused) = (None, None);
            return;
        }
        if let Some(error) = self.gathering.as_ref().and_then(Gathering::error) {
            self.refused = Some((now.uptime, chain(&*error)));
            self.gathering = None;
        }
        let waiting = |(since, _): &(Duration, String)| now.since(*since) < AGAIN;
        if self.gathering.is_some() || self.refused.as_ref().is_some_and(waiting) {
            return;
        }
        let hearing = self.hearing.clone();
        let also = move |event: &Event<'_>| {
            if let Some(hearing) = &hearing {
                hearing.hear(event);
            }
        };
        let options = Options { processes: ended_processes(), ..self.options.clone() };
        match Gathering::with(&options, also) {
            Ok(gathering) => (self.gathering, self.refused) = (Some(gathering), None),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "cannot listen to audit records");
                self.refused = Some((now.uptime, error));
            }
        }
    }

    /// Tells the tracker what was heard.
    pub(crate) fn listen(&self, tracker: &mut Tracker, now: Moment) {
        let Some(gathering) = &self.gathering else { return };
        for (place, seen) in gathering.take() {
            if let Some(container) = place.container.as_ref().filter(|_| self.recording) {
                tracker.heard(container, &seen, now);
            }
        }
        let lost = gathering.counts().lost_in_all();
        tracker.missed(lost.saturating_add(gathering.beyond()));
    }
}
