//! What is said of a scheduling gate, and the pod that it stands in.

use profile::{
    bindings::Binding,
    snapshot::{Readiness, Switches},
};
use serde_json::json;

use super::*;
use crate::world::{Item, Kind, World};

fn explained(readiness: Readiness, more: &str) -> Explained {
    let mut world = World::new(Switches::ON);
    let object = json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1",
        "kind": "ProfileBinding",
        "metadata": { "name": "b", "namespace": "shop" },
        "spec": {
            "image": "nginx",
            "profileRef": { "kind": "SeccompProfile", "name": "web" },
            "whenNotReady": "Gate",
        },
    });
    let binding = Binding::new(&serde_json::from_value(object).unwrap()).unwrap();
    world.apply(Kind::Binding, ("shop".into(), "b".into()), Item::Binding(binding.into()));
    let kind = Kind::Profile(profile::kinds::ProfileKind::SeccompProfile);
    world.apply(kind, ("".into(), "web".into()), Item::Profile(readiness));
    let pod = format!(
        "{{kind: Pod, metadata: {{name: p}}, spec: {{{more} containers: [{{name: c, image: nginx}}]}}}}"
    );
    explain(&pod, "shop", &world.snapshot()).unwrap()
}

#[test]
fn says_that_a_gate_holds_the_pod_and_shows_it() {
    for (readiness, gates) in [
        (Readiness::NotYet("Pending"), json!([{ "name": "spo.x-k8s.io/profile-not-ready" }])),
        (Readiness::Ready, Value::Null),
    ] {
        let explained = explained(readiness, "");
        assert_eq!(explained.pod["spec"]["schedulingGates"], gates);
        let text = explained.to_string();
        let line = "seccomp: the profile is written\n    a scheduling gate holds the pod until";
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn says_that_no_gate_holds_a_pod_that_names_its_node() {
    let explained = explained(Readiness::NotYet("Pending"), "nodeName: worker,");
    assert_eq!(explained.pod["spec"].get("schedulingGates"), None);
    assert!(explained.to_string().contains("\n    no gate can hold a pod that names its node"));
}
