//! What it costs to unite and compare seccomp profiles of the sizes that recordings have.

#![expect(clippy::unwrap_used, reason = "as in a test")]

use divan::{AllocProfiler, Bencher, black_box};
use profile::{
    algebra::seccomp::{Subset, diff, merge, subset},
    kinds::seccomp::SeccompProfileSpec,
};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn spec(syscalls: &[Value]) -> SeccompProfileSpec {
    let spec = json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": syscalls });
    serde_json::from_value(spec).unwrap()
}

/// A profile of 400 system calls, ten of them not those of its neighbours, and one with an argument of its own.
fn recorded(number: usize) -> SeccompProfileSpec {
    let names: Vec<_> = (0..400).map(|n| format!("syscall_{}", n + number % 10)).collect();
    let args = json!([{ "index": 0, "op": "SCMP_CMP_EQ", "value": number }]);
    spec(&[
        json!({ "names": names, "action": "SCMP_ACT_ALLOW" }),
        json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": args }),
    ])
}

/// A profile of many rules with conditions, for a few system calls.
fn detailed(rules: usize, most: usize) -> SeccompProfileSpec {
    let rules: Vec<_> = (0..rules)
        .map(|n| {
            let args = json!([
                { "index": 0, "op": "SCMP_CMP_EQ", "value": n },
                { "index": 1, "op": "SCMP_CMP_LE", "value": most },
                { "index": 2, "op": "SCMP_CMP_MASKED_EQ", "value": 4095, "valueTwo": n % 7 },
            ]);
            json!({ "names": [format!("ioctl_{}", n % 5)], "action": "SCMP_ACT_ALLOW", "args": args })
        })
        .collect();
    spec(&rules)
}

#[divan::bench(args = [2, 10, 100])]
fn merge_recorded(bencher: Bencher<'_, '_>, count: usize) {
    let specs: Vec<_> = (0..count).map(recorded).collect();
    bencher.bench(|| merge(black_box(&specs)).unwrap());
}

#[divan::bench]
fn subset_of_merged(bencher: Bencher<'_, '_>) {
    let specs: Vec<_> = (0..100).map(recorded).collect();
    let merged = merge(&specs).unwrap().spec;
    bencher.bench(|| assert_eq!(subset(black_box(&specs[7]), &merged).unwrap(), Subset::Yes));
}

#[divan::bench(args = [100, 1_000])]
fn subset_of_detailed(bencher: Bencher<'_, '_>, rules: usize) {
    let (left, right) = (detailed(rules, 10), detailed(rules, 20));
    bencher.bench(|| assert_eq!(subset(black_box(&left), &right).unwrap(), Subset::Yes));
}

#[divan::bench(args = [100, 1_000])]
fn diff_of_detailed(bencher: Bencher<'_, '_>, rules: usize) {
    let (left, right) = (detailed(rules, 10), detailed(rules, 20));
    bencher.bench(|| diff(black_box(&left), &right).unwrap());
}
