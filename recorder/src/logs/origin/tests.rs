//! Whose a record is, with a folder in place of /proc.

use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use super::*;
use crate::audit::Stamp;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A folder that looks like `/proc`.
struct Proc {
    folder: TempDir,
    booted: u64,
}

impl Proc {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sys/kernel")).unwrap();
        fs::write(folder.path().join("sys/kernel/pid_max"), "32768\n").unwrap();
        let proc = Self { folder, booted: process::booted() };
        proc.started(1000);
        proc
    }

    fn started(&self, count: u64) {
        let text = format!("cpu 1 2 3\nprocesses {count}\nprocs_running 1\n");
        fs::write(self.folder.path().join("stat"), text).unwrap();
    }

    /// A process that began so many seconds after the machine.
    fn begins(&self, process: u32, second: u64, cgroup: &str) {
        let folder = self.folder.path().join(process.to_string());
        fs::create_dir_all(folder.join("ns")).unwrap();
        fs::write(folder.join("cgroup"), format!("0::{cgroup}\n")).unwrap();
        let stat = format!(
            "{process} (x) S 1 2 3 4 5 0 7 8 9 10 11 12 13 14 15 16 17 18 {} 20\n",
            second * 100
        );
        fs::write(folder.join("stat"), stat).unwrap();
        drop(symlink("mnt:[77]", folder.join("ns/mnt")));
    }

    fn ends(&self, process: u32) {
        fs::remove_dir_all(self.folder.path().join(process.to_string())).unwrap();
    }

    fn origins(&self) -> Origins {
        Origins::new(self.folder.path(), None)
    }

    /// A record of a process, so many seconds after the machine began.
    fn subject(&self, process: u32, second: u64) -> Subject<'static> {
        let stamp = Stamp { millis: self.booted + second * 1000, serial: 1 };
        Subject { stamp, pid: Some(process), ..Subject::default() }
    }
}

fn id(origin: &Origin) -> Option<&str> {
    origin.container().map(|container| &*container.id)
}

#[test]
fn a_process_is_where_its_cgroup_is() {
    let proc = Proc::new();
    proc.begins(7, 10, &format!("/kubepods/burstable/podx/{ID}"));
    proc.begins(8, 10, "/system.slice/sshd.service");
    let mut origins = proc.origins();
    let now = Instant::now();
    let origin = origins.of_subject(&proc.subject(7, 20), now);
    assert_eq!(id(&origin), Some(ID));
    let host = origins.of_subject(&proc.subject(8, 20), now);
    let cgroup = "/system.slice/sshd.service".to_owned();
    let place = Place { container: None, namespace: Some(77), cgroup };
    assert_eq!(host, Origin::Known(Arc::new(place)));
    assert_eq!(origins.of_subject(&proc.subject(9, 20), now), Origin::Unknown(Unknown::Gone));
    let unnamed = Subject { pid: None, ..proc.subject(7, 20) };
    assert_eq!(origins.of_subject(&unnamed, now), Origin::Unknown(Unknown::Unnamed));
}

#[test]
fn a_process_that_has_ended_since_is_still_known() {
    let proc = Proc::new();
    proc.begins(7, 10, &format!("/{ID}"));
    let mut origins = proc.origins();
    let now = Instant::now();
    origins.of_subject(&proc.subject(7, 20), now);
    proc.ends(7);
    let later = now + FRESH * 2;
    assert_eq!(id(&origins.of_subject(&proc.subject(7, 21), later)), Some(ID));
}

#[test]
fn a_number_that_may_have_come_again_is_not_believed() {
    let proc = Proc::new();
    proc.begins(7, 10, &format!("/{ID}"));
    let mut origins = proc.origins();
    let now = Instant::now();
    origins.of_subject(&proc.subject(7, 20), now);
    proc.ends(7);
    proc.started(1000 + 16_384);
    let later = now + COUNT;
    assert_eq!(origins.of_subject(&proc.subject(7, 21), later), Origin::Unknown(Unknown::Gone));
}

#[test]
fn a_process_that_began_after_the_record_has_not_caused_it() {
    let proc = Proc::new();
    proc.begins(7, 100, &format!("/{ID}"));
    let mut origins = proc.origins();
    let now = Instant::now();
    for _ in 0..2 {
        let origin = origins.of_subject(&proc.subject(7, 50), now);
        assert_eq!(origin, Origin::Unknown(Unknown::Reused));
    }
    assert_eq!(id(&origins.of_subject(&proc.subject(7, 102), now)), Some(ID));
}

#[test]
fn a_process_on_its_way_into_a_container_is_looked_at_again() {
    let proc = Proc::new();
    proc.begins(7, 10, "/system.slice/containerd.service");
    let mut origins = proc.origins();
    let now = Instant::now();
    assert_eq!(id(&origins.of_subject(&proc.subject(7, 20), now)), None);
    proc.begins(7, 10, &format!("/{ID}"));
    assert_eq!(id(&origins.of_subject(&proc.subject(7, 20), now + FRESH_ON_HOST)), Some(ID));
    // One that was on the host when it was last looked at may have been anywhere at its end.
    proc.begins(8, 10, "/system.slice/containerd.service");
    origins.of_subject(&proc.subject(8, 20), now);
    proc.ends(8);
    let gone = origins.of_subject(&proc.subject(8, 20), now + FRESH_ON_HOST);
    assert_eq!(gone, Origin::Unknown(Unknown::Gone));
}

/// What the kernel would know.
#[derive(Debug)]
struct Known(u32, Ended);

impl Processes for Known {
    fn ended(&self, process: u32) -> Option<Ended> {
        (process == self.0).then(|| self.1.clone())
    }
}

#[test]
fn a_process_that_nobody_has_looked_at_is_where_the_kernel_says() {
    let proc = Proc::new();
    let ended = Ended {
        start: Duration::from_secs(10),
        end: Duration::from_secs(20),
        namespace: Some(78),
        leaf: ID.to_owned(),
        parent: "pod9bca8d63-d5fa-6107-8384-7915bcff0eca".to_owned(),
    };
    let now = Instant::now();
    // Of one before it and of one after it, which had its number, nothing is known.
    let cases = [(7, 5, None), (7, 15, Some(ID)), (7, 25, None), (8, 15, None)];
    for (process, second, right) in cases {
        let known = Arc::new(Known(7, ended.clone()));
        let mut origins = Origins::new(proc.folder.path(), Some(known));
        let origin = origins.of_subject(&proc.subject(process, second), now);
        assert_eq!(id(&origin), right, "{process} {second}");
        if let Origin::Known(place) = origin {
            assert_eq!(place.namespace, Some(78));
            assert_eq!(place.cgroup, format!("/{}/{ID}", ended.parent));
        }
    }
}

#[test]
fn a_young_process_of_the_host_is_looked_at_for_each_later_record() {
    let proc = Proc::new();
    let now = Instant::now();
    let mut origins = proc.origins();
    let since = process::now() - proc.booted;
    let begin = |cgroup: &str| proc.begins(7, since / 1000, cgroup);
    begin("/system.slice/containerd.service");
    assert_eq!(id(&origins.of_subject(&proc.subject(7, since / 1000), now)), None);
    begin(&format!("/{ID}"));
    let later = proc.subject(7, since / 1000 + 1);
    assert_eq!(id(&origins.of_subject(&later, now)), Some(ID), "in the same moment");
}

#[test]
fn what_a_program_says_of_a_process_is_not_believed() {
    let proc = Proc::new();
    proc.begins(7, 10, &format!("/{ID}"));
    let line = "type=USER_AVC msg=audit(1795188532.953:10): pid=1 uid=0 msg='avc:  denied  { start } for pid=7 \
                scontext=u:r:c_t:s0 tcontext=u:object_r:d_t:s0 tclass=service'";
    let record = crate::audit::parse(line).unwrap();
    assert_eq!(proc.origins().of(&record), Origin::Unknown(Unknown::Program));
}

#[test]
fn what_is_kept_is_bounded() {
    let proc = Proc::new();
    let mut origins = proc.origins();
    let now = Instant::now();
    for process in 0..3 * u32::try_from(MOST).unwrap() {
        let place = Place { namespace: Some(process.into()), ..Place::default() };
        origins.keep(process, 0, place, now + Duration::from_nanos(process.into()));
    }
    assert!(origins.known.len() <= MOST && origins.places.len() <= MOST);
    let newest = 3 * u32::try_from(MOST).unwrap() - 1;
    assert!(origins.known.contains_key(&newest));
}

#[test]
fn a_process_that_was_swept_or_witnessed_is_known_when_it_has_ended() {
    let proc = Proc::new();
    proc.begins(7, 10, &format!("/{ID}"));
    let mut origins = proc.origins();
    let now = Instant::now();
    origins.sweep(now);
    proc.begins(8, 10, &format!("/{ID}"));
    origins.witness().look(8);
    proc.begins(9, 10, &format!("/{ID}"));
    for process in 7..10 {
        proc.ends(process);
    }
    let mut of = |process| origins.of_subject(&proc.subject(process, 20), now + FRESH * 2);
    assert_eq!((id(&of(7)), id(&of(8))), (Some(ID), Some(ID)));
    assert_eq!(of(9), Origin::Unknown(Unknown::Gone));
}
