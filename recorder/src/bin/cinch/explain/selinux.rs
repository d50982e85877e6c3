//! What an SELinux profile lets happen. Pure.

use std::collections::BTreeMap;

use anyhow::bail;
use profile::kinds::{
    RawSelinuxProfileSpec, SelinuxProfileSpec,
    selinux::{InheritKind, SelinuxMode},
};

use super::{
    Explanation, Group,
    risk::{Level, Risk},
};
use crate::compare::cil;

pub(super) fn explanation(spec: &SelinuxProfileSpec) -> Explanation {
    let permissive = spec.effective_mode() == SelinuxMode::Permissive;
    let mut summary = Vec::new();
    if permissive {
        summary.push("It is permissive: what it does not allow happens, and is logged.".to_owned());
    }
    let inherited: Vec<_> = spec
        .inherit
        .iter()
        .map(|from| match from.kind {
            InheritKind::System => format!("the node's template {}", from.name),
            InheritKind::SelinuxProfile => format!("the profile {}", from.name),
        })
        .collect();
    summary.push(match inherited.len() {
        0 => "It inherits nothing, so it has no type for processes, and cannot be installed."
            .to_owned(),
        _ => format!(
            "It allows what {} allows, and beyond that only what is listed.",
            inherited.join(" and ")
        ),
    });
    let mut groups = BTreeMap::<(usize, &str), Vec<String>>::new();
    for (target, classes) in &spec.allow {
        let target = if target == "@self" { "itself" } else { target };
        for (class, permissions) in classes {
            let entry = format!("{target} {class}: {}", permissions.join(" "));
            groups.entry(group(class)).or_default().push(entry);
        }
    }
    let groups =
        groups.into_iter().map(|((_, name), entries)| Group { name: name.to_owned(), entries });
    Explanation {
        enforced: !permissive,
        summary,
        risks: risks(spec),
        groups: groups.collect(),
        ..Explanation::default()
    }
}

pub(super) fn raw(spec: &RawSelinuxProfileSpec) -> Explanation {
    let statements = cil::statements(&spec.policy);
    let of = |start: &str| {
        statements.iter().filter(|one| one.starts_with(start)).cloned().collect::<Vec<_>>()
    };
    let inherited = of("(blockinherit ");
    let rules = of("(allow ");
    let others: Vec<_> = statements
        .iter()
        .filter(|one| !inherited.contains(one) && !rules.contains(one))
        .cloned()
        .collect();
    let groups = [("inherits", inherited), ("allows", rules), ("other statements", others)];
    Explanation {
        enforced: true,
        summary: vec![format!(
            "It is written in CIL, {} statements, which are listed as they stand.",
            statements.len()
        )],
        groups: groups
            .into_iter()
            .filter(|(_, entries)| !entries.is_empty())
            .map(|(name, entries)| Group { name: name.to_owned(), entries })
            .collect(),
        ..Explanation::default()
    }
}

/// What a class is about, with its place in the order of groups.
fn group(class: &str) -> (usize, &'static str) {
    match class {
        "file" | "dir" | "lnk_file" | "chr_file" | "blk_file" | "sock_file" | "fifo_file"
        | "filesystem" | "anon_inode" => (0, "files"),
        "process" | "process2" | "fd" | "user_namespace" => (2, "processes"),
        "sem" | "msg" | "msgq" | "shm" | "ipc" | "key" | "dbus" => (3, "messages"),
        "capability" | "capability2" | "cap_userns" | "cap2_userns" | "security" | "system"
        | "bpf" | "perf_event" | "kernel_service" | "io_uring" | "lockdown" => {
            (4, "administration")
        }
        class
            if class.ends_with("_socket")
                || matches!(class, "node" | "netif" | "packet" | "association" | "peer") =>
        {
            (1, "network")
        }
        _ => (5, "other"),
    }
}

/// Classes and permissions, of which any is risky whatever type they are on, and why.
const RISKY: &[(Level, &str, &[&str], &str)] = &[
    (Level::High, "capability", &[], "capabilities of root, for a container's own type"),
    (Level::High, "capability2", &[], "capabilities of root, for a container's own type"),
    (Level::High, "security", &[], "changes the policy of the whole machine"),
    (
        Level::High,
        "system",
        &["module_load", "module_request", "syslog_mod"],
        "commands the kernel",
    ),
    (Level::High, "bpf", &[], "puts programs into the kernel"),
    (
        Level::High,
        "process",
        &["execmem", "execheap", "execstack", "execmod"],
        "runs memory that was written: what an attacker puts there runs",
    ),
    (
        Level::High,
        "process",
        &["dyntransition", "setcurrent", "transition"],
        "becomes another type, under other rules",
    ),
    (Level::High, "process", &["ptrace"], "reads and changes other processes"),
    (Level::Medium, "perf_event", &[], "watches the kernel and other processes"),
    (Level::Medium, "io_uring", &[], "has the kernel work past system calls"),
    (Level::Medium, "file", &["execmod"], "runs a part of a file after it was changed in memory"),
    (
        Level::Medium,
        "user_namespace",
        &["create"],
        "makes user namespaces, and so reaches parts of the kernel for administrators",
    ),
    (Level::Medium, "packet_socket", &[], "listens to the packets of others in the same network"),
    (Level::Medium, "rawip_socket", &[], "forges packets"),
];

/// Types that are not of containers, and what they are of.
const TYPES: &[(&str, &str)] = &[
    ("container_runtime_t", "the container runtime"),
    ("container_var_run_t", "the socket of the container runtime: as good as root on the host"),
    ("docker_var_run_t", "the socket of the container runtime: as good as root on the host"),
    ("fixed_disk_device_t", "disks of the host"),
    ("init_t", "the first process of the host"),
    ("kernel_t", "the kernel"),
    ("memory_device_t", "the memory of the host"),
    ("shadow_t", "passwords of the host"),
    ("unconfined_t", "processes of the host that no policy holds"),
];

/// Types of which writing matters.
const WRITTEN: &[&str] = &[
    "bin_t",
    "boot_t",
    "etc_t",
    "lib_t",
    "modules_object_t",
    "root_t",
    "sysfs_t",
    "system_conf_t",
    "usr_t",
];

fn risks(spec: &SelinuxProfileSpec) -> Vec<Risk> {
    let mut risks = Vec::new();
    for (target, classes) in &spec.allow {
        for (class, permissions) in classes {
            let what = |only: &[&str]| {
                let all = permissions
                    .iter()
                    .filter(|one| only.is_empty() || only.contains(&one.as_str()));
                all.map(|one| format!("{target} {class} {one}")).collect::<Vec<_>>()
            };
            for (level, of, only, why) in RISKY {
                let what = if class == of { what(only) } else { Vec::new() };
                if !what.is_empty() {
                    risks.push(Risk { level: *level, what, why: (*why).to_owned() });
                }
            }
            if let Some((_, why)) = TYPES.iter().find(|(known, _)| known == target) {
                risks.push(Risk { level: Level::High, what: what(&[]), why: (*why).to_owned() });
            }
            let written = what(&["write", "append", "create", "rename", "unlink", "setattr"]);
            if WRITTEN.contains(&target.as_str()) && !written.is_empty() {
                let why =
                    "changes files of the host's system, where the container sees them".to_owned();
                risks.push(Risk { level: Level::High, what: written, why });
            }
        }
    }
    risks
}

/// Whether a type, or a class of it, or a permission of that is allowed.
pub(super) fn answer(
    spec: &SelinuxProfileSpec,
    words: &[String],
) -> anyhow::Result<(bool, Vec<String>)> {
    let [target, rest @ ..] = words else {
        bail!("ask about a type, such as var_log_t file write")
    };
    if rest.len() > 2 {
        bail!(
            "ask about a type, a class of it, and a permission of that, such as var_log_t file write"
        );
    }
    let (class, permission) = (rest.first(), rest.get(1));
    let mut because = Vec::new();
    for (of, permissions) in spec.allow.get(target).into_iter().flatten() {
        let all: Vec<_> = permissions
            .iter()
            .filter(|one| permission.is_none_or(|permission| permission == *one))
            .cloned()
            .collect();
        if class.is_none_or(|class| class == of) && !all.is_empty() {
            because.push(format!("spec.allow.{target}.{of}: {}", all.join(" ")));
        }
    }
    let allowed = !because.is_empty() || spec.effective_mode() == SelinuxMode::Permissive;
    if because.is_empty() {
        let inherited: Vec<_> = spec.inherit.iter().map(|from| from.name.as_str()).collect();
        because.push(format!(
            "it lists no such rule; what it inherits ({}) may have one",
            inherited.join(", ")
        ));
    }
    if spec.effective_mode() == SelinuxMode::Permissive {
        because.push("it is permissive: nothing is refused".to_owned());
    }
    Ok((allowed, because))
}
