//! From news to calls: what is known, the duties, and what they have asked for. Pure.

use std::time::Instant;

use super::{
    outbox::Outbox,
    part::{Part, View},
    state::State,
    told::Told,
};

/// All of the controller but its shell.
#[derive(Debug)]
pub struct Core {
    pub state: State,
    pub outbox: Outbox,
    parts: Vec<Box<dyn Part>>,
    begun: bool,
}

impl Core {
    pub fn new(parts: Vec<Box<dyn Part>>) -> Self {
        Self { state: State::default(), outbox: Outbox::default(), parts, begun: false }
    }

    /// Takes a piece of news.
    pub fn take(&mut self, told: Told) {
        self.state.take(told);
    }

    /// Lets the duties look at what has changed. Until all is known that there is nothing is asked for: what is not known
    /// yet is not gone.
    pub fn step(&mut self, now: Instant) {
        if !self.state.is_complete() {
            return;
        }
        let changes = self.state.take_changes();
        let woken = self.outbox.take_wake(now);
        if self.begun && changes.is_empty() && !woken {
            return;
        }
        self.begun = true;
        let view = View { state: &self.state, changes: &changes, now };
        for part in &mut self.parts {
            part.step(&view, &mut self.outbox);
        }
    }
}
