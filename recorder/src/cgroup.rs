//! Which container a cgroup is of, by the names that runtimes give it. Pure.
//!
//! ```text
//!  systemd   …/kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope   (crio-<id>.scope, docker-<id>.scope)
//!  cgroupfs  …/kubepods/burstable/pod<uid>/<id>                                     (crio-<id>)
//!  crun      …/crio-<id>.scope/container
//! ```

/// Digits of a container's id, as containerd, CRI-O, Docker and Podman make it.
const ID: usize = 64;

/// A container by its cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Container {
    /// The uid of its pod: with dashes, or the 32 digits of a static pod's. None where the names do not tell.
    pub pod: Option<String>,
    /// Its id, as the runtime calls it.
    pub id: String,
}

impl Container {
    /// The container by the name of a cgroup and of the one above it.
    pub fn of_names(leaf: &str, parent: &str) -> Option<Self> {
        of_components([parent, leaf].into_iter())
    }

    /// The container by a cgroup's path.
    pub fn of_path(path: &str) -> Option<Self> {
        of_components(path.split('/'))
    }

    /// The container by the text of `/proc/PID/cgroup`: one line with cgroup v2, one for each hierarchy with v1.
    pub fn of_process(text: &str) -> Option<Self> {
        let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        // On a machine with both, only some hierarchies may have the container.
        let found: Vec<_> = paths.filter_map(Self::of_path).collect();
        let of_pod = found.iter().find(|container| container.pod.is_some());
        of_pod.or_else(|| found.first()).cloned()
    }
}

/// What one name of a path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name<'a> {
    Pod(&'a str),
    Container(&'a str),
    Both(&'a str, &'a str),
    /// A process of the runtime's that sees to a container.
    Monitor,
    Other,
}

/// The first pod is the one of this node: what is further down may be a cluster within a container. Without a pod the last
/// container is meant.
fn of_components<'a>(components: impl Iterator<Item = &'a str>) -> Option<Container> {
    let (mut pod, mut id) = (None, None);
    for component in components {
        match name(component) {
            Name::Pod(uid) if pod.is_none() => (pod, id) = (Some(uid), None),
            Name::Both(uid, container) if pod.is_none() => (pod, id) = (Some(uid), Some(container)),
            Name::Container(container) if pod.is_none() || id.is_none() => id = Some(container),
            Name::Monitor if pod.is_none() || id.is_none() => return None,
            _ => {}
        }
    }
    Some(Container { pod: pod.map(|uid| uid.replace('_', "-")), id: id?.to_owned() })
}

fn name(component: &str) -> Name<'_> {
    // A runtime that was told a systemd path, and knows no systemd, makes one folder of it.
    if let Some((slice, rest)) = component.split_once(':') {
        let id = rest.rsplit(':').next().filter(|id| is_id(id));
        return match (pod(slice), id) {
            (Some(uid), Some(id)) => Name::Both(uid, id),
            (None, Some(id)) => Name::Container(id),
            _ => Name::Other,
        };
    }
    if let Some(uid) = pod(component) {
        return Name::Pod(uid);
    }
    let stem = component.strip_suffix(".scope").unwrap_or(component);
    match stem.rsplit_once('-') {
        None if is_id(stem) => Name::Container(stem),
        Some((runtime, id)) if is_id(id) && runtime.ends_with("conmon") => Name::Monitor,
        Some((_, id)) if is_id(id) => Name::Container(id),
        _ => Name::Other,
    }
}

/// The uid of a pod's cgroup: `pod<uid>`, or a slice whose name ends with `-pod<uid>`.
fn pod(component: &str) -> Option<&str> {
    let uid = match component.strip_suffix(".slice") {
        Some(slice) => slice.rsplit('-').next()?.strip_prefix("pod")?,
        None => component.strip_prefix("pod")?,
    };
    let groups: Vec<_> = uid.split(['-', '_']).collect();
    let shape: Vec<_> = groups.iter().map(|group| group.len()).collect();
    let hexadecimal = groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
    (hexadecimal && (shape == [8, 4, 4, 4, 12] || shape == [32])).then_some(uid)
}

fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";
    const SLICE: &str = "kubepods-burstable-pod2c48913c_b29f_11e7_9350_020968147796.slice";
    const STATIC: &str = "b8f5d3c1e0a94b7f8d2c6e5a4b3c2d1e";
    const ID: &str = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961";
    const OTHER: &str = "3583b1f76e3ac5f9f3f1e2dbef5fc6ddf8d0bd0fbe6e8df3f2b6a6a5c8b0a1d2";

    fn container(pod: Option<&str>) -> Container {
        Container { pod: pod.map(str::to_owned), id: ID.to_owned() }
    }

    #[test]
    fn the_names_of_every_runtime_and_driver_are_known() {
        let kind = format!("kubelet-{SLICE}");
        let guaranteed = "kubepods-pod2c48913c_b29f_11e7_9350_020968147796.slice";
        let (folder, fixed) = (format!("pod{UID}"), format!("kubepods-pod{STATIC}.slice"));
        for (leaf, parent, pod) in [
            (format!("cri-containerd-{ID}.scope"), SLICE, Some(UID)),
            (format!("cri-containerd-{ID}.scope"), guaranteed, Some(UID)),
            (format!("cri-containerd-{ID}.scope"), &kind, Some(UID)),
            (format!("crio-{ID}.scope"), SLICE, Some(UID)),
            (format!("docker-{ID}.scope"), SLICE, Some(UID)),
            (ID.to_owned(), &folder, Some(UID)),
            (format!("crio-{ID}"), &folder, Some(UID)),
            (format!("cri-containerd-{ID}.scope"), &fixed, Some(STATIC)),
            (format!("{SLICE}:cri-containerd:{ID}"), "containerd.service", Some(UID)),
            (format!("docker-{ID}.scope"), "system.slice", None),
            (ID.to_owned(), "docker", None),
            (format!("libpod-{ID}.scope"), "machine.slice", None),
            (format!("nerdctl-{ID}.scope"), "system.slice", None),
            ("container".to_owned(), &format!("crio-{ID}.scope"), None),
            ("container".to_owned(), &format!("libpod-{ID}.scope"), None),
            ("init.scope".to_owned(), &format!("cri-containerd-{ID}.scope"), None),
        ] {
            assert_eq!(Container::of_names(&leaf, parent), Some(container(pod)), "{parent}/{leaf}");
        }
    }

    #[test]
    fn what_is_no_container_is_none() {
        let short = &ID[..12];
        for (leaf, parent) in [
            ("", ""),
            ("/", ""),
            ("init.scope", ""),
            ("sshd.service", "system.slice"),
            ("session-3.scope", "user-1000.slice"),
            (SLICE, "kubepods-burstable.slice"),
            (&format!("pod{UID}"), "burstable"),
            (&format!("crio-conmon-{ID}.scope"), SLICE),
            (&format!("crio-conmon-{ID}"), &format!("pod{UID}")),
            (&format!("libpod-conmon-{ID}.scope"), "machine.slice"),
            (&format!("cri-containerd-{short}.scope"), SLICE),
            (&format!("cri-containerd-{}.scope", ID.to_uppercase()), SLICE),
            (&format!("x{ID}"), "docker"),
        ] {
            assert_eq!(Container::of_names(leaf, parent), None, "{parent}/{leaf}");
        }
    }

    #[test]
    fn a_uid_must_be_one() {
        for parent in ["podcast", "pod", "pod2c48913c", "kubepods-podx.slice", "kubepods.slice"] {
            assert_eq!(Container::of_names(ID, parent), Some(container(None)), "{parent}");
        }
    }

    #[test]
    fn the_first_pod_of_a_path_is_the_one_of_this_node() {
        let inner = "11111111-2222-3333-4444-555555555555";
        for (path, pod) in [
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/{SLICE}/cri-containerd-{ID}.scope"
                ),
                Some(UID),
            ),
            (format!("/kubepods/besteffort/pod{UID}/{ID}"), Some(UID)),
            (format!("/kubepods.slice/{SLICE}/crio-{ID}.scope/container"), Some(UID)),
            // What a container makes of cgroups of its own.
            (format!("/kubepods/pod{UID}/{ID}/system.slice/nginx.service"), Some(UID)),
            (format!("/kubepods/pod{UID}/{ID}/docker/{OTHER}"), Some(UID)),
            (format!("/kubepods/pod{UID}/{ID}/kubepods/pod{inner}/{OTHER}"), Some(UID)),
            // A node that is a container itself.
            (format!("/docker/{OTHER}/kubelet/kubepods/pod{UID}/{ID}"), Some(UID)),
            (format!("/../../pod{UID}/{ID}"), Some(UID)),
            (format!("/docker/{OTHER}/docker/{ID}"), None),
        ] {
            assert_eq!(Container::of_path(&path), Some(container(pod)), "{path}");
        }
        let monitor = format!("/kubepods.slice/{SLICE}/crio-conmon-{ID}.scope");
        assert_eq!(Container::of_path(&monitor), None);
        assert_eq!(Container::of_path(&format!("/kubepods/pod{UID}")), None);
    }

    #[test]
    fn a_process_is_found_in_whichever_hierarchy_has_it() {
        let v2 = format!("0::/kubepods.slice/{SLICE}/cri-containerd-{ID}.scope\n");
        assert_eq!(Container::of_process(&v2), Some(container(Some(UID))));
        let v1 = format!(
            "12:pids:/kubepods/burstable/pod{UID}/{ID}\n1:name=systemd:/kubepods/burstable/pod{UID}/{ID}\n"
        );
        assert_eq!(Container::of_process(&v1), Some(container(Some(UID))));
        let hybrid =
            format!("3:memory:/docker/{ID}\n1:name=systemd:/kubepods/pod{UID}/{ID}\n0::/\n");
        assert_eq!(Container::of_process(&hybrid), Some(container(Some(UID))));
        let colons = format!("0::/system.slice/containerd.service/{SLICE}:cri-containerd:{ID}\n");
        assert_eq!(Container::of_process(&colons), Some(container(Some(UID))));
        assert_eq!(Container::of_process("0::/init.scope\n"), None);
        assert_eq!(Container::of_process(""), None);
    }
}
