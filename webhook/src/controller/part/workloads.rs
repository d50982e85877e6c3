//! Which live pods got their profile from which binding: the status of bindings. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use profile::{
    bindings::{Bindings, Target},
    image::Reference,
    mechanism::Mechanism,
};
use serde_json::json;

use super::{Part, View};
use crate::controller::{
    key::Named,
    outbox::{Call, Object, Outbox},
    pod::Pod,
    state::State,
    told::Binding,
};

/// The status has room for no more.
const LISTED: usize = 100;

/// Pods by binding.
///
/// A pod has its profile from a binding when the binding wins for one of its containers, and the container is under the
/// binding's profile: what happened at admission is not remembered, what the pod is now counts.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    /// By namespace.
    compiled: BTreeMap<Arc<str>, Bindings>,
    /// The names of the bindings of a pod.
    bound: BTreeMap<Named, BTreeSet<Arc<str>>>,
    /// The names of the pods of a binding.
    pods: BTreeMap<Named, BTreeSet<Arc<str>>>,
}

impl Part for Workloads {
    fn step(&mut self, view: &View<'_>, outbox: &mut Outbox) {
        let mut pods = view.changes.pods.clone();
        for namespace in &view.changes.rules {
            self.compile(view.state, namespace);
            pods.extend(view.state.pods_of(namespace).map(|(key, _)| key.clone()));
        }
        let mut bindings = view.changes.bindings.clone();
        for key in pods {
            self.assign(view.state, &key, &mut bindings);
        }
        for key in bindings {
            let binding = view.state.bindings.get(&key);
            let call = binding.and_then(|binding| self.call(&key, binding));
            outbox.want(&object(&key), "workloads", call, view.now);
        }
    }
}

impl Workloads {
    fn compile(&mut self, state: &State, namespace: &Arc<str>) {
        let rules = state.bindings_of(namespace).filter_map(|(_, binding)| binding.rule.clone());
        let bindings = Bindings::new(rules);
        if bindings.is_empty() {
            self.compiled.remove(namespace);
        } else {
            self.compiled.insert(Arc::clone(namespace), bindings);
        }
    }

    /// Finds the bindings of a pod anew; those that lose or win it are told.
    fn assign(&mut self, state: &State, key: &Named, changed: &mut BTreeSet<Named>) {
        let bindings = self.compiled.get(&key.namespace);
        let pod = state.pods.get(key);
        let now = pod.zip(bindings).map(|(pod, bindings)| won(pod, bindings)).unwrap_or_default();
        let before = if now.is_empty() {
            self.bound.remove(key)
        } else {
            self.bound.insert(key.clone(), now.clone())
        };
        let before = before.unwrap_or_default();
        let of = |name: &Arc<str>| Named {
            namespace: Arc::clone(&key.namespace),
            name: Arc::clone(name),
        };
        for name in before.difference(&now) {
            let binding = of(name);
            if let Some(pods) = self.pods.get_mut(&binding) {
                pods.remove(&key.name);
                if pods.is_empty() {
                    self.pods.remove(&binding);
                }
            }
            changed.insert(binding);
        }
        for name in now.difference(&before) {
            let binding = of(name);
            self.pods.entry(binding.clone()).or_default().insert(Arc::clone(&key.name));
            changed.insert(binding);
        }
    }

    /// What has to be written; none where the status says it.
    fn call(&self, key: &Named, binding: &Binding) -> Option<Call> {
        let pods = self.pods.get(key);
        let count = i32::try_from(pods.map_or(0, BTreeSet::len)).unwrap_or(i32::MAX);
        let first = pods.into_iter().flatten().take(LISTED);
        let listed: Vec<_> = first.map(|pod| format!("{}/{pod}", key.namespace)).collect();
        let status = &binding.status;
        if status.workload_count == Some(count) && status.active_workloads == listed {
            return None;
        }
        // An empty list is written, too: what others have written there goes.
        Some(Call::ApplyStatus(json!({
            "metadata": { "uid": binding.uid },
            "status": { "activeWorkloads": listed, "workloadCount": count },
        })))
    }
}

/// The bindings that a pod has its profiles from.
fn won(pod: &Pod, bindings: &Bindings) -> BTreeSet<Arc<str>> {
    let containers = pod.containers.iter().flat_map(|container| {
        let image = Reference::parse(&container.image).ok();
        Mechanism::ALL.into_iter().filter_map(move |mechanism| {
            let image = image.as_ref();
            let target = Target { image, container: &container.name, labels: &pod.labels };
            let winner = bindings.winner(mechanism, &target)?;
            let local_name = mechanism.local_name(&winner.profile);
            container.is_under(mechanism, &local_name).then(|| Arc::from(&*winner.name))
        })
    });
    containers.collect()
}

fn object(key: &Named) -> Object {
    Object {
        kind: "ProfileBinding",
        namespace: Arc::clone(&key.namespace),
        name: Arc::clone(&key.name),
    }
}

#[cfg(test)]
mod tests;
