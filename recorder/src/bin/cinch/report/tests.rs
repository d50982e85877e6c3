//! Objects as a cluster has them, and what a report says of them.

use std::path::Path;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    confinement::Remark,
    content::{Report, Share, State, States, Workload},
    folder,
    gather::{Gather, made},
    page, text,
};

/// Half an hour after the last of what is in the fixture.
pub(super) fn now() -> Timestamp {
    "2026-11-30T02:00:00Z".parse().unwrap()
}

fn fixture() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/report"))
}

fn of(path: &Path, namespaces: &[&str]) -> Report {
    let namespaces: Vec<_> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let mut gather = Gather::default();
    folder::read(path, &namespaces, &mut gather).unwrap();
    gather.report(made(now(), "https://cluster.example".to_owned(), None, &namespaces))
}

pub(super) fn small() -> Report {
    of(fixture(), &[])
}

fn workload<'r>(report: &'r Report, name: &str) -> &'r Workload {
    report.workloads.iter().find(|workload| workload.name == name).unwrap()
}

/// The ways of all containers of a workload in words, with what is said besides.
fn ways(workload: &Workload, mechanism: &str) -> Vec<String> {
    let all = serde_json::to_value(&workload.containers).unwrap();
    let all = all.as_array().unwrap();
    let used = all.iter().flat_map(|container| {
        let name = container["name"].as_str().unwrap();
        container[mechanism].as_array().unwrap().iter().map(move |used| {
            let mut used = used.clone();
            let pods = used["pods"].take();
            let fields = used.as_object_mut().unwrap();
            fields.remove("pods");
            let words: Vec<_> = fields.values().map(|it| it.as_str().unwrap()).collect();
            format!("{pods} {name}: {}", words.join(" "))
        })
    });
    used.collect()
}

#[test]
fn each_workload_has_its_state() {
    let report = small();
    let states: Vec<_> = report
        .workloads
        .iter()
        .map(|it| format!("{}/{} {} {}", it.namespace, it.name, it.kind, it.state.as_str()))
        .collect();
    assert_eq!(
        states,
        [
            "kube-system/kube-apiserver-cp-1 Pod Disabled",
            "kube-system/net DaemonSet Disabled",
            "observability/agent DaemonSet Disabled",
            "observability/metrics StatefulSet Applying",
            "payments/gateway Deployment Disabled",
            "payments/ledger StatefulSet Applying",
            "sandbox/lost-profile Pod Disabled",
            "sandbox/try Pod Disabled",
            "shop/checkout Deployment Recording",
            "shop/mailer CronJob Disabled",
            "shop/cache StatefulSet Applying",
            "shop/storefront Deployment Applying",
        ]
    );
    assert_eq!(report.totals.workloads, States { applying: 4, recording: 1, disabled: 7 });
    assert_eq!((report.totals.pods, report.totals.containers), (20, 28));
    assert_eq!(workload(&report, "gateway").gated, 1);
    assert_eq!(
        report.notes,
        [
            "not counted: 1 pod whose containers have ended",
            "not counted: 1 pod for Windows, which has no such profiles"
        ]
    );
}

#[test]
fn each_container_tells_what_it_runs_under_and_whose_doing_that_is() {
    let report = small();
    assert_eq!(
        ways(workload(&report, "storefront"), "seccomp"),
        ["2 nginx: web profile web-server", "1 nginx: unset web-server", "3 reloader: unset"]
    );
    assert_eq!(
        ways(workload(&report, "checkout"), "seccomp"),
        ["2 main: runtimeDefault checkout", "2 proxy: runtimeDefault checkout"]
    );
    assert_eq!(ways(workload(&report, "metrics"), "selinux")[0], "1 scraper: profile metrics-raw");
    assert_eq!(
        ways(workload(&report, "metrics"), "seccomp")[1],
        "1 old: localhost profiles/audit.json"
    );
    assert_eq!(ways(workload(&report, "net"), "selinux"), ["3 net: unconfined"]);
    let of = |name| &workload(&report, name).containers[0].seccomp[0].confinement;
    // Whatever the pod says, the kubelet gives a privileged container none.
    assert_eq!(of("agent").remark, Some(Remark::Privileged));
    assert_eq!(of("lost-profile").remark, Some(Remark::NoObject));
    let storefront = workload(&report, "storefront");
    assert_eq!((storefront.confined, storefront.running, storefront.denied), (2, 6, 43));
}

#[test]
fn shares_are_of_all_containers_that_run() {
    let report = small();
    let shop = report.namespaces.iter().find(|it| it.name == "shop").unwrap();
    assert_eq!((shop.binding, shop.recording, shop.pods, shop.containers), (true, true, 7, 12));
    let seccomp = Share { profile: 3, recording: 4, unset: 5, ..Share::default() };
    assert_eq!(shop.shares.seccomp, seccomp);
    for namespace in &report.namespaces {
        for share in [namespace.shares.seccomp, namespace.shares.apparmor, namespace.shares.selinux]
        {
            assert_eq!(share.all(), namespace.containers, "{}", namespace.name);
        }
    }
    // Has no pods and has not opted in.
    assert!(report.namespaces.iter().all(|it| it.name != "default"));
}

#[test]
fn denials_are_counted_by_workload_and_only_those_that_recorders_tell_of() {
    let report = small();
    let said: Vec<_> = report
        .violations
        .iter()
        .map(|it| {
            let container = it.container.as_deref().unwrap_or("-");
            format!("{}/{} {container}: {} x{} p{}", it.kind, it.name, it.what, it.count, it.pods)
        })
        .collect();
    assert_eq!(
        said,
        [
            "Deployment/storefront nginx: AppArmor denied open of /etc/shadow x1 p1",
            "Deployment/storefront nginx: seccomp denied the system call ptrace x42 p2",
            "Pod/ledger-9 -: more was denied than has an Event each: see the audit records of the node x7 p1",
        ]
    );
    let ptrace = &report.violations[1];
    let times = [ptrace.first, ptrace.last].map(|time| time.unwrap().to_string());
    assert_eq!(times, ["2026-11-30T00:10:00Z", "2026-11-30T01:20:00Z"]);
    assert_eq!(report.totals.denied, 50);
}

#[test]
fn one_namespace_can_be_looked_at_alone() {
    let report = of(fixture(), &["payments"]);
    let names: Vec<_> = report.workloads.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["gateway", "ledger"]);
    assert_eq!(report.namespaces.len(), 1);
    assert!(report.recordings.is_empty());
    // Profiles are of the whole cluster.
    assert_eq!(workload(&report, "ledger").state, State::Applying);
}

#[test]
fn a_recording_records_what_its_status_names_and_no_longer_than_it_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let write = |status: &Value, label: &str| {
        let objects = json!({ "kind": "List", "apiVersion": "v1", "items": [
            { "apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": "n", "labels": { "spo.x-k8s.io/enable-recording": label } } },
            { "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "ProfileRecording",
              "metadata": { "name": "r", "namespace": "n" },
              "spec": { "kind": "SeccompProfile", "recorder": "Bpf", "paused": true,
                        "podSelector": { "matchLabels": { "a": "b" } } },
              "status": status },
            { "apiVersion": "v1", "kind": "Pod",
              "metadata": { "name": "p", "namespace": "n", "labels": { "a": "b" } },
              "spec": { "containers": [{ "name": "c", "image": "i" }] } },
        ]});
        std::fs::write(folder.path().join("all.json"), objects.to_string()).unwrap();
        of(folder.path(), &[]).workloads[0].state
    };
    let active = json!({ "phase": "Recording", "activeWorkloads": ["n/p"] });
    assert_eq!(write(&active, "true"), State::Recording);
    assert_eq!(write(&active, "false"), State::Disabled);
    assert_eq!(write(&json!({ "phase": "Waiting" }), "true"), State::Disabled);
    let over = json!({ "phase": "Complete", "activeWorkloads": ["n/p"] });
    assert_eq!(write(&over, "true"), State::Disabled);
}

#[test]
fn a_file_that_cannot_be_read_is_noted_and_the_rest_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), "kind: [").unwrap();
    std::fs::write(
        folder.path().join("b.yaml"),
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: 7}]}}",
    )
    .unwrap();
    std::fs::write(
        folder.path().join("c.yaml"),
        "{apiVersion: v1, kind: Pod, metadata: {name: q}, spec: {containers: [{name: c, image: i}]}}",
    )
    .unwrap();
    let report = of(folder.path(), &[]);
    assert_eq!(report.workloads.len(), 1);
    assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    assert!(report.notes[1].contains("b.yaml, document 1: spec.containers[0].image"));
}

#[test]
fn the_table_is_short_and_says_what_is_not_counted() {
    let text = text::text(&small());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "https://cluster.example, 2026-11-30 02:00 UTC");
    assert_eq!(
        lines[1],
        "12 workloads in 5 namespaces, with 20 pods and 28 containers: 4 Applying, 1 Recording, 7 Disabled; denied 50 times"
    );
    let row = lines.iter().find(|line| line.contains("Deployment/checkout")).unwrap();
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "Recording",
            "shop",
            "Deployment/checkout",
            "2",
            "0/4",
            "RuntimeDefault",
            "(recorded",
            "by",
            "checkout)",
            "-",
            "-"
        ]
    );
    assert!(text.ends_with("note: not counted: 1 pod for Windows, which has no such profiles\n"));
}

#[test]
fn ten_thousand_pods_are_a_page_that_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut items = Vec::new();
    for number in 0..10_000 {
        let namespace = format!("team-{}", number % 40);
        items.push(json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": format!("app-{number}"), "namespace": namespace },
        "spec": { "containers": [
            { "name": "main", "image": format!("registry.example/app-{number}:1") },
            { "name": "side", "image": "registry.example/side:1" },
        ]}}));
    }
    for (number, items) in items.chunks(500).enumerate() {
        let list = json!({ "kind": "List", "apiVersion": "v1", "items": items });
        let file = folder.path().join(format!("pods-{number}.json"));
        std::fs::write(file, list.to_string()).unwrap();
    }
    let report = of(folder.path(), &[]);
    assert_eq!(report.notes, [""; 0]);
    assert_eq!((report.totals.pods, report.totals.containers), (10_000, 20_000));
    assert_eq!(report.workloads.len(), 10_000);
    let page = page::page(&report);
    let rows = page.matches("data-state=\"Disabled\">").count();
    assert_eq!(rows, 1000);
    assert!(page.contains("225 more workloads"), "each of 40 namespaces has 25 of its 250");
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    assert!(!page.contains(" open=\"open\""));
}
