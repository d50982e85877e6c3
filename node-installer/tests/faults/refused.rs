//! Profiles that no compiler takes, among good ones.

use std::fmt::Write as _;

use crate::{
    daemon::{Daemon, eventually},
    node::{Node, allowing},
};

crate::tests!(
    &[];
    a_profile_that_is_too_long_stops_no_other_and_is_named_with_the_reason,
    a_profile_that_is_refused_leaves_its_old_version,
    a_profile_whose_base_is_missing_is_installed_once_the_base_is_there,
    a_profile_whose_name_is_too_long_for_a_file_stops_no_other,
);

/// A filter of more instructions than the kernel takes.
fn too_long(name: &str) -> String {
    let mut text = format!(
        "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {{name: {name}}}\n\
         spec:\n  defaultAction: SCMP_ACT_ERRNO\n  syscalls:\n"
    );
    for number in 0..1000_u64 {
        // Values that no two rules have in common, so that nothing can be shared.
        let value = number << 32 | number;
        writeln!(
            text,
            "  - {{names: [personality], action: SCMP_ACT_ALLOW, args: [{{index: 0, op: SCMP_CMP_EQ, value: {value}}}, \
             {{index: 1, op: SCMP_CMP_EQ, value: {value}}}]}}"
        )
        .unwrap();
    }
    text
}

fn a_profile_that_is_too_long_stops_no_other_and_is_named_with_the_reason() {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    node.write("long.yaml", &too_long("long"));
    node.write("z.yaml", &allowing("z", "read"));
    let done = node.once();
    assert_eq!(done.code, Some(1));
    assert!(node.file("a").exists() && node.file("z").exists() && !node.file("long").exists());
    let reason = done.table.lines().find(|line| line.starts_with("SeccompProfile long: ")).unwrap();
    assert!(reason.contains("instructions, and the kernel takes 4096"), "{reason}");
    let row = done.table.lines().find(|line| line.starts_with("long ")).unwrap();
    assert!(row.contains("Failed") && row.contains("long.json"), "{row}");
}

fn a_profile_that_is_refused_leaves_its_old_version() {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    let daemon = Daemon::ready(&node);
    eventually("installed", || node.file("a").exists());
    let before = node.text("a");
    node.write("a.yaml", &too_long("a"));
    eventually("failed", || daemon.get("/readyz").contains("0 installed, 0 pending, 1 failed"));
    assert_eq!(node.text("a"), before);
    assert_eq!(
        daemon.metric("security_profiles_operator_seccomp_profile_error_total{reason=\"Refused\"}"),
        1
    );
    assert!(daemon.stop().success());
    let done = node.once();
    assert_eq!((done.code, node.text("a")), (Some(1), before));
    assert!(done.table.contains("what was there before stays"), "{}", done.table);
    node.write("a.yaml", &allowing("a", "write"));
    assert_eq!(node.once().code, Some(0));
    assert!(node.text("a").contains("write"));
}

fn a_profile_whose_base_is_missing_is_installed_once_the_base_is_there() {
    let node = Node::new();
    let based = allowing("a", "write").replace("spec: {", "spec: {baseProfileName: base, ");
    node.write("a.yaml", &based);
    let daemon = Daemon::ready(&node);
    eventually("failed", || daemon.get("/readyz").contains("0 installed, 0 pending, 1 failed"));
    node.write("base.yaml", &allowing("base", "getpid"));
    eventually("on its base", || node.file("a").exists() && node.text("a").contains("getpid"));
    node.write("base.yaml", &allowing("base", "getppid"));
    eventually("on its new base", || node.text("a").contains("getppid"));
    node.delete("base.yaml");
    eventually("without", || daemon.get("/readyz").contains("0 installed, 0 pending, 1 failed"));
    assert!(node.text("a").contains("getppid"), "what was there before stays");
}

fn a_profile_whose_name_is_too_long_for_a_file_stops_no_other() {
    let node = Node::new();
    let name = "n".repeat(253);
    node.write("long.yaml", &allowing(&name, "read"));
    node.write("a.yaml", &allowing("a", "read"));
    let done = node.once();
    assert_eq!(done.code, Some(1));
    assert!(node.file("a").exists(), "{}", done.table);
    assert!(done.table.contains("File name too long"), "{}", done.table);
}
