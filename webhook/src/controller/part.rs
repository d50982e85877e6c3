//! How a duty of the controller looks at the cluster and asks for writes. Pure.
//!
//! To add one, implement [`Part`] and list it in [`all`]. It gets what has changed ([`Changes`]: pods, nodes, what nodes say
//! of profiles, bindings, recordings), looks up what it needs in the [`State`], and asks the [`Outbox`] for calls: those are
//! paced, made by the leader alone, and taken back by asking for none. It asks on every replica, so that another one can go
//! on at once where the leader has ended. What else it has to know of a pod or a node is read in [`super::pod`] and
//! [`super::told`]; what it has to do later, without news, it asks to be woken for.

use std::{fmt::Debug, sync::Arc, time::Instant};

use super::{
    key::ProfileKey,
    outbox::{Object, Outbox},
    state::{Changes, State},
};

mod gate;
mod in_use;
mod missing;
mod recordings;
mod status;
#[cfg(test)]
mod tests;
mod workloads;

/// A duty.
pub trait Part: Debug + Send {
    /// Looks at what has changed. The first time that is all there is. It is called again without any changes when a time
    /// has come that a part has asked to be woken at.
    fn step(&mut self, view: &View<'_>, outbox: &mut Outbox);
}

/// What a part looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub state: &'a State,
    pub changes: &'a Changes,
    pub now: Instant,
}

/// All duties.
pub fn all() -> Vec<Box<dyn Part>> {
    vec![
        Box::new(in_use::InUse),
        Box::new(workloads::Workloads::default()),
        Box::new(status::Statuses),
        Box::new(missing::Missing::default()),
        Box::new(recordings::Recordings::default()),
        Box::new(gate::Gate::default()),
    ]
}

fn profile_object(key: &ProfileKey) -> Object {
    Object { kind: key.kind.as_str(), namespace: Arc::default(), name: Arc::clone(&key.name) }
}
