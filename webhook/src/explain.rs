//! Says, container by container, which binding wins and which lost and why, and shows the pod after the patch. Pure.

use std::fmt::{self, Write as _};

use profile::{
    bindings::{Outcome, Target},
    decide::{self, BindResult, Question, Recorded, Scope, Tasks},
    image::Reference,
    kinds::WhenNotReady,
    mechanism::Mechanism,
    pod::{List, Pod},
    snapshot::{Namespace, Snapshot},
};
use serde::Serialize;
use serde_json::Value;

use daemon::manifests::parse as parse_yaml;

use crate::{patch::patch, seal::HmacSeal, warnings::warnings};

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error("{0}")]
    Yaml(String),
    #[error("the file has {0} documents: one pod is needed")]
    Documents(usize),
    #[error("kind is {0:?}: a Pod, or a workload with a pod template, is needed")]
    NoPod(String),
    #[error("the pod cannot be read")]
    Pod(#[from] serde_json::Error),
    #[error("the patch does not fit the pod")]
    Patch(#[from] json_patch::PatchError),
}

/// All there is to say.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    namespace: String,
    /// Whether the namespace has opted in to binding and to recording.
    binding: bool,
    recording: bool,
    containers: Vec<OfContainer>,
    recorded: Vec<String>,
    warnings: Vec<String>,
    denials: Vec<String>,
    pod: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfContainer {
    list: &'static str,
    name: String,
    image: String,
    mechanisms: Vec<OfMechanism>,
}

#[derive(Debug, Serialize)]
struct OfMechanism {
    mechanism: &'static str,
    /// What came of the binding that wins.
    result: Option<&'static str>,
    /// Whether a pod waits for the profile, where the binding asks for that.
    gate: Option<&'static str>,
    bindings: Vec<OfBinding>,
}

#[derive(Debug, Serialize)]
struct OfBinding {
    binding: String,
    image: String,
    profile: String,
    wins: bool,
    why: String,
}

/// Explains a pod, or the pod of a workload's template, as it would be made in a namespace.
pub fn explain(
    text: &str,
    namespace: &str,
    snapshot: &Snapshot,
) -> Result<Explained, ExplainError> {
    let mut documents = parse_yaml(text).map_err(ExplainError::Yaml)?;
    documents.retain(|document| !document.is_null());
    let count = documents.len();
    let mut documents = documents.into_iter();
    let (Some(object), None) = (documents.next(), documents.next()) else {
        return Err(ExplainError::Documents(count));
    };
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
    let mut value = pod_of(object)?;
    let bytes = serde_json::to_string(&value)?;
    let pod: Pod<'_> = serde_json::from_str(&bytes)?;
    let switches = snapshot.switches(&namespace);
    let nothing = std::sync::Arc::default();
    let of_namespace = snapshot.namespaces.get(&*namespace).unwrap_or(&nothing);
    let question = Question {
        pod: &pod,
        namespace_name: &namespace,
        namespace: of_namespace,
        profiles: &snapshot.profiles,
        tasks: Tasks {
            bind: switches.binding,
            record: switches.recording,
            recording_on: switches.recording,
        },
        scope: Scope::Create,
    };
    let decision = decide::decide(&question, &HmacSeal::alone());
    let containers = pod
        .containers()
        .map(|(list, _, container)| OfContainer {
            list: word(list),
            name: container.name.to_string(),
            image: container.image().to_owned(),
            mechanisms: mechanisms(&pod, container, of_namespace, &decision),
        })
        .collect();
    if let Some(patch) = patch(&pod, &decision.changes) {
        let patch: json_patch::Patch = serde_json::from_slice(&patch)?;
        json_patch::patch(&mut value, &patch)?;
    }
    Ok(Explained {
        containers,
        recorded: decision
            .recorded
            .iter()
            .map(|Recorded { container, recording, key }| {
                format!("{container}: {key} by ProfileRecording {recording}")
            })
            .collect(),
        warnings: warnings(&decision.notes),
        denials: decision.denials.iter().map(ToString::to_string).collect(),
        binding: switches.binding,
        recording: switches.recording,
        pod: value,
        namespace,
    })
}

/// A pod, or the template of what makes pods.
fn pod_of(mut object: Value) -> Result<Value, ExplainError> {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let template = match kind.as_str() {
        "Pod" => return Ok(object),
        "PodTemplate" => object["template"].take(),
        "CronJob" => object["spec"]["jobTemplate"]["spec"]["template"].take(),
        _ => object
            .get_mut("spec")
            .and_then(|spec| spec.get_mut("template"))
            .map_or(Value::Null, Value::take),
    };
    if !template["spec"].is_object() {
        return Err(ExplainError::NoPod(kind));
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod"});
    pod["metadata"] = template
        .get("metadata")
        .cloned()
        .filter(Value::is_object)
        .unwrap_or_else(|| serde_json::json!({}));
    pod["metadata"]["generateName"] = format!("{name}-").into();
    pod["spec"] = template["spec"].clone();
    Ok(pod)
}

fn mechanisms(
    pod: &Pod<'_>,
    container: &profile::pod::Container<'_>,
    namespace: &Namespace,
    decision: &decide::Decision<'_>,
) -> Vec<OfMechanism> {
    let image = Reference::parse(container.image()).ok();
    let target =
        Target { image: image.as_ref(), container: &container.name, labels: &pod.metadata.labels };
    let explain = |mechanism: Mechanism| {
        let bound = decision
            .bound
            .iter()
            .find(|b| b.container == &*container.name && b.mechanism == mechanism);
        let bindings = namespace.bindings.explain(mechanism, &target);
        OfMechanism {
            mechanism: mechanism.as_str(),
            result: bound.map(|bound| result(bound.result)),
            gate: bound.filter(|bound| is_put_on(bound.result)).and_then(|_| {
                let winner = namespace.bindings.winner(mechanism, &target)?;
                (winner.when_not_ready == WhenNotReady::Gate).then(|| gate(pod))
            }),
            bindings: bindings
                .into_iter()
                .map(|(binding, outcome)| OfBinding {
                    binding: binding.name.to_string(),
                    image: binding.image.to_string(),
                    profile: format!("{} {}", binding.kind, binding.profile),
                    wins: outcome == Outcome::Wins,
                    why: why(binding.image.class().as_str(), outcome),
                })
                .collect(),
        }
    };
    Mechanism::ALL.map(explain).into_iter().filter(|of| !of.bindings.is_empty()).collect()
}

fn why(class: &str, outcome: Outcome<'_>) -> String {
    match outcome {
        Outcome::Wins => format!("matches by {class}"),
        Outcome::Outranked(winner, reason) => {
            format!("matches by {class}, but loses to {}: {reason}", winner.name)
        }
        Outcome::OtherImage => "the image is another one".into(),
        Outcome::OtherPod => "the podSelector does not select this pod".into(),
        Outcome::OtherContainer => "the container is not among its containers".into(),
    }
}

fn result(result: BindResult) -> &'static str {
    match result {
        BindResult::Written => "the profile is written",
        BindResult::Unchanged => "the container has this profile already",
        BindResult::Kept => "the container keeps its own: the binding says override: IfUnset",
        BindResult::Missing => "not applied: there is no such profile",
        BindResult::Disabled => "not applied: the profile is disabled",
        BindResult::Privileged => "not applied: the container is privileged",
        BindResult::Recorded => "not applied: the container is being recorded",
    }
}

/// Whether the container has the profile in the end.
fn is_put_on(result: BindResult) -> bool {
    matches!(result, BindResult::Written | BindResult::Unchanged)
}

fn gate(pod: &Pod<'_>) -> &'static str {
    if pod.names_its_node() {
        "no gate can hold a pod that names its node: the container waits for the profile"
    } else {
        "a scheduling gate holds the pod until the profile is on the nodes that it may go to"
    }
}

fn word(list: List) -> &'static str {
    match list {
        List::Init => "init container",
        List::Regular => "container",
        List::Ephemeral => "ephemeral container",
    }
}

impl Explained {
    /// Whether the pod would not be made.
    pub fn denied(&self) -> bool {
        !self.denials.is_empty()
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on| if on { "on" } else { "off" };
        let Self { namespace, binding, recording, .. } = self;
        writeln!(
            f,
            "namespace {namespace}: binding {}, recording {}",
            on(*binding),
            on(*recording)
        )?;
        for OfContainer { list, name, image, mechanisms } in &self.containers {
            writeln!(f, "\n{list} {name} ({image})")?;
            if mechanisms.is_empty() {
                writeln!(f, "  no bindings in this namespace")?;
            }
            for of in mechanisms {
                writeln!(f, "  {}: {}", of.mechanism, of.result.unwrap_or("no binding applies"))?;
                if let Some(gate) = of.gate {
                    writeln!(f, "    {gate}")?;
                }
                for OfBinding { binding, image, profile, wins, why } in &of.bindings {
                    let mark = if *wins { '*' } else { '-' };
                    writeln!(f, "    {mark} {binding} ({profile}, {image}): {why}")?;
                }
            }
        }
        for (title, lines) in
            [("recorded", &self.recorded), ("warnings", &self.warnings), ("denied", &self.denials)]
        {
            if !lines.is_empty() {
                writeln!(f, "\n{title}:")?;
                lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
            }
        }
        if self.denied() {
            return Ok(());
        }
        let mut yaml = String::new();
        match serde_saphyr::to_string(&self.pod) {
            Ok(text) => yaml = text,
            Err(error) => writeln!(yaml, "cannot be shown: {error}")?,
        }
        write!(f, "\npod after the patch:\n{yaml}")
    }
}

#[cfg(test)]
mod tests;
