//! Watches a kind of object in a cluster, resuming after any failure; an object that does not parse stops nothing.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream::BoxStream};
use kube::runtime::{
    WatchStreamExt as _,
    watcher::{self, Event},
};

use crate::{contact::Contact, error::chain};

/// The API server ends a watch after this, so that one that has silently died is noticed soon.
const WATCH_SECONDS: u32 = 60;

/// What a watch tells of objects that were reduced to `T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// An object is there, or has changed.
    Apply(T),
    /// An object is gone; what it was last.
    Delete(T),
    /// Everything is told anew from here, until `Complete`.
    Restart,
    /// One of the objects that are there.
    Initial(T),
    /// All objects have been told.
    Complete,
}

/// How objects are listed and watched.
pub fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Follows the events of a watch.
pub fn follow<K: Send + 'static, T: Send + 'static>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    contact: Arc<Contact>,
    reduce: impl Fn(&K) -> T + Send + 'static,
) -> BoxStream<'static, Change<T>> {
    events
        .default_backoff()
        .filter_map(move |event| {
            let change = match event {
                Ok(Event::Apply(object)) => Some(Change::Apply(reduce(&object))),
                Ok(Event::InitApply(object)) => Some(Change::Initial(reduce(&object))),
                Ok(Event::Delete(object)) => Some(Change::Delete(reduce(&object))),
                Ok(Event::Init) => Some(Change::Restart),
                Ok(Event::InitDone) => Some(Change::Complete),
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(kind, error, "watch lost, serving what was last seen");
                    contact.lost(kind);
                    None
                }
            };
            std::future::ready(change)
        })
        .boxed()
}
