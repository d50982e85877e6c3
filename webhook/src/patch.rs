//! Turns changes into the smallest JSON Patch that makes them (RFC 6902). Pure.

use profile::{
    decide::{Change, Confinement, Place, ProfileSource},
    pod::{Container, Gates, List, PROFILE_NOT_READY, Pod, SeLinuxOptions, SecurityContext},
};

/// Writes the patch; None when there is nothing to change.
pub fn patch(pod: &Pod<'_>, changes: &[Change]) -> Option<Vec<u8>> {
    let mut patch = Writer::default();
    let mut rest = changes;
    while let Some(first) = rest.first() {
        let Change::Confine { place, .. } = first else {
            rest = &rest[1..];
            continue;
        };
        // All that is said of one place stands together but for annotations.
        let here = |change: &&Change| match change {
            Change::Confine { place: p, .. } => p == place,
            Change::Annotate { .. } | Change::RemoveAnnotation { .. } | Change::Gate => true,
        };
        let end = rest.iter().take_while(here).count();
        let confinements: Vec<_> = rest[..end].iter().filter_map(confinement).collect();
        confine(pod, *place, &confinements, &mut patch);
        rest = &rest[end..];
    }
    annotate(pod, changes, &mut patch);
    if changes.contains(&Change::Gate) {
        gate(pod.spec.scheduling_gates, &mut patch);
    }
    patch.finish()
}

fn confinement(change: &Change) -> Option<&Confinement> {
    match change {
        Change::Confine { confinement, .. } => Some(confinement),
        Change::Annotate { .. } | Change::RemoveAnnotation { .. } | Change::Gate => None,
    }
}

fn confine(pod: &Pod<'_>, place: Place, confinements: &[&Confinement], patch: &mut Writer) {
    let pod_context = pod.spec.security_context.as_ref();
    let (path, context) = match place {
        Place::Pod => ("/spec/securityContext".to_owned(), pod_context),
        Place::Container(list, index) => (
            format!("/spec/{}/{index}/securityContext", list.field()),
            container(pod, list, index).and_then(|c| c.security_context.as_ref()),
        ),
    };
    let inherited = pod_context.and_then(|context| context.se_linux_options.as_ref());
    if let Some(context) = context {
        for confinement in confinements {
            patch.confine_field(&path, context, confinement, inherited);
        }
    } else {
        patch.add(&path, |out| {
            out.push(b'{');
            for (n, confinement) in confinements.iter().enumerate() {
                separate(out, n);
                string(out, field(confinement));
                out.push(b':');
                value(out, confinement, inherited);
            }
            out.push(b'}');
        });
    }
}

fn container<'p, 'a>(pod: &'p Pod<'a>, list: List, index: usize) -> Option<&'p Container<'a>> {
    let spec = &pod.spec;
    let containers = match list {
        List::Init => &spec.init_containers,
        List::Regular => &spec.containers,
        List::Ephemeral => &spec.ephemeral_containers,
    };
    containers.as_ref()?.get(index)
}

fn annotate(pod: &Pod<'_>, changes: &[Change], patch: &mut Writer) {
    const ANNOTATIONS: &str = "/metadata/annotations";
    let set = changes.iter().filter_map(|change| match change {
        Change::Annotate { key, value } => Some((key, value)),
        Change::Confine { .. } | Change::RemoveAnnotation { .. } | Change::Gate => None,
    });
    if pod.metadata.annotations.is_none() {
        let mut set = set.enumerate().peekable();
        if set.peek().is_some() {
            patch.add(ANNOTATIONS, |out| {
                out.push(b'{');
                for (n, (key, value)) in set {
                    separate(out, n);
                    string(out, key);
                    out.push(b':');
                    string(out, value);
                }
                out.push(b'}');
            });
        }
        return;
    }
    let path = |key: &str| format!("{ANNOTATIONS}/{}", key.replace('~', "~0").replace('/', "~1"));
    for (key, value) in set {
        patch.add(&path(key), |out| string(out, value));
    }
    for change in changes {
        if let Change::RemoveAnnotation { key } = change {
            patch.remove(&path(key));
        }
    }
}

fn gate(before: Gates, patch: &mut Writer) {
    const GATES: &str = "/spec/schedulingGates";
    let gate = |out: &mut Vec<u8>| {
        out.extend(b"{\"name\":");
        string(out, PROFILE_NOT_READY);
        out.push(b'}');
    };
    match before {
        Gates::Absent => patch.add(GATES, |out| {
            out.push(b'[');
            gate(out);
            out.push(b']');
        }),
        Gates::Others => patch.add(&format!("{GATES}/-"), gate),
        Gates::Ours => {}
    }
}

fn field(confinement: &Confinement) -> &'static str {
    match confinement {
        Confinement::Seccomp(_) => "seccompProfile",
        Confinement::Apparmor(_) => "appArmorProfile",
        Confinement::Selinux(_) => "seLinuxOptions",
    }
}

fn value(out: &mut Vec<u8>, confinement: &Confinement, inherited: Option<&SeLinuxOptions<'_>>) {
    match confinement {
        Confinement::Seccomp(source) | Confinement::Apparmor(source) => {
            let (kind, profile) = match source {
                ProfileSource::Localhost(profile) => ("Localhost", Some(profile)),
                ProfileSource::RuntimeDefault => ("RuntimeDefault", None),
                ProfileSource::Unconfined => ("Unconfined", None),
            };
            out.extend(b"{\"type\":");
            string(out, kind);
            if let Some(profile) = profile {
                out.extend(b",\"localhostProfile\":");
                string(out, profile);
            }
            out.push(b'}');
        }
        // A container's options replace the pod's as a whole: what the pod says of the rest must be said again.
        Confinement::Selinux(kind) => {
            out.extend(b"{\"type\":");
            string(out, kind);
            let rest =
                inherited.map(|o| [("user", &o.user), ("role", &o.role), ("level", &o.level)]);
            for (name, value) in rest.into_iter().flatten() {
                if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                    out.push(b',');
                    string(out, name);
                    out.push(b':');
                    string(out, value);
                }
            }
            out.push(b'}');
        }
    }
}

fn separate(out: &mut Vec<u8>, n: usize) {
    if n > 0 {
        out.push(b',');
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string always serialises into memory");
}

/// A JSON Patch that grows.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn confine_field(
        &mut self,
        path: &str,
        context: &SecurityContext<'_>,
        confinement: &Confinement,
        inherited: Option<&SeLinuxOptions<'_>>,
    ) {
        let path = format!("{path}/{}", field(confinement));
        match (confinement, &context.se_linux_options) {
            (Confinement::Selinux(kind), Some(_)) => {
                self.add(&format!("{path}/type"), |out| string(out, kind));
            }
            _ => self.add(&path, |out| value(out, confinement, inherited)),
        }
    }

    fn add(&mut self, path: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.begin("add", path);
        self.0.extend(b",\"value\":");
        value(&mut self.0);
        self.0.push(b'}');
    }

    fn remove(&mut self, path: &str) {
        self.begin("remove", path);
        self.0.push(b'}');
    }

    fn begin(&mut self, op: &str, path: &str) {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        self.0.extend(b"{\"op\":");
        string(&mut self.0, op);
        self.0.extend(b",\"path\":");
        string(&mut self.0, path);
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push(b']');
        Some(self.0)
    }
}

#[cfg(test)]
mod tests;
