//! AppArmor profiles that the compiler or the kernel does not take, and ones that processes run under.

use std::{fs, path::PathBuf};

use crate::{
    node::Node,
    programs::{node, once, purge},
};

crate::tests!(
    &[];
    a_profile_that_the_parser_refuses_stops_no_other,
    a_source_that_the_kernel_did_not_take_is_taken_away_in_the_end,
    a_profile_that_somebody_else_has_loaded_is_left_alone,
    purge_leaves_what_processes_run_under_unless_it_is_forced,
);

fn profile(name: &str, path: &str) -> String {
    format!(
        "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: AppArmorProfile
metadata: {{name: {name}}}
spec: {{abstract: {{filesystem: {{readOnlyPaths: [/{path}]}}}}}}
"
    )
}

fn source(node: &Node, name: &str) -> PathBuf {
    node.root().join(format!("etc/apparmor.d/cinch.{name}"))
}

fn a_profile_that_the_parser_refuses_stops_no_other() {
    let node = node();
    for name in ["a", "refuse", "kill", "z"] {
        node.write(&format!("{name}.yaml"), &profile(name, name));
    }
    let done = once(&node, "apparmor");
    assert_eq!(done.code, Some(1));
    assert!(source(&node, "a").exists() && source(&node, "z").exists(), "{}", done.table);
    assert!(!source(&node, "refuse").exists() && !source(&node, "kill").exists());
    let quoted = "apparmor_parser: AppArmor parser error at line 3: syntax error";
    assert!(done.table.contains(quoted), "{}", done.table);
    // The old version stays.
    let before = fs::read_to_string(source(&node, "a")).unwrap();
    node.write("a.yaml", &profile("a", "refuse"));
    let done = once(&node, "apparmor");
    assert!(done.table.contains("what was there before stays"), "{}", done.table);
    assert_eq!(fs::read_to_string(source(&node, "a")).unwrap(), before);
}

fn a_source_that_the_kernel_did_not_take_is_taken_away_in_the_end() {
    let node = node();
    node.write("a.yaml", &profile("a", "forget"));
    let done = once(&node, "apparmor");
    let said = "AppArmorProfile a: the kernel took the profile, and does not list it";
    assert!(done.code == Some(1) && done.table.contains(said), "{}", done.table);
    node.delete("a.yaml");
    assert_eq!(once(&node, "apparmor").code, Some(0));
    assert!(!source(&node, "a").exists(), "the node would load it when it starts");
}

fn a_profile_that_somebody_else_has_loaded_is_left_alone() {
    let node = node();
    let kernel = node.root().join("sys/kernel/security/apparmor");
    fs::write(kernel.join("profiles"), "a (enforce)\n").unwrap();
    fs::create_dir_all(source(&node, "b").parent().unwrap()).unwrap();
    fs::write(source(&node, "b"), "theirs").unwrap();
    node.write("a.yaml", &profile("a", "x"));
    node.write("b.yaml", &profile("b", "x"));
    let done = once(&node, "apparmor");
    assert_eq!(done.code, Some(1));
    assert!(
        done.table.contains("AppArmorProfile a: a profile in the kernel of this name was not put")
    );
    assert!(done.table.contains("AppArmorProfile b: a file of this name was not put"));
    assert_eq!(fs::read_to_string(source(&node, "b")).unwrap(), "theirs");
    assert_eq!(purge(&node, "apparmor", true).code, Some(0));
    assert!(source(&node, "b").exists());
    assert_eq!(fs::read_to_string(kernel.join(".remove")).unwrap(), "");
}

fn purge_leaves_what_processes_run_under_unless_it_is_forced() {
    let node = node();
    node.write("a.yaml", &profile("a", "x"));
    node.write("b.yaml", &profile("b", "x"));
    assert_eq!(once(&node, "apparmor").code, Some(0));
    let process = node.root().join("proc/17/attr/apparmor");
    fs::create_dir_all(&process).unwrap();
    fs::write(process.join("current"), "a//child (enforce)\n").unwrap();
    let done = purge(&node, "apparmor", false);
    assert_eq!(done.code, Some(1));
    let said = "/etc/apparmor.d/cinch.a: processes run under it; end them, or use --force";
    assert!(done.log.contains(said), "{}", done.log);
    assert!(source(&node, "a").exists() && !source(&node, "b").exists());
    // It is still known to be ours.
    assert_eq!(purge(&node, "apparmor", true).code, Some(0));
    assert!(!source(&node, "a").exists());
    assert!(!node.root().join("var/lib/security-profiles-operator").exists());
}
