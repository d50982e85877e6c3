//! What a review costs without the network: parse, decide, patch, and all of it from bytes to bytes.

#![expect(clippy::unwrap_used, reason = "as in a test")]

use std::sync::Arc;

use divan::{AllocProfiler, Bencher, black_box};
use profile::{
    decide::{self, Decision, Question, Scope, Tasks},
    kinds::ProfileKind,
    snapshot::{Readiness, Snapshot, Switches},
};
use serde_json::json;
use webhook::{
    answer::{Path, answer},
    patch::patch,
    review::Request,
    seal::HmacSeal,
    source::item,
    world::{Item, Kind, World},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const BODIES: [&str; 2] = ["5k", "12k"];
const BINDINGS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

fn main() {
    divan::main();
}

fn body(name: &str) -> &'static [u8] {
    match name {
        "5k" => include_bytes!("../tests/fixtures/review-5k.json"),
        _ => include_bytes!("../tests/fixtures/review-12k.json"),
    }
}

fn parsed(body: &[u8]) -> Request<'_> {
    Request::parse(body).unwrap()
}

/// One binding that matches, and others that do not.
fn snapshot(bindings: usize) -> Arc<Snapshot> {
    let mut world = World::new(Switches::ON);
    let mut bind = |name: &str, image: &str| {
        let object = json!({
            "apiVersion": "security-profiles-operator.x-k8s.io/v1",
            "kind": "ProfileBinding",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "image": image, "profileRef": { "kind": "SeccompProfile", "name": "web" } },
        });
        let item = item::binding(&serde_json::from_value(object).unwrap());
        world.apply(Kind::Binding, ("shop".into(), name.into()), item);
    };
    bind("matching", "registry.example.com/shop/web:1.27.3");
    for n in 1..bindings {
        let image = match n % 10 {
            0 => format!("registry.example.com/team-{n}/*"),
            _ => format!("registry.example.com/team/app-{n}:1.{n}"),
        };
        bind(&format!("binding-{n}"), &image);
    }
    let profile = Kind::Profile(ProfileKind::SeccompProfile);
    world.apply(profile, ("".into(), "web".into()), Item::Profile(Readiness::Ready));
    world.snapshot()
}

fn decision<'a>(request: &'a Request<'a>, snapshot: &'a Snapshot) -> Decision<'a> {
    let question = Question {
        pod: request.object.as_ref().unwrap(),
        namespace_name: "shop",
        namespace: &snapshot.namespaces["shop"],
        profiles: &snapshot.profiles,
        tasks: Tasks { bind: true, record: true, recording_on: true },
        scope: Scope::Create,
    };
    decide::decide(&question, &HmacSeal::alone())
}

#[divan::bench(args = BODIES)]
fn parse(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    bencher.bench(|| parsed(black_box(body)));
}

/// The peer: all of the same bytes as a tree.
#[divan::bench(args = BODIES)]
fn parse_as_tree(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    bencher.bench(|| serde_json::from_slice::<serde_json::Value>(black_box(body)).unwrap());
}

#[divan::bench(args = BINDINGS)]
fn decide_12k(bencher: Bencher<'_, '_>, bindings: usize) {
    let (snapshot, request) = (snapshot(bindings), parsed(body("12k")));
    bencher.bench(|| decision(black_box(&request), &snapshot));
}

#[divan::bench]
fn patch_12k(bencher: Bencher<'_, '_>) {
    let (snapshot, request) = (snapshot(1), parsed(body("12k")));
    let (pod, decision) = (request.object.as_ref().unwrap(), decision(&request, &snapshot));
    bencher.bench(|| patch(black_box(pod), &decision.changes).unwrap());
}

#[divan::bench(args = BINDINGS, consts = [5, 12])]
fn whole<const KB: usize>(bencher: Bencher<'_, '_>, bindings: usize) {
    let (snapshot, seal) = (snapshot(bindings), HmacSeal::alone());
    let body = body(if KB == 5 { "5k" } else { "12k" });
    bencher.bench(|| answer(black_box(body), Path::Both, &snapshot, &seal).unwrap());
}
