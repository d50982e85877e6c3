//! The rules that a profile's author wrote, field by field. Pure.

use std::collections::BTreeSet;

use super::quote::quote;
use crate::kinds::{
    Problem,
    apparmor::{Abstract, MountOperation, MountRule, PtraceRule, SignalRule, UnixRule},
};

/// The rules of every field.
pub(super) fn lines(name: &str, spec: &Abstract) -> Result<Vec<String>, Vec<Problem>> {
    let mut lines = Lines { name, lines: Vec::new(), problems: Vec::new() };
    lines.files(spec);
    lines.network(spec);
    lines.capabilities(spec);
    for (place, rule) in spec.ptrace.iter().enumerate() {
        lines.add(&format!("ptrace[{place}]"), |name| ptrace(name, rule));
    }
    for (place, rule) in spec.signal.iter().enumerate() {
        lines.add(&format!("signal[{place}]"), |name| signal(name, rule));
    }
    for (place, rule) in spec.mount.iter().enumerate() {
        lines.add(&format!("mount[{place}]"), |_| mount(rule));
    }
    for (place, rule) in spec.unix.iter().enumerate() {
        lines.add(&format!("unix[{place}]"), |name| unix(name, rule));
    }
    if lines.problems.is_empty() { Ok(lines.lines) } else { Err(lines.problems) }
}

struct Lines<'a> {
    name: &'a str,
    lines: Vec<String>,
    problems: Vec<Problem>,
}

impl Lines<'_> {
    fn add(&mut self, field: &str, line: impl FnOnce(&str) -> Result<String, String>) {
        match line(self.name) {
            Ok(line) => self.lines.push(line),
            Err(message) => {
                self.problems.push(Problem { field: format!("spec.abstract.{field}"), message });
            }
        }
    }

    fn files(&mut self, spec: &Abstract) {
        let programs = spec.executable.clone().unwrap_or_default();
        let files = spec.filesystem.clone().unwrap_or_default();
        let lists = [
            ("executable.allowedExecutables", "", programs.allowed_executables, "mrix"),
            ("executable.allowedLibraries", "", programs.allowed_libraries, "mr"),
            ("filesystem.readOnlyPaths", "", files.read_only_paths, "r"),
            ("filesystem.writeOnlyPaths", "", files.write_only_paths, "wlk"),
            ("filesystem.readWritePaths", "", files.read_write_paths, "rwlk"),
            ("filesystem.deniedPaths", "audit deny ", files.denied_paths, "mrwlkx"),
        ];
        for (field, before, paths, access) in lists {
            for (place, path) in paths.iter().enumerate() {
                self.add(&format!("{field}[{place}]"), |_| {
                    Ok(format!("{before}{} {access},", quote(path)?))
                });
            }
        }
    }

    fn network(&mut self, spec: &Abstract) {
        let network = spec.network.clone().unwrap_or_default();
        let protocols = network.allowed_protocols.unwrap_or_default();
        let (tcp, udp) = (protocols.allow_tcp == Some(true), protocols.allow_udp == Some(true));
        let mut rule = |line: &str| self.lines.push(line.to_owned());
        if network.allow_raw == Some(true) {
            rule("network raw,");
        }
        if tcp {
            rule("network inet stream,");
            rule("network inet6 stream,");
        }
        if udp {
            rule("network inet dgram,");
            rule("network inet6 dgram,");
        }
        if tcp || udp {
            // How C libraries find out which addresses the container has, before they look up a name.
            rule("network netlink raw,");
        }
    }

    fn capabilities(&mut self, spec: &Abstract) {
        let capability = spec.capability.clone().unwrap_or_default();
        let plain = |name: &String| {
            let name = name.to_ascii_lowercase();
            name.strip_prefix("cap_").map_or(name.clone(), str::to_owned)
        };
        let names: BTreeSet<_> = capability.allowed_capabilities.iter().map(plain).collect();
        self.lines.extend(names.iter().map(|name| format!("capability {name},")));
    }
}

/// The other process's profile.
fn peer(name: &str, peer: &str) -> Result<String, String> {
    if peer == "@self" { quote(name) } else { quote(peer) }
}

fn list<T: Ord>(values: &[T], spelling: impl Fn(&T) -> String) -> String {
    let values: BTreeSet<_> = values.iter().map(spelling).collect();
    values.into_iter().collect::<Vec<_>>().join(", ")
}

fn ptrace(name: &str, rule: &PtraceRule) -> Result<String, String> {
    let access = list(&rule.access, |access| access.as_str().to_ascii_lowercase());
    let peer = peer(name, rule.peer.as_deref().unwrap_or("@self"))?;
    Ok(format!("ptrace ({access}) peer={peer},"))
}

fn signal(name: &str, rule: &SignalRule) -> Result<String, String> {
    let access = list(&rule.access, |access| access.as_str().to_ascii_lowercase());
    let plain = |signal: &String| {
        let signal = signal.to_ascii_lowercase();
        signal.strip_prefix("sig").map_or(signal.clone(), str::to_owned)
    };
    let set = match rule.signals.as_slice() {
        [] => String::new(),
        signals => format!(" set=({})", list(signals, plain)),
    };
    let peer = peer(name, rule.peer.as_deref().unwrap_or("@self"))?;
    Ok(format!("signal ({access}){set} peer={peer},"))
}

fn mount(rule: &MountRule) -> Result<String, String> {
    let mut line = match rule.operation {
        MountOperation::Mount => "mount",
        MountOperation::Remount => "remount",
        MountOperation::Umount => "umount",
        MountOperation::PivotRoot => "pivot_root",
    }
    .to_owned();
    if let Some(fs_type) = &rule.fs_type {
        line += &format!(" fstype=\"{fs_type}\"");
    }
    if !rule.options.is_empty() {
        line += &format!(" options in ({})", list(&rule.options, String::clone));
    }
    if let Some(source) = &rule.source {
        let source = quote(source)?;
        line += &match rule.operation {
            MountOperation::PivotRoot => format!(" oldroot={source}"),
            _ => format!(" {source}"),
        };
    }
    if let Some(target) = &rule.target {
        let arrow = if rule.operation == MountOperation::Mount { "-> " } else { "" };
        line += &format!(" {arrow}{}", quote(target)?);
    }
    Ok(line + ",")
}

fn unix(name: &str, rule: &UnixRule) -> Result<String, String> {
    let mut line = "unix".to_owned();
    if let Some(socket_type) = rule.socket_type {
        line += &format!(" type={}", socket_type.as_str().to_ascii_lowercase());
    }
    if let Some(address) = &rule.address {
        line += &format!(" addr={}", quote(address)?);
    }
    if let Some(other) = &rule.peer {
        line += &format!(" peer=(label={})", peer(name, other)?);
    }
    Ok(line + ",")
}
