//! Keeps a profile from going while a pod uses it: one finalizer, put on when the first such pod comes and taken off when
//! the last one ends. Pure.
//!
//! A profile is in use when a live pod of any namespace names it, or a profile that is in use builds on it. Who deletes a
//! profile in the moment in which its first pod comes may be faster than the finalizer.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Part, View, profile_object};
use crate::controller::{
    key::{Named, ProfileKey},
    outbox::{Call, Outbox},
    profile::{IN_USE, Profile},
    state::State,
};

/// Finalizers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InUse;

impl Part for InUse {
    fn step(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        for key in affected(view) {
            let call = view
                .state
                .profiles
                .get(&key)
                .and_then(|profile| call(profile, users(view.state, &key).next().is_some()));
            outbox.want(&profile_object(&key), "in-use", call, view.now);
        }
    }
}

/// The profiles that may be in use now and were not before, or the other way round.
pub(super) fn affected(view: &View<'_>) -> BTreeSet<ProfileKey> {
    let used = view.changes.used.iter().flat_map(|key| view.state.bases(key));
    used.chain(view.changes.profiles.iter().cloned()).collect()
}

/// The live pods that use a profile, directly or by another one that builds on it.
pub(super) fn users<'a>(state: &'a State, key: &ProfileKey) -> impl Iterator<Item = &'a Named> {
    let users: BTreeSet<_> =
        state.builders(key).iter().flat_map(|builder| state.users(builder)).collect();
    users.into_iter()
}

fn call(profile: &Profile, in_use: bool) -> Option<Call> {
    let uid = &profile.uid;
    match (in_use, profile.held) {
        // None can be added to what is being deleted.
        (true, false) if !profile.deleting => {
            Some(Call::Apply(json!({ "metadata": { "uid": uid, "finalizers": [IN_USE] } })))
        }
        // Server-side apply takes away only what it has put there itself, and a profile that was restored from a copy has
        // got it from somebody else: who deletes it would wait for ever.
        (false, true) => Some(Call::Merge(json!({ "metadata": {
            "uid": uid, "resourceVersion": profile.version, "finalizers": profile.others,
        }}))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
