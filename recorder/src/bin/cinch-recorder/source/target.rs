//! Containers and cgroups that were named: each is a pod of its own, recorded until it ends.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use daemon::error::chain;
use profile::kinds::{ProfileRecording, RecordingKind};
use recorder::{
    cgroup,
    cri::{Cri, Pod as Known, PodContainer, find as find_named},
};
use serde_json::json;
use tokio::{sync::watch, time::timeout};

use super::{ToTracker, Told, tell};
use crate::tracker::{Key, Pod, Recording};

/// How often is looked whether they have ended.
const LOOK: Duration = Duration::from_secs(1);

/// Where these recordings are.
const NAMESPACE: &str = "local";

/// By which a recording selects its pod.
const LABEL: &str = "target";

/// So much of an id, or of a cgroup's path, is in names.
const SHORT: usize = 12;
const LONG: usize = 48;

/// The hierarchy of cgroups where none is among the mounts.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The id of a container, or what it begins with, or its names.
    Container(String),
    /// A folder of the hierarchy, or a path as in `/proc/PID/cgroup`.
    Cgroup(PathBuf),
}

/// What is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Of the container; of a cgroup its path in the hierarchy.
    id: String,
    /// Tells its recordings apart from others.
    short: String,
    /// Its profiles are called `<stem>-<container>`.
    stem: String,
    container: String,
    /// The folder of its cgroup, once it is known.
    folder: Option<PathBuf>,
    began: bool,
    ended: bool,
}

impl Target {
    /// Finds what was named.
    pub(crate) fn of(name: &Name, pods: &[Known]) -> anyhow::Result<Self> {
        match name {
            Name::Container(id) => Self::of_container(id, pods, &root()),
            Name::Cgroup(path) => Self::of_cgroup(path, &root()),
        }
    }

    fn of_container(begin: &str, pods: &[Known], root: &Path) -> anyhow::Result<Self> {
        if let Some((pod, PodContainer { id, name, .. })) = find_named(pods, begin)? {
            return Ok(Self::new(id, id.chars().take(SHORT).collect(), &pod.name, name.clone()));
        }
        let whole = cgroup::Container::of_names(begin, "").map(|container| container.id);
        let id = whole.or_else(|| find(root, &|id| id.starts_with(begin)).map(|(id, _)| id));
        let id = id.with_context(|| {
            format!("there is no container that is called {begin}, or whose id begins so: of one that is still to come the whole id is needed")
        })?;
        let short: String = id.chars().take(SHORT).collect();
        Ok(Self::new(&id, short.clone(), "container", short))
    }

    fn of_cgroup(path: &Path, root: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let relative = path.strip_prefix(root).or_else(|_| path.strip_prefix("/")).unwrap_or(path);
        let text = relative.to_str().with_context(|| format!("{shown} is no UTF-8"))?;
        let text = text.trim_end_matches('/');
        if text.is_empty() || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            bail!("{shown} is no path of a cgroup below the first one");
        }
        let folder = root.join(text);
        if !folder.is_dir() {
            bail!("there is no cgroup {}", folder.display());
        }
        let id = format!("/{text}");
        let leaf = text.rsplit('/').next().unwrap_or_default();
        let mut target = Self::new(&id, safe(&id), "cgroup", safe(leaf));
        target.folder = Some(folder);
        Ok(target)
    }

    fn new(id: &str, short: String, stem: &str, container: String) -> Self {
        let (id, stem) = (id.to_owned(), stem.to_owned());
        Self { id, short, stem, container, folder: None, began: false, ended: false }
    }

    /// The path in the hierarchy, if a cgroup was named.
    pub(crate) fn cgroup(&self) -> Option<&str> {
        self.id.starts_with('/').then_some(&self.id)
    }

    /// Its recording of a kind.
    fn recording(&self, kind: RecordingKind) -> Result<Recording, String> {
        let word = kind.as_str().trim_end_matches("Profile").to_ascii_lowercase();
        let object = json!({
            "apiVersion": "security-profiles-operator.x-k8s.io/v1",
            "kind": "ProfileRecording",
            "metadata": { "name": self.stem, "namespace": NAMESPACE, "uid": self.id },
            // Its end is written at once.
            "spec": { "kind": kind, "mergeStrategy": "none", "podSelector": { "matchLabels": { LABEL: self.id } } },
        });
        let object: ProfileRecording =
            serde_json::from_value(object).map_err(|error| error.to_string())?;
        let mut recording = Recording::of(&object)?;
        recording.key.name = format!("{word}-{}", self.short);
        Ok(recording)
    }

    /// The pod that only it is in.
    fn pod(&self, recordings: &[Recording]) -> Pod {
        let mark = |recording: &Recording| {
            let prefix = recording.rule.mark().key_prefix;
            (format!("{prefix}{}", self.container), recording.rule.name.to_string())
        };
        Pod {
            uid: self.id.clone(),
            namespace: NAMESPACE.to_owned(),
            name: self.stem.clone(),
            labels: [(LABEL.to_owned(), self.id.clone())].into(),
            marks: recordings.iter().map(mark).collect(),
            containers: vec![self.container.clone()],
            ids: [(self.id.clone(), self.container.clone())].into(),
            done: self.ended,
            ..Pod::default()
        }
    }

    /// Looks whether it has ended. `known` is what a runtime tells of it.
    fn look(&mut self, root: &Path, known: Option<&PodContainer>) {
        if self.folder.is_none() {
            self.folder = find(root, &|id| id == self.id).map(|(_, folder)| folder);
        }
        let populated = self.folder.as_deref().map(is_populated);
        self.began |= populated == Some(true);
        let over = self.began && populated == Some(false);
        self.ended |= over || known.is_some_and(|container| container.ended);
    }
}

/// Tells the tracker of them until all have ended, or `stopping` says so.
pub(crate) async fn follow(
    mut targets: Vec<Target>,
    kinds: Vec<RecordingKind>,
    runtime: Cri,
    mut stopping: watch::Receiver<bool>,
    to: ToTracker,
) {
    let root = root();
    // What runs now may have ended by the next look.
    for target in &mut targets {
        target.look(&root, None);
    }
    let mut keys = BTreeSet::<Key>::new();
    let mut pods = Vec::new();
    for target in &targets {
        let recordings: Vec<_> =
            kinds.iter().filter_map(|kind| told(target.recording(*kind))).collect();
        pods.push(target.pod(&recordings));
        for recording in recordings {
            keys.insert(recording.key.clone());
            tell(&to, Told::Recording(Box::new(recording))).await;
        }
    }
    tell(&to, Told::Recordings(keys)).await;
    for pod in &pods {
        tell(&to, Told::Pod(Box::new(pod.clone()))).await;
    }
    tell(&to, Told::Pods(pods.iter().map(|pod| pod.uid.clone()).collect())).await;
    tell(&to, Told::Namespaces(None)).await;
    while targets.iter().any(|target| !target.ended) {
        let stop = timeout(LOOK, stopping.wait_for(|stopping| *stopping)).await.is_ok();
        let known = runtime.pods().await.unwrap_or_default();
        let known: Vec<_> = known.into_iter().flat_map(|pod| pod.containers).collect();
        for (target, pod) in targets.iter_mut().zip(&mut pods) {
            if target.ended {
                continue;
            }
            target.look(&root, known.iter().find(|container| container.id == target.id));
            target.ended |= stop;
            if target.ended {
                tracing::info!(target = target.id, "ended");
                pod.done = true;
                tell(&to, Told::Pod(Box::new(pod.clone()))).await;
            }
        }
    }
    tell(&to, Told::End).await;
    // Who waits for the end waits for what is written.
    std::future::pending::<()>().await;
}

fn told(recording: Result<Recording, String>) -> Option<Recording> {
    recording.inspect_err(|error| tracing::error!(error, "it cannot be recorded")).ok()
}

/// The pods that a runtime knows; where there is no runtime, what was named is called by its id.
pub(crate) async fn known(runtime: &Cri) -> Vec<Known> {
    runtime.pods().await.unwrap_or_else(|error| {
        tracing::info!(error = chain(&error), "no names from a container runtime");
        Vec::new()
    })
}

/// Where the hierarchy of cgroup v2 is.
fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = mounts.find(|fields| fields.get(2) == Some(&"cgroup2"));
    found.and_then(|fields| fields.get(1).map(PathBuf::from)).unwrap_or_else(|| CGROUPS.into())
}

/// The topmost cgroup whose container has such an id, with the id.
fn find(root: &Path, is: &dyn Fn(&str) -> bool) -> Option<(String, PathBuf)> {
    let mut folders = VecDeque::from([root.to_owned()]);
    while let Some(folder) = folders.pop_front() {
        let path = folder.strip_prefix(root).unwrap_or(&folder).to_string_lossy();
        if let Some(container) = cgroup::Container::of_path(&path)
            && is(&container.id)
        {
            return Some((container.id, folder));
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(below.map(|entry| entry.path()));
    }
    None
}

/// Whether there are processes in a cgroup, or below it; where the kernel does not say, whether it is there.
fn is_populated(folder: &Path) -> bool {
    match fs::read_to_string(folder.join("cgroup.events")) {
        Ok(events) => events.lines().any(|line| line == "populated 1"),
        Err(_) => folder.is_dir(),
    }
}

/// The end of a path, as it can be in the name of an object.
fn safe(path: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = path.chars().map(good).collect();
    let from = name.len().saturating_sub(LONG);
    name.get(from..).unwrap_or_default().trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961";

    fn known() -> Vec<Known> {
        let container = PodContainer { id: ID.to_owned(), name: "main".to_owned(), ended: false };
        let name = "web-x7k2p".to_owned();
        vec![Known { name, containers: vec![container], ..Known::default() }]
    }

    fn name(target: &Target) -> (&str, &str, &str) {
        (&target.id, &target.stem, &target.container)
    }

    #[test]
    fn a_container_has_its_names_from_the_runtime_or_else_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let named = Target::of_container("9bca", &known(), folder.path()).unwrap();
        assert_eq!(name(&named), (ID, "web-x7k2p", "main"));
        let unnamed = Target::of_container(ID, &[], folder.path()).unwrap();
        assert_eq!(name(&unnamed), (ID, "container", &ID[..12]));
        assert_eq!(Target::of_container("web-x7k2p/main", &known(), folder.path()).unwrap(), named);
        assert!(Target::of_container("9bca", &[], folder.path()).is_err());
        fs::create_dir_all(folder.path().join(format!("docker/{ID}/init"))).unwrap();
        let found = Target::of_container("9bca", &[], folder.path()).unwrap();
        assert_eq!(found, unnamed);
    }

    #[test]
    fn a_cgroup_is_named_by_its_folder_or_by_its_path_and_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("system.slice/Db_1.service")).unwrap();
        for path in [
            Path::new("/system.slice/Db_1.service/"),
            &folder.path().join("system.slice/Db_1.service"),
        ] {
            let target = Target::of_cgroup(path, folder.path()).unwrap();
            assert_eq!(name(&target), ("/system.slice/Db_1.service", "cgroup", "db-1-service"));
        }
        for path in ["/", "/system.slice/../system.slice", "/none"] {
            assert!(Target::of_cgroup(Path::new(path), folder.path()).is_err(), "{path}");
        }
    }

    #[test]
    fn each_kind_is_a_recording_that_takes_this_target_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::of_container("9bca", &known(), folder.path()).unwrap();
        let kinds = [RecordingKind::SeccompProfile, RecordingKind::SelinuxProfile];
        let recordings = kinds.map(|kind| target.recording(kind).unwrap());
        let pod = target.pod(&recordings);
        for recording in &recordings {
            assert!(recording.selects(&pod, "main"));
            assert_eq!(recording.marked(&pod, "main"), Some("web-x7k2p"));
            assert!(!recording.selects(&Pod { labels: [].into(), ..pod.clone() }, "main"));
        }
        assert_ne!(recordings[0].key, recordings[1].key);
    }

    #[test]
    fn it_has_ended_when_its_processes_or_its_cgroup_are_gone_or_the_runtime_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::of_container(ID, &[], folder.path()).unwrap();
        let path = folder.path().join(ID);
        let populated = |is: u8| fs::write(path.join("cgroup.events"), format!("populated {is}\n"));
        let mut gone = target.clone();
        gone.look(folder.path(), None);
        fs::create_dir(&path).unwrap();
        populated(0).unwrap();
        gone.look(folder.path(), None);
        assert!(!gone.ended, "it has not begun");
        populated(1).unwrap();
        gone.look(folder.path(), None);
        let mut empty = gone.clone();
        assert!(!gone.ended);
        populated(0).unwrap();
        empty.look(folder.path(), None);
        fs::remove_dir_all(&path).unwrap();
        gone.look(folder.path(), None);
        assert!(empty.ended && gone.ended);
        let mut said = target;
        let mut container = known()[0].containers[0].clone();
        said.look(folder.path(), Some(&container));
        assert!(!said.ended);
        container.ended = true;
        said.look(folder.path(), Some(&container));
        assert!(said.ended);
    }
}
