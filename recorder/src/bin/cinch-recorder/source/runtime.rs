//! Takes the pods of this node from its container runtime, where no API server tells of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use daemon::{contact::Health, error::chain};
use profile::recordings::Mark;
use recorder::cri::{self, Cri};
use tokio::{sync::watch, time::sleep};

use super::{ToTracker, Told, tell};
use crate::tracker::Pod;

/// How often the runtime is asked while somebody records.
const ASK: Duration = Duration::from_secs(1);

/// Labels by which controllers tell the pods that they make: such a pod's name has an end of its own.
const GENERATED: [&str; 4] =
    ["pod-template-hash", "controller-revision-hash", "batch.kubernetes.io/job-name", "job-name"];

/// Since when the runtime has not answered.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Option<Instant>>);

impl Health for Answers {
    fn ages(&self) -> Vec<(&'static str, u64)> {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        vec![("Pod", since.map_or(0, |since| since.elapsed().as_secs().max(1)))]
    }
}

impl Answers {
    /// Whether it is the first that was missing.
    fn missing(&self, missing: bool) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = missing && since.is_none();
        *since = missing.then(|| since.unwrap_or_else(Instant::now));
        first
    }
}

/// Tells the tracker for ever which pods there are, while recordings are.
pub(crate) async fn follow(
    runtime: Cri,
    answers: Arc<Answers>,
    mut recording: watch::Receiver<bool>,
    to: ToTracker,
) {
    tell(&to, Told::Namespaces(None)).await;
    if !*recording.borrow() {
        tell(&to, Told::Pods(BTreeSet::new())).await;
    }
    loop {
        // The sender ends only when the process does.
        if recording.wait_for(|recording| *recording).await.is_err() {
            return;
        }
        match runtime.pods().await {
            Ok(pods) => {
                answers.missing(false);
                let uids = pods.iter().map(|pod| pod.uid.clone()).collect();
                for known in pods {
                    tell(&to, Told::Pod(Box::new(pod(known)))).await;
                }
                tell(&to, Told::Pods(uids)).await;
            }
            Err(error) => {
                if answers.missing(true) {
                    let error = chain(&error);
                    tracing::error!(error, "no pods from the container runtime; asking again");
                }
            }
        }
        sleep(ASK).await;
    }
}

/// A pod, as the tracker knows it.
fn pod(pod: cri::Pod) -> Pod {
    let cri::Pod { uid, namespace, name, labels, annotations, ready, containers } = pod;
    let generated = GENERATED.iter().any(|label| labels.contains_key(*label));
    let stem = name.rfind('-').filter(|_| generated).and_then(|end| name.get(..=end));
    let mut names: Vec<String> = Vec::new();
    for container in &containers {
        if !names.contains(&container.name) {
            names.push(container.name.clone());
        }
    }
    Pod {
        done: !ready && containers.iter().all(|container| container.ended),
        generate_name: stem.map(str::to_owned),
        marks: annotations.into_iter().filter(|(key, _)| Mark::owns(key)).collect(),
        ids: containers.into_iter().map(|of| (of.id, of.name)).collect::<BTreeMap<_, _>>(),
        containers: names,
        static_uid: None,
        ephemeral: Vec::new(),
        owner: None,
        uid,
        namespace,
        name,
        labels,
    }
}

#[cfg(test)]
mod tests {
    use recorder::cri::PodContainer;

    use super::*;

    fn container(id: &str, name: &str, ended: bool) -> PodContainer {
        PodContainer { id: id.to_owned(), name: name.to_owned(), ended }
    }

    fn known(name: &str, label: &str) -> cri::Pod {
        let mark = ("io.containers.trace-bpf/main".to_owned(), "r_main_1_2".to_owned());
        let other = ("kubernetes.io/config.source".to_owned(), "api".to_owned());
        cri::Pod {
            uid: "u".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            labels: [(label.to_owned(), "x".to_owned())].into(),
            annotations: [mark, other].into(),
            ready: true,
            containers: vec![container("2", "main", false), container("1", "main", true)],
        }
    }

    #[test]
    fn every_id_leads_to_a_name_and_marks_are_kept() {
        let pod = pod(known("web", "app"));
        let ids: Vec<_> = pod.ids.iter().map(|(id, name)| (&**id, &**name)).collect();
        assert_eq!(ids, [("1", "main"), ("2", "main")]);
        assert_eq!((pod.containers, pod.marks.len()), (vec!["main".to_owned()], 1));
    }

    #[test]
    fn the_end_of_a_name_is_known_of_pods_that_a_controller_made() {
        assert_eq!(pod(known("web-7d4b9-x7k2p", "pod-template-hash")).suffix(), Some("x7k2p"));
        assert_eq!(pod(known("web-front", "app")).suffix(), None);
    }

    #[test]
    fn a_pod_is_done_when_nothing_of_it_runs() {
        let mut known = known("web", "app");
        assert!(!pod(known.clone()).done);
        known.ready = false;
        assert!(!pod(known.clone()).done, "one container still runs");
        known.containers.retain(|container| container.ended);
        assert!(pod(known).done);
    }
}
