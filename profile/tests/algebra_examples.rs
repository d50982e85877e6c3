//! What the algebra says of profiles as people write them.

#![expect(clippy::unwrap_used, reason = "as in a test")]

use insta::assert_snapshot;
use profile::{
    algebra::seccomp::{Subset, ambiguities, diff, merge, subset},
    kinds::seccomp::SeccompProfileSpec,
};
use serde_json::{Value, json};

fn spec(default: &str, syscalls: &[Value]) -> SeccompProfileSpec {
    let spec = json!({ "defaultAction": default, "syscalls": syscalls });
    serde_json::from_value(spec).unwrap()
}

fn allow(names: &[&str]) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ALLOW" })
}

fn allow_if(name: &str, args: &Value) -> Value {
    json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args })
}

fn web() -> SeccompProfileSpec {
    let local = json!([{ "index": 0, "op": "SCMP_CMP_EQ", "value": 1 }]);
    spec("SCMP_ACT_ERRNO", &[allow(&["read", "write"]), allow_if("socket", &local)])
}

fn database() -> SeccompProfileSpec {
    let inet = json!([{ "index": 0, "op": "SCMP_CMP_EQ", "value": 2 }]);
    spec("SCMP_ACT_ERRNO", &[allow(&["write", "fsync"]), allow_if("socket", &inet)])
}

#[test]
fn rules_with_different_arguments_stay_apart() {
    let merged = merge([&web(), &database()]).unwrap();
    assert_eq!(merged.widened, Vec::<String>::new());
    let rules = merged.spec.syscalls.iter().map(|rule| serde_json::to_string(rule).unwrap());
    assert_snapshot!(rules.collect::<Vec<_>>().join("\n"), @r#"
    {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"op":"SCMP_CMP_EQ","value":2}]}
    {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"op":"SCMP_CMP_EQ","value":1}]}
    {"names":["fsync","read","write"],"action":"SCMP_ACT_ALLOW"}
    "#);
}

#[test]
fn a_rule_that_another_covers_is_left_out() {
    let merged = merge([&web(), &spec("SCMP_ACT_ERRNO", &[allow(&["socket"])])]).unwrap().spec;
    assert_eq!(merged.syscalls.len(), 1);
    assert_eq!(merged.syscalls[0].names, ["read", "socket", "write"]);
}

#[test]
fn what_is_denied_by_all_stays_denied_where_the_default_allows() {
    let deny = |names: &[&str]| json!({ "names": names, "action": "SCMP_ACT_ERRNO" });
    let one = spec("SCMP_ACT_ALLOW", &[deny(&["mount", "umount2"])]);
    let other = spec("SCMP_ACT_ALLOW", &[deny(&["mount", "kexec_load"])]);
    let merged = merge([&one, &other, &web()]).unwrap().spec;
    assert_eq!(merged.syscalls.len(), 1);
    assert_eq!(merged.syscalls[0].names, ["mount"]);
}

#[test]
fn a_counterexample_names_the_call() {
    let no_namespaces = json!([{ "index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 2_114_060_288 }]);
    let strict = spec("SCMP_ACT_ERRNO", &[allow_if("clone", &no_namespaces)]);
    let lax = spec("SCMP_ACT_ERRNO", &[allow(&["clone"])]);
    assert_eq!(subset(&strict, &lax).unwrap(), Subset::Yes);
    let Subset::No(shown) = subset(&lax, &strict).unwrap() else { panic!("it lets more through") };
    assert_snapshot!(shown.call, @"clone(0x40000000, 0, 0, 0, 0, 0)");
}

#[test]
fn an_open_default_is_found() {
    let open = spec("SCMP_ACT_LOG", &[]);
    let Subset::No(shown) = subset(&open, &web()).unwrap() else { panic!("it lets more through") };
    assert_snapshot!(shown.call, @"socket(0, 0, 0, 0, 0, 0)");
}

#[test]
fn a_difference_is_read_line_by_line() {
    assert_snapshot!(diff(&web(), &database()).unwrap(), @"
    + fsync: SCMP_ACT_ERRNO -> SCMP_ACT_ALLOW
    - read: SCMP_ACT_ALLOW -> SCMP_ACT_ERRNO
    - socket: SCMP_ACT_ALLOW if arg 0 == 1 -> SCMP_ACT_ERRNO
    + socket: SCMP_ACT_ERRNO -> SCMP_ACT_ALLOW if arg 0 == 2
    ");
}

#[test]
fn rules_that_disagree_are_told_with_a_call() {
    let first = json!([{ "index": 0, "op": "SCMP_CMP_EQ", "value": 1 }]);
    let second = json!([{ "index": 1, "op": "SCMP_CMP_EQ", "value": 1 }]);
    let killed = json!({ "names": ["socket"], "action": "SCMP_ACT_KILL", "args": second });
    let found = ambiguities(&spec("SCMP_ACT_ERRNO", &[allow_if("socket", &first), killed]));
    assert_snapshot!(found.unwrap()[0], @"two rules apply to socket(1, 1, 0, 0, 0, 0), one with SCMP_ACT_ALLOW and one with SCMP_ACT_KILL_THREAD: which of them counts is not defined, and runtimes may refuse the profile; make their conditions exclude each other");
}

#[test]
fn a_rule_of_the_default_action_takes_nothing_back() {
    let denied = json!({ "names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 });
    let mut with = web();
    with.syscalls.push(serde_json::from_value(denied).unwrap());
    assert!(diff(&with, &web()).unwrap().is_empty());
}
