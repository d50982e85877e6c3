//! SELinux modules that are refused, one by one or for reasons that pass.

use std::fs;

use crate::{
    node::Node,
    programs::{node, once, purge},
};

crate::tests!(
    &[];
    good_modules_are_installed_in_one_transaction,
    a_module_that_is_named_as_the_fault_is_left_out,
    a_module_that_nobody_names_is_found_by_halves,
    what_passes_is_nobodys_fault_and_nothing_is_half_done,
    a_module_of_another_priority_is_left_alone,
);

fn write(node: &Node, names: &[&str]) {
    for name in names {
        // The name of the type says how the fake program takes it.
        let kind = name.split('-').next().unwrap();
        node.write(
            &format!("{name}.yaml"),
            &format!(
                "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SelinuxProfile
metadata: {{name: {name}}}
spec: {{allow: {{{kind}_t: {{file: [read]}}}}}}
"
            ),
        );
    }
}

fn installed(node: &Node) -> Vec<String> {
    let store = node.root().join("var/lib/selinux/targeted/active/modules/400");
    let entries = fs::read_dir(store).into_iter().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn calls(node: &Node) -> usize {
    fs::read_to_string(node.root().join("calls")).unwrap_or_default().lines().count()
}

fn good_modules_are_installed_in_one_transaction() {
    let node = node();
    write(&node, &["a", "b", "c"]);
    let done = once(&node, "selinux");
    assert_eq!(done.code, Some(0), "{}{}", done.table, done.log);
    assert_eq!((installed(&node).len(), calls(&node)), (3, 1));
    assert_eq!(once(&node, "selinux").code, Some(0));
    assert_eq!(calls(&node), 1, "nothing had changed");
    node.delete("b.yaml");
    write(&node, &["d"]);
    assert_eq!(once(&node, "selinux").code, Some(0));
    assert_eq!((&*installed(&node).join(" "), calls(&node)), ("a c d", 2));
    assert_eq!(purge(&node, "selinux", false).code, Some(0));
    assert_eq!(installed(&node), [""; 0]);
}

fn a_module_that_is_named_as_the_fault_is_left_out() {
    let node = node();
    write(&node, &["a", "refuse-1", "b", "refuse-2"]);
    let done = once(&node, "selinux");
    assert_eq!(done.code, Some(1));
    assert_eq!(installed(&node), ["a", "b"], "{}", done.table);
    assert_eq!(calls(&node), 3, "one for each that was at fault, and one that went well");
    for name in ["refuse-1", "refuse-2"] {
        let line = done.table.lines().find(|l| l.starts_with(&format!("SelinuxProfile {name}: ")));
        assert!(line.unwrap().contains(&format!("/{name}.cil:2")), "{}", done.table);
    }
    // Nothing of it is left where modules are handed over.
    let handed = node.root().join("var/lib/security-profiles-operator/modules");
    assert_eq!(fs::read_dir(handed).unwrap().count(), 0);
}

fn a_module_that_nobody_names_is_found_by_halves() {
    let node = node();
    write(&node, &["a", "b", "c", "d", "e", "f", "silent", "z"]);
    let done = once(&node, "selinux");
    assert_eq!(done.code, Some(1));
    assert_eq!(installed(&node), ["a", "b", "c", "d", "e", "f", "z"], "{}", done.table);
    let line = done.table.lines().find(|line| line.starts_with("SelinuxProfile silent: "));
    assert!(line.unwrap().contains("semodule: semodule: Failed!"), "{}", done.table);
    assert!(calls(&node) <= 7, "{}", calls(&node));
}

fn what_passes_is_nobodys_fault_and_nothing_is_half_done() {
    let node = node();
    write(&node, &["a", "b"]);
    assert_eq!(once(&node, "selinux").code, Some(0));
    node.delete("b.yaml");
    write(&node, &["c", "full"]);
    let done = once(&node, "selinux");
    assert_eq!(done.code, Some(1));
    assert_eq!(done.table.matches("No space left on device").count(), 2, "{}", done.table);
    // What goes does not wait for what comes.
    assert_eq!(installed(&node), ["a"], "{}", done.table);
    node.delete("full.yaml");
    assert_eq!(once(&node, "selinux").code, Some(0));
    assert_eq!(installed(&node), ["a", "c"]);
}

fn a_module_of_another_priority_is_left_alone() {
    let node = node();
    let theirs = node.root().join("var/lib/selinux/targeted/active/modules/100/a");
    fs::create_dir_all(&theirs).unwrap();
    write(&node, &["a", "b"]);
    let done = once(&node, "selinux");
    assert_eq!((done.code, installed(&node)), (Some(1), vec!["b".to_owned()]));
    assert!(done.table.contains("a module a of its own, at priority 100"), "{}", done.table);
    assert_eq!(purge(&node, "selinux", false).code, Some(0));
    assert!(theirs.exists());
}
