//! Objects as their users write them: YAML, and the place in the API where each belongs.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The group of all our kinds.
pub const GROUP: &str = "security-profiles-operator.x-k8s.io";

/// Kind, plural, and whether it lives in a namespace.
const KINDS: &[(&str, &str, bool)] = &[
    ("Namespace", "namespaces", false),
    ("Node", "nodes", false),
    ("Pod", "pods", true),
    ("Event", "events", true),
    ("ServiceAccount", "serviceaccounts", true),
    ("Secret", "secrets", true),
    ("Service", "services", true),
    ("Deployment", "deployments", true),
    ("DaemonSet", "daemonsets", true),
    ("Job", "jobs", true),
    ("PodDisruptionBudget", "poddisruptionbudgets", true),
    ("NetworkPolicy", "networkpolicies", true),
    ("Certificate", "certificates", true),
    ("Issuer", "issuers", true),
    ("ServiceMonitor", "servicemonitors", true),
    ("Role", "roles", true),
    ("RoleBinding", "rolebindings", true),
    ("ClusterRole", "clusterroles", false),
    ("ClusterRoleBinding", "clusterrolebindings", false),
    ("CustomResourceDefinition", "customresourcedefinitions", false),
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("MutatingAdmissionPolicy", "mutatingadmissionpolicies", false),
    ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", false),
    ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", false),
    ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", false),
    ("SeccompProfile", "seccompprofiles", false),
    ("SelinuxProfile", "selinuxprofiles", false),
    ("RawSelinuxProfile", "rawselinuxprofiles", false),
    ("AppArmorProfile", "apparmorprofiles", false),
    ("NodeSecurityProfiles", "nodesecurityprofiles", false),
    ("ProfileBinding", "profilebindings", true),
    ("ProfileRecording", "profilerecordings", true),
];

/// All documents of a YAML text.
pub fn parse(yaml: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The only document of a YAML text.
pub fn parse_one(yaml: &str) -> Result<Value> {
    let mut documents = parse(yaml)?;
    match documents.len() {
        1 => Ok(documents.remove(0)),
        count => bail!("{count} documents instead of one"),
    }
}

/// Where objects of this kind are created.
pub fn collection(object: &Value, namespace: &str) -> Result<String> {
    let version = text(object, "/apiVersion")?;
    let kind = text(object, "/kind")?;
    let Some((_, plural, namespaced)) = KINDS.iter().find(|(name, ..)| *name == kind) else {
        bail!("the tests know no {kind}");
    };
    let api = if version.contains('/') { "apis" } else { "api" };
    Ok(if *namespaced {
        format!("/{api}/{version}/namespaces/{namespace}/{plural}")
    } else {
        format!("/{api}/{version}/{plural}")
    })
}

/// Where this object is.
pub fn location(object: &Value, namespace: &str) -> Result<String> {
    Ok(format!("{}/{}", collection(object, namespace)?, text(object, "/metadata/name")?))
}

/// The text at a JSON pointer.
pub fn text<'a>(object: &'a Value, pointer: &str) -> Result<&'a str> {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("no {pointer} in {object}"))
}
