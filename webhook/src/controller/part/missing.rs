//! Tells people of a binding whose profile does not exist. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Part, View};
use crate::controller::{
    key::{Named, ProfileKey},
    outbox::{About, News, Object, Outbox},
};

/// Who makes a binding and its profile at once may make the binding first.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bindings by profile.
#[derive(Debug, Default)]
pub(super) struct Missing {
    names: BTreeMap<Named, ProfileKey>,
    named_by: BTreeMap<ProfileKey, BTreeSet<Named>>,
    /// Those whose profile is missing, and when it is told; none where it was.
    lacking: BTreeMap<Named, Option<Instant>>,
    /// What was so when this process began is no news.
    begun: bool,
}

impl Part for Missing {
    fn step(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        let mut bindings = view.changes.bindings.clone();
        for key in &bindings {
            self.index(view, key);
        }
        for profile in &view.changes.profiles {
            bindings.extend(self.named_by.get(profile).into_iter().flatten().cloned());
        }
        let at = self.begun.then(|| view.now + PATIENCE);
        for key in bindings {
            let profile = self.names.get(&key);
            if profile.is_some_and(|profile| !view.state.profiles.contains_key(profile)) {
                self.lacking.entry(key).or_insert(at);
            } else {
                self.lacking.remove(&key);
            }
        }
        self.begun = true;
        self.tell(view, outbox);
    }
}

impl Missing {
    fn index(&mut self, view: &View<'_>, key: &Named) {
        let rule = view.state.bindings.get(key).and_then(|binding| binding.rule.as_ref());
        let now = rule.map(|rule| ProfileKey::new(rule.kind, &rule.profile));
        let before = match &now {
            Some(now) => self.names.insert(key.clone(), now.clone()),
            None => self.names.remove(key),
        };
        if before == now {
            return;
        }
        if let Some(before) = before
            && let Some(bindings) = self.named_by.get_mut(&before)
        {
            bindings.remove(key);
            if bindings.is_empty() {
                self.named_by.remove(&before);
            }
        }
        if let Some(now) = now {
            self.named_by.entry(now).or_default().insert(key.clone());
        }
        // Another profile is another matter.
        self.lacking.remove(key);
    }

    fn tell(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        let mut next = None;
        for (key, at) in &mut self.lacking {
            match *at {
                Some(due) if due > view.now => {
                    next = Some(next.map_or(due, |next: Instant| next.min(due)));
                }
                Some(_) => {
                    *at = None;
                    let (Some(profile), Some(binding)) =
                        (self.names.get(key), view.state.bindings.get(key))
                    else {
                        continue;
                    };
                    let object = Object {
                        kind: "ProfileBinding",
                        namespace: Arc::clone(&key.namespace),
                        name: Arc::clone(&key.name),
                    };
                    let note = format!("{profile} does not exist: no pod gets it until it does");
                    let about = About { object, uid: Arc::from(&*binding.uid) };
                    let (reason, action) = ("ProfileMissing", "Bind");
                    outbox.tell(News { about, warning: true, reason, action, note }, view.now);
                }
                None => {}
            }
        }
        if let Some(next) = next {
            outbox.wake(next);
        }
    }
}

#[cfg(test)]
mod tests;
