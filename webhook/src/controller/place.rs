//! Which nodes a pod may go to, as the scheduler filters them: selector, required affinity, taints. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Deserialize;

/// The label by which a kubelet tells its operating system.
const OS: &str = "kubernetes.io/os";

/// What a node is tainted with while it is cordoned, whether or not anybody has written it yet.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// What a pod says of where it may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    selector: BTreeMap<String, String>,
    /// One of them has to hold; none where nothing is required.
    terms: Option<Vec<Term>>,
    tolerations: Vec<Toleration>,
}

/// What it requires of a node, and what it prefers, which does not matter here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Affinity {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeAffinity {
    required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeSelector {
    node_selector_terms: Option<Vec<Term>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Term {
    match_expressions: Vec<Requirement>,
    match_fields: Vec<Requirement>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
struct Requirement {
    key: String,
    operator: String,
    values: Vec<String>,
}

/// A taint that it does not mind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub struct Toleration {
    key: String,
    operator: String,
    value: String,
    effect: String,
}

/// A node, as far as it decides on who may come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    pub taints: Vec<Taint>,
    pub unschedulable: bool,
}

/// What keeps pods away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

/// All nodes, whose labels are mostly the same texts.
#[derive(Debug, Default)]
pub struct Places {
    nodes: BTreeMap<Arc<str>, Place>,
    texts: BTreeSet<Arc<str>>,
    /// How many texts there were when those that nobody uses were last dropped.
    swept: usize,
}

impl Placement {
    /// From the fields of a pod's spec.
    pub fn new(
        selector: Option<&BTreeMap<String, String>>,
        affinity: Option<&Affinity>,
        tolerations: Option<&[Toleration]>,
    ) -> Self {
        let of_nodes = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
        let required = of_nodes
            .and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
        Self {
            selector: selector.cloned().unwrap_or_default(),
            terms: required
                .map(|selector| selector.node_selector_terms.clone().unwrap_or_default()),
            tolerations: tolerations.unwrap_or_default().to_owned(),
        }
    }

    /// Whether the scheduler may send the pod to a node, leaving aside what is in use there.
    ///
    /// A profile of ours means nothing on a node that does not run Linux: such a node is none for the pod.
    pub fn admits(&self, name: &str, node: &Place) -> bool {
        let label = |key: &str| node.labels.get(key).map(|value| &**value);
        let linux = label(OS).is_none_or(|os| os == "linux");
        let selected = self.selector.iter().all(|(key, value)| label(key) == Some(value));
        linux
            && selected
            && self.terms.as_ref().is_none_or(|terms| terms.iter().any(|it| it.holds(name, node)))
            && self.tolerates(node)
    }

    fn tolerates(&self, node: &Place) -> bool {
        let tolerated = |taint: &Taint| self.tolerations.iter().any(|it| it.tolerates(taint));
        let cordoned = Taint {
            key: UNSCHEDULABLE.to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        let keeps_away = |taint: &&Taint| matches!(&*taint.effect, "NoSchedule" | "NoExecute");
        (!node.unschedulable || tolerated(&cordoned))
            && node.taints.iter().filter(keeps_away).all(tolerated)
    }
}

impl Term {
    fn holds(&self, name: &str, node: &Place) -> bool {
        let Self { match_expressions, match_fields } = self;
        let label = |key: &str| node.labels.get(key).map(|value| &**value);
        let field = |key: &str| (key == "metadata.name").then_some(name);
        // A term that asks for nothing means nothing.
        !(match_expressions.is_empty() && match_fields.is_empty())
            && match_expressions.iter().all(|it| it.holds(label(&it.key)))
            && match_fields.iter().all(|it| it.holds(field(&it.key)))
    }
}

impl Requirement {
    fn holds(&self, found: Option<&str>) -> bool {
        let among = |found: &str| self.values.iter().any(|value| value == found);
        match &*self.operator {
            "In" => found.is_some_and(among),
            "NotIn" => !found.is_some_and(among),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            "Gt" | "Lt" => match (found, &*self.values) {
                (Some(found), [bound]) => compares(&self.operator, found, bound),
                _ => false,
            },
            _ => false,
        }
    }
}

impl Toleration {
    fn tolerates(&self, taint: &Taint) -> bool {
        let same = |own: &str, of_taint: &str| own.is_empty() || own == of_taint;
        same(&self.effect, &taint.effect)
            && same(&self.key, &taint.key)
            && match &*self.operator {
                "" | "Equal" => self.value == taint.value,
                "Exists" => true,
                operator => compares(operator, &taint.value, &self.value),
            }
    }
}

/// Whether a number is greater or less than a bound; what is no number is neither.
fn compares(operator: &str, found: &str, bound: &str) -> bool {
    let (Ok(found), Ok(bound)) = (found.parse::<i64>(), bound.parse::<i64>()) else {
        return false;
    };
    match operator {
        "Gt" => found > bound,
        "Lt" => found < bound,
        _ => false,
    }
}

impl Places {
    /// The cluster has a node, or has it no more. Tells whether that makes a difference.
    pub fn put(&mut self, name: &Arc<str>, place: Option<Place>) -> bool {
        let Some(place) = place else {
            let there = self.nodes.remove(name).is_some();
            self.sweep();
            return there;
        };
        if self.nodes.get(name) == Some(&place) {
            return false;
        }
        let Place { labels, taints, unschedulable } = place;
        let labels =
            labels.into_iter().map(|(key, value)| (self.text(key), self.text(value))).collect();
        self.nodes.insert(Arc::clone(name), Place { labels, taints, unschedulable });
        self.sweep();
        true
    }

    /// All nodes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Place)> {
        self.nodes.iter()
    }

    /// One text for all that say the same.
    fn text(&mut self, text: Arc<str>) -> Arc<str> {
        if let Some(known) = self.texts.get(&text) {
            return Arc::clone(known);
        }
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// Drops the texts of nodes that are gone, now and then.
    fn sweep(&mut self) {
        const MANY: usize = 1024;
        if self.texts.len() > MANY.max(self.swept * 2) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.swept = self.texts.len();
        }
    }
}

#[cfg(test)]
mod tests;
