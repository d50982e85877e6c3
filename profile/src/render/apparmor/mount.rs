//! Rules about mounts. Pure.

use std::collections::BTreeSet;

use super::{quote::quote, rules::list};
use crate::kinds::apparmor::{MountOperation, MountRule};

/// The options that every version of the parser knows.
const OPTIONS: [&str; 53] = [
    "acl",
    "async",
    "atime",
    "bind",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "iversion",
    "loud",
    "make-private",
    "make-rprivate",
    "make-rshared",
    "make-rslave",
    "make-runbindable",
    "make-shared",
    "make-slave",
    "make-unbindable",
    "mand",
    "move",
    "noacl",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nomand",
    "norelatime",
    "nosuid",
    "nouser",
    "private",
    "r",
    "rbind",
    "relatime",
    "remount",
    "ro",
    "rprivate",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "unbindable",
    "user",
    "verbose",
    "w",
    "B",
    "M",
];

/// A remount gets a rule for each choice of its options.
const MOST: usize = 5;

/// The rules, or why there can be none.
pub(super) fn lines(rule: &MountRule) -> Result<Vec<String>, String> {
    check(rule)?;
    let verb = match rule.operation {
        MountOperation::Mount => "mount",
        MountOperation::Remount => "remount",
        MountOperation::Umount => "umount",
        MountOperation::PivotRoot => "pivot_root",
    };
    let fs_type = rule.fs_type.as_ref().map(|fs_type| format!(" fstype=\"{fs_type}\""));
    let before = format!("{verb}{}", fs_type.unwrap_or_default());
    let source = rule.source.as_deref().map(folder).transpose()?;
    let target = rule.target.as_deref().map(folder).transpose()?;
    let (oldroot, arrow) = match rule.operation {
        MountOperation::PivotRoot => ("oldroot=", ""),
        MountOperation::Mount => ("", "-> "),
        _ => ("", ""),
    };
    let source = source.map(|source| format!(" {oldroot}{source}")).unwrap_or_default();
    let target = target.map(|target| format!(" {arrow}{target}")).unwrap_or_default();
    let with = |options: String| format!("{before}{options}{source}{target},");
    Ok(choices(rule).into_iter().map(with).collect())
}

fn check(rule: &MountRule) -> Result<(), String> {
    use MountOperation::{Mount, PivotRoot, Remount, Umount};
    let named = rule.operation;
    let (typed, optioned) = (rule.fs_type.is_some(), !rule.options.is_empty());
    match named {
        Umount if rule.source.is_some() || typed || optioned => {
            return Err(
                "Umount has a target alone: leave out source, fsType and options".to_owned()
            );
        }
        PivotRoot if typed || optioned => {
            return Err(
                "PivotRoot has target (the new root) and source (where the old one goes) alone"
                    .to_owned(),
            );
        }
        Remount if rule.source.is_some() || typed => {
            return Err(
                "Remount has target and options alone: leave out source and fsType".to_owned()
            );
        }
        Remount if !optioned || rule.options.len() > MOST => {
            return Err(format!(
                "Remount needs the options that may be used, {MOST} at most: AppArmor knows no remount with any"
            ));
        }
        Mount | Remount | Umount | PivotRoot => (),
    }
    match rule.options.iter().find(|option| !OPTIONS.contains(&option.as_str())) {
        Some(option) => {
            Err(format!("{option} is no mount option that AppArmor knows, such as ro or nosuid"))
        }
        None => Ok(()),
    }
}

/// The options as they are written in each rule.
fn choices(rule: &MountRule) -> Vec<String> {
    if rule.options.is_empty() {
        return vec![String::new()];
    }
    // Silent says how much the kernel logs, and some programs always give it.
    let all = [rule.options.as_slice(), &["silent".to_owned()]].concat();
    let written = |options: &[String]| format!(" options in ({})", list(options, String::clone));
    if rule.operation == MountOperation::Mount {
        return vec![written(&all)];
    }
    // The parser takes the options of a remount for all that must be there, and rw for none. Of a remount with options
    // it also makes a rule for a new mount with them on the same target, which no way of writing it avoids.
    let all: BTreeSet<_> = all.into_iter().filter(|option| option != "rw").collect();
    let mut choices = vec![Vec::new()];
    for option in all {
        let with = choices
            .iter()
            .map(|choice| [choice.as_slice(), std::slice::from_ref(&option)].concat());
        choices.extend(with.collect::<Vec<_>>());
    }
    let written = |choice: &Vec<String>| {
        if choice.is_empty() { String::new() } else { written(choice) }
    };
    choices.iter().map(written).collect()
}

/// A path as the kernel compares it: that of a folder ends in /, which few people write.
fn folder(path: &str) -> Result<String, String> {
    quote(path)?;
    let slash = if path.ends_with('/') || path.ends_with("**") { "" } else { "{,/}" };
    quote(&format!("{path}{slash}"))
}
