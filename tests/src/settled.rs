//! Waits until a webhook has seen all that was created before: each kind is one stream, in order, so
//! it has when it knows a marker of each kind that was created last.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    namespace::{BINDING, Namespace, RECORDING, unique},
    object::text,
    review::{BOTH, RECORDING_ONLY, Review},
    until::until,
    webhook::Webhook,
};

const LIMIT: Duration = Duration::from_secs(20);

/// Markers in one namespace.
#[derive(Debug)]
pub struct Marker {
    name: String,
    bound: bool,
    recorded: bool,
}

impl Marker {
    /// Creates what the switched-on parts of the webhook need to see.
    pub async fn new(namespace: &Namespace) -> Result<Self> {
        let name = format!("marker-{}", unique());
        let bound = namespace.switches_on(BINDING);
        let recorded = namespace.switches_on(RECORDING);
        if bound {
            namespace.apply(&profiles(&name)).await?;
            namespace.apply(&bindings(&name)).await?;
        }
        if recorded {
            namespace.apply(&recording(&name)).await?;
        }
        Ok(Self { name, bound, recorded })
    }

    /// A pod that shows whether the bindings, or else the recording, of the marker are known.
    pub fn pod(&self, recorded: bool) -> Value {
        let labels = if recorded { json!({ "marker": self.name }) } else { json!({}) };
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": self.name, "labels": labels },
            "spec": { "containers": [
                { "name": "a", "image": format!("marker.example/{}", self.name) },
                { "name": "b", "image": format!("marker.example/{}-raw", self.name) },
            ]},
        })
    }

    /// Whether a pod came back as it does once the marker is known.
    pub fn is_on(&self, pod: &Value, recorded: bool) -> bool {
        let is = |pointer: &str, value: String| text(pod, pointer).ok() == Some(value.as_str());
        let Self { name, .. } = self;
        if recorded {
            return text(pod, "/metadata/annotations/io.containers.trace-bpf~1a").is_ok();
        }
        let context = "/spec/containers/0/securityContext";
        is(&format!("{context}/seccompProfile/localhostProfile"), format!("operator/{name}.json"))
            && is(&format!("{context}/seLinuxOptions/type"), format!("{name}.process"))
            && is(&format!("{context}/appArmorProfile/localhostProfile"), name.clone())
            && is(
                "/spec/containers/1/securityContext/seLinuxOptions/type",
                format!("{name}-raw.process"),
            )
    }

    async fn is_seen_by(
        &self,
        namespace: &Namespace,
        webhook: &Webhook,
        recorded: bool,
    ) -> Result<bool> {
        let pod = self.pod(recorded);
        let path = if self.bound { BOTH } else { RECORDING_ONLY };
        let verdict = webhook.review(path, &Review::of(&namespace.name, &pod)).await?;
        Ok(verdict.allowed && self.is_on(&verdict.applied_to(&pod)?, recorded))
    }
}

/// Waits until each of these webhooks has seen what exists now.
pub async fn settled(namespace: &Namespace, webhooks: &[&Webhook]) -> Result<()> {
    let marker = Marker::new(namespace).await?;
    for webhook in webhooks {
        for recorded in [false, true] {
            if if recorded { marker.recorded } else { marker.bound } {
                until("the webhook knows all objects", LIMIT, async || {
                    Ok(marker.is_seen_by(namespace, webhook, recorded).await?.then_some(()))
                })
                .await?;
            }
        }
    }
    Ok(())
}

/// Waits until the API server asks the webhook about pods of this namespace.
pub async fn registered(namespace: &Namespace) -> Result<()> {
    let marker = Marker::new(namespace).await?;
    let recorded = !marker.bound;
    let pod = marker.pod(recorded);
    until("the API server asks the webhook", LIMIT, async || {
        // Until it does the pod is admitted as it is; while the replicas come up it may be refused.
        let pod = namespace.dry_run(&pod).await?.granted().unwrap_or_default();
        Ok(marker.is_on(&pod, recorded).then_some(()))
    })
    .await
}

fn profiles(name: &str) -> String {
    format!(
        r"
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SeccompProfile
metadata: {{name: {name}}}
spec: {{defaultAction: SCMP_ACT_LOG}}
---
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SelinuxProfile
metadata: {{name: {name}}}
spec: {{}}
---
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: RawSelinuxProfile
metadata: {{name: {name}-raw}}
spec: {{policy: (blockinherit container)}}
---
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: AppArmorProfile
metadata: {{name: {name}}}
spec: {{}}
"
    )
}

/// Deny makes the difference visible between a profile that is not known yet and one that is.
fn bindings(name: &str) -> String {
    let binding = |kind: &str, suffix: &str| {
        format!(
            r"
---
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: ProfileBinding
metadata: {{name: {name}-{}}}
spec:
  profileRef: {{kind: {kind}, name: {name}{suffix}}}
  image: marker.example/{name}{suffix}
  whenMissing: Deny
",
            kind.to_lowercase()
        )
    };
    binding("SeccompProfile", "")
        + &binding("SelinuxProfile", "")
        + &binding("AppArmorProfile", "")
        + &binding("RawSelinuxProfile", "-raw")
}

fn recording(name: &str) -> String {
    format!(
        r"
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: ProfileRecording
metadata: {{name: {name}}}
spec:
  kind: SeccompProfile
  recorder: Bpf
  podSelector: {{matchLabels: {{marker: {name}}}}}
"
    )
}
