//! Rules about mounts. Pure.

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

/// One rule, or why there can be none.
pub(super) fn line(rule: &MountRule) -> Result<String, String> {
    use MountOperation::{Mount, PivotRoot, Remount, Umount};
    let verb = match rule.operation {
        Mount => "mount",
        Remount => "remount",
        Umount => "umount",
        PivotRoot => "pivot_root",
    };
    let named = rule.operation;
    if matches!(named, Remount | Umount) && rule.source.is_some() {
        return Err(format!("{named} has a target alone: leave out source"));
    }
    if named == PivotRoot && (rule.fs_type.is_some() || !rule.options.is_empty()) {
        return Err(
            "PivotRoot has target (the new root) and source (where the old one goes) alone"
                .to_owned(),
        );
    }
    if let Some(option) = rule.options.iter().find(|option| !OPTIONS.contains(&option.as_str())) {
        return Err(format!(
            "{option} is no mount option that AppArmor knows, such as ro or nosuid"
        ));
    }
    let mut words = vec![verb.to_owned()];
    words.extend(rule.fs_type.as_ref().map(|fs_type| format!("fstype=\"{fs_type}\"")));
    if !rule.options.is_empty() {
        // Says how much the kernel logs, and some programs always give it.
        let options = [rule.options.as_slice(), &["silent".to_owned()]].concat();
        words.push(format!("options in ({})", list(&options, String::clone)));
    }
    let source = rule.source.as_deref().map(folder).transpose()?;
    let oldroot = if named == PivotRoot { "oldroot=" } else { "" };
    words.extend(source.map(|source| format!("{oldroot}{source}")));
    let target = rule.target.as_deref().map(folder).transpose()?;
    let arrow = if named == Mount { "-> " } else { "" };
    words.extend(target.map(|target| format!("{arrow}{target}")));
    Ok(words.join(" ") + ",")
}

/// A path as the kernel compares it: that of a folder ends in /, which few people write.
fn folder(path: &str) -> Result<String, String> {
    quote(path)?;
    let slash = if path.ends_with('/') || path.ends_with("**") { "" } else { "{,/}" };
    quote(&format!("{path}{slash}"))
}
