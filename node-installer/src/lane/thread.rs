//! Runs a lane on a thread of its own, as its source tells it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use profile::{kinds::ProfileKind, mechanism::Mechanism};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{timeout, timeout_at},
};

use super::{Lane, Reports};
use crate::{key::Key, object::Object, users::Users};

/// After the first of several changes, how long to wait for the others.
const GATHER: Duration = Duration::from_millis(10);

/// So many objects are taken in before what they ask for is done: it bounds what is held in memory.
const AT_ONCE: usize = 128;

/// How often the kernel is asked what it has.
const POLL: Duration = Duration::from_secs(2);

/// How often files are looked at when nothing tells of a change.
const RECHECK: Duration = Duration::from_secs(30);

/// What a lane is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// An object is there, or has changed.
    Object(Box<Object>),
    /// An object is gone.
    Gone(Key),
    /// These are all the objects of a kind.
    All(ProfileKind, BTreeSet<Key>),
    /// What pods use.
    Users(Arc<Users>),
    /// Something on the node may have changed.
    Look,
}

/// Runs the lane until nobody can tell it anything more. `report` is told what is said of each profile, and whether all
/// objects are known.
pub fn run(
    mut lane: Lane,
    mut told: mpsc::Receiver<Told>,
    handle: &Handle,
    report: &dyn Fn(Reports, bool),
) {
    let idle = if lane.mechanism() == Mechanism::Seccomp { RECHECK } else { POLL };
    loop {
        let until_try = lane.next_try().map(|at| at.saturating_duration_since(Instant::now()));
        let wait = until_try.map_or(idle, |until| until.max(GATHER).min(idle));
        let first = handle.block_on(async { timeout(wait, told.recv()).await });
        let matters = match first {
            Ok(None) => return,
            Ok(Some(first)) => take_in(&mut lane, first, &mut told, handle),
            Err(_nothing_said) => true,
        };
        if !matters {
            continue;
        }
        let complete = lane.is_complete();
        let say = |reports| report(reports, complete);
        say(lane.reconcile(Instant::now(), &say));
    }
}

/// Takes in what is told within a short time. Tells whether something is to be done about it: pods come and go all the
/// time, and mostly none of it matters.
fn take_in(lane: &mut Lane, first: Told, told: &mut mpsc::Receiver<Told>, handle: &Handle) -> bool {
    let (mut only_users, knew_users) = (true, lane.knows_users());
    let deadline = tokio::time::Instant::now() + GATHER;
    let (mut objects, mut next) = (Vec::new(), Some(first));
    while let Some(message) = next {
        only_users &= matches!(message, Told::Users(_));
        if !matches!(message, Told::Object(_)) {
            // What was told before must hold when this does.
            lane.apply(&std::mem::take(&mut objects));
        }
        match message {
            Told::Object(object) => objects.push(*object),
            Told::Gone(key) => lane.delete(&key),
            Told::All(kind, keys) => lane.all(kind, &keys),
            Told::Users(users) => lane.set_users(users),
            Told::Look => {}
        }
        next = if objects.len() >= AT_ONCE {
            None
        } else {
            handle.block_on(async { timeout_at(deadline, told.recv()).await }).ok().flatten()
        };
    }
    lane.apply(&objects);
    !only_users || !knew_users || lane.asks_for_users()
}
