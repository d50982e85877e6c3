//! Opens the scheduling gate of pods whose profiles are on the nodes that they may go to, or will never be. Pure.
//!
//! Nothing is remembered of why a pod got its gate: each is judged by what it carries, and by what bindings, profiles,
//! nodes and its namespace are like now. So a gate is not left behind, whatever was changed while nobody looked, and one
//! that the pod's author wrote is opened by the same rules.

use std::{
    collections::BTreeMap,
    mem::{Discriminant, discriminant},
    sync::Arc,
    time::{Duration, Instant},
};

use profile::bindings::Bindings;

use super::{Part, View};
use crate::{
    controller::{
        key::Named,
        outbox::{About, Call, Object, Outbox},
        pod::Pod,
        state::{Changes, State},
    },
    opening::opening,
};
use judge::{Judge, Reason, Verdict, Wait, Wanted};

mod judge;
mod words;

const PART: &str = "gate";

/// For how long a pod waits for nodes that are at it before its Events say so: most have done by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gates.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// By namespace, where pods wait.
    compiled: BTreeMap<Arc<str>, Bindings>,
    waiting: BTreeMap<Named, Waiting>,
}

/// A pod that waits.
#[derive(Debug)]
struct Waiting {
    uid: Box<str>,
    since: Instant,
    /// What its Events last said it waits for.
    told: Option<Discriminant<Wait>>,
}

impl Part for Gate {
    fn step(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        let View { state, changes, now } = *view;
        for namespace in &changes.rules {
            self.compiled.remove(namespace);
        }
        // What was asked for has been done, or there is nobody left to do it to.
        for key in changes.pods.difference(&state.gated) {
            self.waiting.remove(key);
            outbox.want(&object(key), PART, None, now);
        }
        let mut judge = Judge::default();
        for key in concerned(state, changes) {
            let Some(pod) = state.pods.get(key) else { continue };
            let Some(placement) = &pod.gated else { continue };
            let wanted = self.wanted(key, pod, state);
            let verdict = judge.verdict(placement, wanted.as_ref(), state);
            let call = match &verdict {
                Verdict::Keep(_) => None,
                Verdict::Open(_) => Some(Call::Strategic(opening(&pod.uid))),
            };
            outbox.want(&object(key), PART, call, now);
            match verdict {
                Verdict::Keep(wait) => self.keep(key, pod, &wait, now, outbox),
                Verdict::Open(reason) => self.open(key, pod, &reason, wanted, now, outbox),
            }
        }
        let in_use = |namespace: &Arc<str>| {
            let first = Named { namespace: Arc::clone(namespace), name: "".into() };
            state.gated.range(first..).next().is_some_and(|pod| pod.namespace == *namespace)
        };
        self.compiled.retain(|namespace, _| in_use(namespace));
    }
}

/// The pods that have to be looked at: all of them where something else than pods has changed, or a time has come.
fn concerned<'a>(
    state: &'a State,
    changes: &'a Changes,
) -> Box<dyn Iterator<Item = &'a Named> + 'a> {
    let Changes { pods, rules, profiles, said, places, namespaces, .. } = changes;
    let all = *places
        || !(rules.is_empty() && profiles.is_empty() && said.is_empty() && namespaces.is_empty());
    if all || changes.is_empty() {
        Box::new(state.gated.iter())
    } else {
        Box::new(state.gated.intersection(pods))
    }
}

impl Gate {
    /// What a pod waits for; none in a namespace in which nothing is bound.
    fn wanted(&mut self, key: &Named, pod: &Pod, state: &State) -> Option<Wanted> {
        state.namespaces.get(&key.namespace).filter(|switches| switches.binding)?;
        let namespace = &key.namespace;
        if !self.compiled.contains_key(namespace) {
            let rules = state.bindings_of(namespace).filter_map(|(_, it)| it.rule.clone());
            self.compiled.insert(Arc::clone(namespace), Bindings::new(rules));
        }
        Some(Wanted::of(pod, self.compiled.get(namespace)?, state))
    }

    fn keep(&mut self, key: &Named, pod: &Pod, wait: &Wait, now: Instant, outbox: &mut Outbox) {
        let new = || Waiting { uid: pod.uid.clone(), since: now, told: None };
        let waiting = self.waiting.entry(key.clone()).or_insert_with(new);
        if waiting.uid != pod.uid {
            *waiting = new();
        }
        if waiting.told == Some(discriminant(wait)) {
            return;
        }
        let patient_until = waiting.since + PATIENCE;
        if matches!(wait, Wait::Missing { .. }) && now < patient_until {
            outbox.wake(patient_until);
            return;
        }
        waiting.told = Some(discriminant(wait));
        outbox.tell(words::keeps(about(key, pod), wait), now);
    }

    fn open(
        &mut self,
        key: &Named,
        pod: &Pod,
        reason: &Reason,
        wanted: Option<Wanted>,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        self.waiting.remove(key);
        let gone = wanted.map(|wanted| wanted.gone).unwrap_or_default();
        if let Some(news) = words::opens(about(key, pod), reason, &gone) {
            outbox.tell(news, now);
        }
    }
}

fn object(key: &Named) -> Object {
    Object { kind: "Pod", namespace: Arc::clone(&key.namespace), name: Arc::clone(&key.name) }
}

fn about(key: &Named, pod: &Pod) -> About {
    About { object: object(key), uid: (*pod.uid).into() }
}

#[cfg(test)]
mod tests;
