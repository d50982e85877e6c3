//! Which container is meant: by its id, the beginning of that, or the names that Kubernetes gave it. Pure.

use super::{Pod, PodContainer};

/// Why it is not known which is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    #[error("{wanted} is the name of several containers: {found}")]
    Several { wanted: String, found: String },
    #[error(
        "{0} is no name of a container: that is CONTAINER, POD/CONTAINER or NAMESPACE/POD/CONTAINER"
    )]
    Form(String),
}

/// Finds the container that is called so: `container`, `pod/container`, `namespace/pod/container`, or else an id that
/// begins so. Of several, the one that runs.
pub fn find<'p>(
    pods: &'p [Pod],
    wanted: &str,
) -> Result<Option<(&'p Pod, &'p PodContainer)>, FindError> {
    let parts: Vec<_> = wanted.split('/').collect();
    let (namespace, pod, name) = match parts[..] {
        [name] => (None, None, name),
        [pod, name] => (None, Some(pod), name),
        [namespace, pod, name] => (Some(namespace), Some(pod), name),
        _ => return Err(FindError::Form(wanted.to_owned())),
    };
    if parts.iter().any(|part| part.is_empty()) {
        return Err(FindError::Form(wanted.to_owned()));
    }
    let all = || pods.iter().flat_map(|pod| pod.containers.iter().map(move |of| (pod, of)));
    let named = all().filter(|(of, container)| {
        container.name == name
            && pod.is_none_or(|pod| of.name == pod)
            && namespace.is_none_or(|namespace| of.namespace == namespace)
    });
    let mut found: Vec<_> = named.collect();
    if found.is_empty() && pod.is_none() {
        found = all().filter(|(_, container)| container.id.starts_with(name)).collect();
    }
    let runs = |(_, container): &&(&Pod, &PodContainer)| !container.ended;
    if found.iter().filter(runs).count() > 0 {
        found.retain(|(_, container)| !container.ended);
    }
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let names = found.iter().map(|(pod, container)| {
                let id = container.id.get(..12).unwrap_or(&container.id);
                format!("{}/{}/{} ({id})", pod.namespace, pod.name, container.name)
            });
            let found = names.collect::<Vec<_>>().join(", ");
            Err(FindError::Several { wanted: wanted.to_owned(), found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str, containers: &[(&str, &str, bool)]) -> Pod {
        let containers = containers.iter().map(|(id, name, ended)| PodContainer {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            ended: *ended,
        });
        Pod {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            containers: containers.collect(),
            ..Pod::default()
        }
    }

    #[test]
    fn a_container_is_meant_by_its_names_or_by_the_beginning_of_its_id() {
        let pods = [
            pod(
                "shop",
                "web-0",
                &[("a1", "main", true), ("a2", "main", false), ("a3", "log", false)],
            ),
            pod("shop", "db-0", &[("b1", "main", false), ("c5", "a3", false)]),
            pod(
                "bank",
                "db-0",
                &[("b2", "main", true), ("b3", "side", true), ("b4", "side", true)],
            ),
        ];
        let id = |wanted| find(&pods, wanted).map(|found| found.map(|(_, of)| &*of.id));
        assert_eq!(id("log"), Ok(Some("a3")));
        assert_eq!(id("web-0/main"), Ok(Some("a2")), "the other one has ended");
        assert_eq!(id("db-0/main"), Ok(Some("b1")));
        assert_eq!(id("bank/db-0/main"), Ok(Some("b2")), "one that has ended is better than none");
        assert_eq!(id("a3"), Ok(Some("c5")), "a name goes before an id");
        assert_eq!(id("a2"), Ok(Some("a2")));
        assert_eq!((id("z"), id("shop/web-0/side"), id("0/main")), (Ok(None), Ok(None), Ok(None)));
        let several = id("main").unwrap_err().to_string();
        assert!(several.ends_with(": shop/web-0/main (a2), shop/db-0/main (b1)"), "{several}");
        assert!(id("bank/db-0/side").is_err());
        for wanted in ["", "/main", "web-0/", "a/b/c/d"] {
            assert_eq!(id(wanted), Err(FindError::Form(wanted.to_owned())));
        }
    }
}
