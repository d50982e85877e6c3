//! What it costs to find the binding that wins, however many there are and of whatever sort, and to compile them.

#![expect(clippy::unwrap_used, reason = "as in a test")]

use std::{collections::BTreeMap, sync::Arc};

use divan::{AllocProfiler, Bencher, black_box};
use profile::{
    bindings::{Binding, Bindings, Target},
    image::Reference,
    mechanism::Mechanism,
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const COUNTS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const IMAGE: &str = "registry.example.com/shop/web:1.27.3";

fn main() {
    divan::main();
}

fn binding(name: &str, image: &str, app: Option<&str>) -> Arc<Binding> {
    let object = json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1",
        "kind": "ProfileBinding",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": {
            "image": image,
            "profileRef": { "kind": "SeccompProfile", "name": "web" },
            "podSelector": app.map(|app| json!({ "matchLabels": { "app": app } })),
        },
    });
    Arc::new(Binding::new(&serde_json::from_value(object).unwrap()).unwrap())
}

fn exact(count: usize) -> Vec<Arc<Binding>> {
    let others = (1..count).map(|n| {
        let image = format!("registry.example.com/team/app-{n}:1.{n}");
        binding(&format!("binding-{n}"), &image, None)
    });
    others.chain([binding("matching", IMAGE, None)]).collect()
}

fn globs(count: usize) -> Vec<Arc<Binding>> {
    let others = (1..count).map(|n| {
        let image = match n % 2 {
            0 => format!("registry.example.com/team-{n}/*"),
            _ => format!("*/app-{n}:1.*"),
        };
        binding(&format!("binding-{n}"), &image, None)
    });
    others.chain([binding("matching", "registry.example.com/shop/*", None)]).collect()
}

fn wildcards(count: usize) -> Vec<Arc<Binding>> {
    let others =
        (1..count).map(|n| binding(&format!("binding-{n}"), "*", Some(&format!("other-{n}"))));
    others.chain([binding("matching", "*", None)]).collect()
}

fn winner(bencher: Bencher<'_, '_>, bindings: Vec<Arc<Binding>>) {
    let bindings = Bindings::new(bindings);
    let image = Reference::parse(IMAGE).unwrap();
    let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    let target = Target { image: Some(&image), container: "web", labels: &labels };
    bencher.bench(|| bindings.winner(Mechanism::Seccomp, black_box(&target)).unwrap());
}

#[divan::bench(args = COUNTS)]
fn winner_among_exact(bencher: Bencher<'_, '_>, count: usize) {
    winner(bencher, exact(count));
}

#[divan::bench(args = COUNTS)]
fn winner_among_globs(bencher: Bencher<'_, '_>, count: usize) {
    winner(bencher, globs(count));
}

#[divan::bench(args = COUNTS)]
fn winner_among_wildcards(bencher: Bencher<'_, '_>, count: usize) {
    winner(bencher, wildcards(count));
}

#[divan::bench(args = COUNTS)]
fn compile_exact(bencher: Bencher<'_, '_>, count: usize) {
    let bindings = exact(count);
    bencher.bench(|| Bindings::new(black_box(&bindings).iter().map(Arc::clone)));
}

#[divan::bench]
fn parse_reference() -> Reference<'static> {
    Reference::parse(black_box(IMAGE)).unwrap()
}
