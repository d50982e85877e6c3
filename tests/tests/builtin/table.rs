//! What the profiles say, looked at without running anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
};

use anyhow::{Context as _, Result, ensure};
use libseccomp::ScmpSyscall;
use serde_json::Value;

use crate::{
    Ask, Question,
    node::{Node, manifests},
};

macro_rules! of_the_node {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const QUESTIONS: &[Question] = &[$(Question {
            name: concat!(module_path!(), "::", stringify!($name)),
            ask: Ask::Node($name),
        }),+];
    };
}

of_the_node![
    all_profiles_are_installed,
    no_profile_allows_a_dangerous_call,
    calls_with_dangerous_arguments_are_allowed_with_conditions_only,
    calls_that_aarch64_lacks_stand_beside_those_that_replace_them,
    every_name_is_a_system_call,
    every_profile_says_what_it_is_for_and_denies_by_default,
    programs_may_start_under_either_runtime,
    a_profile_allows_two_thirds_at_most_of_what_runtimes_do,
];

/// Of what a runtime's default profile allows, on `x86_64` and without capabilities, some 350 names.
const DEFAULT: usize = 350;

/// Not for containers, whatever they run.
const DANGEROUS: &[&str] = &[
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "clone3",
    "create_module",
    "delete_module",
    "execveat",
    "fanotify_init",
    "fanotify_mark",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "memfd_secret",
    "migrate_pages",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "seccomp",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
    "vmsplice",
];

/// Harmless with some arguments, and not with others.
const CONDITIONAL: &[&str] = &["clone", "mknod", "mknodat", "personality", "socket", "socketpair"];

/// What only `x86_64` has, and what a libc calls on `aarch64` instead.
const REPLACED: &[(&str, &str)] = &[
    ("access", "faccessat"),
    ("alarm", "setitimer"),
    ("chmod", "fchmodat"),
    ("chown", "fchownat"),
    ("creat", "openat"),
    ("dup2", "dup3"),
    ("epoll_create", "epoll_create1"),
    ("epoll_wait", "epoll_pwait"),
    ("eventfd", "eventfd2"),
    ("fork", "clone"),
    ("futimesat", "utimensat"),
    ("getdents", "getdents64"),
    ("getpgrp", "getpgid"),
    ("inotify_init", "inotify_init1"),
    ("lchown", "fchownat"),
    ("link", "linkat"),
    ("lstat", "newfstatat"),
    ("mkdir", "mkdirat"),
    ("mknod", "mknodat"),
    ("open", "openat"),
    ("pause", "ppoll"),
    ("pipe", "pipe2"),
    ("poll", "ppoll"),
    ("readlink", "readlinkat"),
    ("rename", "renameat"),
    ("rename", "renameat2"),
    ("rmdir", "unlinkat"),
    ("select", "pselect6"),
    ("signalfd", "signalfd4"),
    ("stat", "newfstatat"),
    ("symlink", "symlinkat"),
    ("time", "clock_gettime"),
    ("unlink", "unlinkat"),
    ("utime", "utimensat"),
    ("utimes", "utimensat"),
    ("vfork", "clone"),
];

/// Younger than the libseccomp of some distributions.
const YOUNG: &[&str] = &["fchmodat2"];

/// Under these a container is recorded. They refuse nothing.
const RECORDING: &[&str] = &["apparmorrecording", "log-enricher-trace", "selinuxrecording"];

fn all_profiles_are_installed(node: &Node) -> Result<()> {
    let names: Vec<String> = node.filters()?.into_keys().collect();
    let of_other_kinds = ["apparmorrecording", "selinuxrecording"];
    let files = fs::read_dir(manifests())?.count() - of_other_kinds.len();
    ensure!(names.len() == files && files > 0, "{files} manifests, but {names:?}:\n{}", node.table);
    Ok(())
}

fn no_profile_allows_a_dangerous_call(node: &Node) -> Result<()> {
    each(node, |allowed| {
        DANGEROUS
            .iter()
            .filter(|name| allowed.contains_key(**name))
            .map(|name| (*name).to_owned())
            .collect()
    })
}

fn calls_with_dangerous_arguments_are_allowed_with_conditions_only(node: &Node) -> Result<()> {
    each(node, |allowed| {
        let free = |name: &&&str| allowed.get(**name).is_some_and(|rules| !rules.conditional);
        CONDITIONAL.iter().filter(free).map(|name| (*name).to_owned()).collect()
    })
}

fn calls_that_aarch64_lacks_stand_beside_those_that_replace_them(node: &Node) -> Result<()> {
    each(node, |allowed| {
        let alone =
            |(old, new): &&(&str, &str)| allowed.contains_key(*old) && !allowed.contains_key(*new);
        REPLACED.iter().filter(alone).map(|(old, new)| format!("{old} without {new}")).collect()
    })
}

fn every_name_is_a_system_call(node: &Node) -> Result<()> {
    each(node, |allowed| {
        let unknown = |name: &&String| {
            !YOUNG.contains(&name.as_str()) && ScmpSyscall::from_name(name).is_err()
        };
        allowed.keys().filter(unknown).cloned().collect()
    })
}

fn every_profile_says_what_it_is_for_and_denies_by_default(_: &Node) -> Result<()> {
    for entry in fs::read_dir(manifests())? {
        let path = entry?.path();
        let object: Value = serde_saphyr::from_str(&fs::read_to_string(&path)?)?;
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = text("/metadata/name");
        let stem = path.file_stem().and_then(|stem| stem.to_str()).context("a name")?;
        let base = text("/spec/baseProfileName");
        ensure!(name == stem, "{} holds {name}", path.display());
        ensure!(
            text("/metadata/annotations/kubernetes.io~1description").len() > 40,
            "{name} says nothing"
        );
        if RECORDING.contains(&name) {
            continue;
        }
        ensure!(text("/spec/defaultAction") == "SCMP_ACT_ERRNO", "{name} allows by default");
        let leaf = ["base-runc", "base-crun"].contains(&name);
        ensure!(
            leaf == base.is_empty() && (leaf || base.starts_with("base-")),
            "{name} stands on {base:?}"
        );
        ensure!(
            object.pointer("/spec/architectures").is_none(),
            "{name} is not for every architecture"
        );
    }
    Ok(())
}

/// `base-program` stands on one of the two, and has to hold the other one.
fn programs_may_start_under_either_runtime(node: &Node) -> Result<()> {
    let crun = allowed(&node.filter("base-crun")?);
    each(node, |allowed| {
        if allowed.len() < 60 {
            return Vec::new();
        }
        crun.keys().filter(|name| !allowed.contains_key(*name)).cloned().collect()
    })
}

fn a_profile_allows_two_thirds_at_most_of_what_runtimes_do(node: &Node) -> Result<()> {
    let mut table = Vec::new();
    writeln!(table, "names allowed here, of some {DEFAULT} that runtimes allow by default:")?;
    for (name, filter) in node.filters()? {
        // What the architecture lacks does not count.
        let here =
            |name: &&String| ScmpSyscall::from_name(name).is_ok_and(|call| i32::from(call) >= 0);
        let count = allowed(&filter).keys().filter(here).count();
        writeln!(table, "  {name:<16}{count:>4}")?;
        ensure!(count * 3 <= DEFAULT * 2, "{name} allows {count} calls");
    }
    std::io::stdout().write_all(&table)?;
    Ok(())
}

/// How a call is allowed.
#[derive(Default)]
struct Rules {
    conditional: bool,
}

/// What a filter allows.
fn allowed(filter: &Value) -> BTreeMap<String, Rules> {
    let rules = filter["syscalls"].as_array().into_iter().flatten();
    let mut all: BTreeMap<String, Rules> = BTreeMap::new();
    for rule in rules.filter(|rule| rule["action"] == "SCMP_ACT_ALLOW") {
        let conditional = rule["args"].as_array().is_some_and(|args| !args.is_empty());
        for name in rule["names"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let rules = all.entry(name.to_owned()).or_insert(Rules { conditional: true });
            rules.conditional &= conditional;
        }
    }
    all
}

/// Fails with what is wrong in each profile.
fn each(node: &Node, wrong: impl Fn(&BTreeMap<String, Rules>) -> Vec<String>) -> Result<()> {
    let filters = node.filters()?;
    let wrong = filters.iter().map(|(name, filter)| (name, wrong(&allowed(filter))));
    let wrong: BTreeSet<_> = wrong.filter(|(_, names)| !names.is_empty()).collect();
    ensure!(wrong.is_empty(), "{wrong:?}");
    Ok(())
}
