//! Which lines come of which records, and what becomes of those that wait for names.

use std::{path::Path, time::Duration};

use clap::Parser as _;
use k8s_openapi::jiff::Timestamp;
use profile::kinds::seccomp::Arch;
use recorder::{
    audit::parse,
    logs::{Origin, Place},
};
use serde_json::Value;

use super::*;
use crate::{
    args::{Cli, Command},
    tracker::Pod,
};

const PACE: Duration = Duration::from_secs(10);

fn flags(more: &[&str]) -> EnrichFlags {
    let all = ["cinch-recorder", "run", "--node-name=worker"].iter().chain(more);
    match Cli::parse_from(all).command {
        Command::Run(flags) => flags.meant().enrich,
        Command::Logs(_) => panic!("it is `run`"),
    }
}

fn enrich(more: &[&str], metrics: &Metrics) -> Option<Enrich> {
    let flags = flags(more);
    let counts = options(&flags).counts;
    Enrich::new(flags, "worker", metrics, &counts, Ledger::new(PACE)).unwrap()
}

fn at(second: u64) -> Moment {
    Moment { uptime: Duration::from_secs(second), wall: Timestamp::from_second(100).unwrap() }
}

/// A node with one pod, whose container `web` has the id `1`.
fn tracker() -> Tracker {
    let mut tracker = Tracker::new(Arch::X86_64, PACE);
    tracker.pod(Pod {
        uid: "u".into(),
        namespace: "shop".into(),
        name: "cart-0".into(),
        ids: [("1".to_owned(), "web".to_owned())].into(),
        ..Pod::default()
    });
    tracker
}

fn hear(enrich: &Enrich, id: &str, line: &str) {
    let container = Some(cgroup::Container { pod: Some("u".into()), id: id.into() });
    let place = Arc::new(Place { container, ..Place::default() });
    let record = parse(line).unwrap();
    enrich.hearing.hear(&Event::Record(&record, Origin::Known(place), true));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const DENIED: &str = "1326 audit(99.1:1): pid=1 arch=c000003e syscall=165 code=0x50001";
const LOGGED: &str = "1326 audit(99.1:1): pid=1 arch=c000003e syscall=165 code=0x7ffc0000";
const ACCESS: &str = r#"1400 audit(99.1:2): apparmor="DENIED" operation="open" profile="p" name="/etc/shadow" requested_mask="r""#;
const AVC: &str = "1400 audit(99.1:3): avc:  denied  { read } for  pid=1 scontext=u:r:a_t:s0 tcontext=u:r:shadow_t:s0 tclass=file permissive=0";

#[test]
fn nothing_is_done_that_nobody_has_asked_for() {
    assert!(enrich(&[], &Metrics::default()).is_none());
}

#[test]
fn what_each_mechanism_denies_is_told_once_each() {
    let metrics = Metrics::default();
    let mut enrich = enrich(&["--violations"], &metrics).unwrap();
    enrich.turn(&tracker(), &metrics, at(10));
    for _ in 0..100 {
        for line in [DENIED, LOGGED, ACCESS, AVC] {
            hear(&enrich, "1", line);
        }
    }
    let due = enrich.turn(&tracker(), &metrics, at(11)).due;
    let told: Vec<_> =
        due.iter().map(|it| (it.rule.mechanism, &*it.rule.what, it.count())).collect();
    assert_eq!(
        told,
        [
            ("apparmor", "open r /etc/shadow", 100),
            ("seccomp", "mount", 100),
            ("selinux", "read file shadow_t", 100),
        ]
    );
    assert!(
        due.iter().all(|it| (&*it.whose.object.name, &*it.whose.container) == ("cart-0", "web"))
    );
    hear(&enrich, "1", "1326 audit(99.1:1): pid=1 arch=c000003e syscall=166 code=0x50001");
    let during = enrich.turn(&tracker(), &metrics, at(12)).due;
    assert_eq!(during, [], "the others are still being written");
    enrich.told(due.into_iter().map(|it| (it, Ok(0))).collect(), at(13));
    assert_eq!(enrich.turn(&tracker(), &metrics, at(13)).due.len(), 1);
    let text = metrics.encode(&[]);
    for line in [
        r#"cinch_recorder_violations_total{of="seccomp"} 101"#,
        r#"security_profiles_operator_seccomp_profile_audit_total{node="worker",namespace="shop",container="web",syscall="mount"} 200"#,
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[test]
fn lines_have_names_and_those_that_wait_are_written_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("entries.json");
    let metrics = Metrics::default();
    let to = format!("--audit-log-path={}", path.display());
    let mut enrich = enrich(&["--enrich", &to], &metrics).unwrap();
    enrich.turn(&tracker(), &metrics, at(10));
    hear(&enrich, "1", DENIED);
    hear(&enrich, "2", DENIED);
    let turn = enrich.turn(&tracker(), &metrics, at(11));
    assert!(turn.ask, "of the second container nobody has told");
    assert_eq!(turn.due, [], "only lines were asked for");
    enrich.named(&[recorder::cri::Named {
        id: "2".into(),
        pod_uid: "u".into(),
        container: Some("side".into()),
    }]);
    enrich.hearing.finish();
    let mut names: Vec<_> = lines(&path)
        .iter()
        .map(|it| {
            [&it["node"], &it["namespace"], &it["pod"], &it["container"]].map(Value::to_string)
        })
        .map(|names| names.concat())
        .collect();
    names.sort_unstable();
    assert_eq!(names, [r#""worker""shop""cart-0""side""#, r#""worker""shop""cart-0""web""#]);
}
