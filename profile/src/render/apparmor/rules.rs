//! The rules that a profile's author wrote, field by field. Pure.
//!
//! Lists add up: a path that is in two of them gets the rights of both, and `deniedPaths` takes away from all.

use std::collections::BTreeSet;

use super::{mount, quote::quote, unix};
use crate::kinds::{
    Problem,
    apparmor::{Abstract, NetworkRules, PtraceRule, SignalRule},
};

/// The rules of every field.
pub(super) fn lines(name: &str, spec: &Abstract) -> Result<Vec<String>, Vec<Problem>> {
    let mut rules = Rules { name, lines: Vec::new(), problems: Vec::new() };
    rules.files(spec);
    rules.lines.extend(spec.network.as_ref().map(network).unwrap_or_default());
    rules.capabilities(spec);
    let one = |line: Result<String, String>| line.map(|line| vec![line]);
    rules.each("ptrace", &spec.ptrace, |name, rule| one(ptrace(name, rule)));
    rules.each("signal", &spec.signal, |name, rule| one(signal(name, rule)));
    rules.each("mount", &spec.mount, |_, rule| mount::lines(rule));
    rules.each("unix", &spec.unix, unix::lines);
    if rules.problems.is_empty() { Ok(rules.lines) } else { Err(rules.problems) }
}

struct Rules<'a> {
    name: &'a str,
    lines: Vec<String>,
    problems: Vec<Problem>,
}

impl Rules<'_> {
    /// Adds the rules of a list, sorted.
    fn each<T>(
        &mut self,
        field: &str,
        items: &[T],
        lines: impl Fn(&str, &T) -> Result<Vec<String>, String>,
    ) {
        let mut sorted = BTreeSet::new();
        for (place, item) in items.iter().enumerate() {
            match lines(self.name, item) {
                Ok(lines) => sorted.extend(lines),
                Err(message) => {
                    let field = format!("spec.abstract.{field}[{place}]");
                    self.problems.push(Problem { field, message });
                }
            }
        }
        self.lines.extend(sorted);
    }

    fn files(&mut self, spec: &Abstract) {
        let programs = spec.executable.clone().unwrap_or_default();
        let files = spec.filesystem.clone().unwrap_or_default();
        let lists = [
            // A script is read by its interpreter, and a loader maps the program it is given.
            ("executable.allowedExecutables", programs.allowed_executables, "", "mrix"),
            ("executable.allowedLibraries", programs.allowed_libraries, "", "mr"),
            ("filesystem.readOnlyPaths", files.read_only_paths, "", "r"),
            // Who may write a file may lock it, and give it another name.
            ("filesystem.writeOnlyPaths", files.write_only_paths, "", "wlk"),
            ("filesystem.readWritePaths", files.read_write_paths, "", "rwlk"),
            // Without audit the kernel would say nothing of what it refuses, and enforce it in complain mode.
            ("filesystem.deniedPaths", files.denied_paths, "audit deny ", "mrwlkx"),
        ];
        for (field, paths, before, access) in lists {
            self.each(field, &paths, |_, path| {
                Ok(vec![format!("{before}{} {access},", quote(path)?)])
            });
        }
    }

    fn capabilities(&mut self, spec: &Abstract) {
        let names = spec.capability.iter().flat_map(|rules| &rules.allowed_capabilities);
        let names: BTreeSet<_> = names.map(|name| plain(name, "cap_")).collect();
        self.lines.extend(names.iter().map(|name| format!("capability {name},")));
    }
}

fn network(rules: &NetworkRules) -> Vec<String> {
    let protocols = rules.allowed_protocols.clone().unwrap_or_default();
    let is = |choice: Option<bool>| choice == Some(true);
    let (tcp, udp) = (is(protocols.allow_tcp), is(protocols.allow_udp));
    let groups: [(bool, &[&str]); 4] = [
        (is(rules.allow_raw), &["network raw,"]),
        (tcp, &["network inet stream,", "network inet6 stream,"]),
        (udp, &["network inet dgram,", "network inet6 dgram,"]),
        // How C libraries learn which addresses there are, before they look up a name.
        (tcp || udp, &["network netlink raw,"]),
    ];
    let allowed = groups.iter().filter(|(allowed, _)| *allowed);
    allowed.flat_map(|(_, lines)| lines.iter().copied()).map(str::to_owned).collect()
}

fn ptrace(name: &str, rule: &PtraceRule) -> Result<String, String> {
    let access = list(&rule.access, |access| access.as_str().to_ascii_lowercase());
    let peer = peer(name, rule.peer.as_deref().unwrap_or("@self"))?;
    Ok(format!("ptrace ({access}) peer={peer},"))
}

fn signal(name: &str, rule: &SignalRule) -> Result<String, String> {
    let access = list(&rule.access, |access| access.as_str().to_ascii_lowercase());
    let known = |signal: &String| match plain(signal, "sig") {
        // AppArmor knows these two by their other names.
        name if name == "tstp" => "stp".to_owned(),
        name if name == "poll" => "io".to_owned(),
        name => name,
    };
    let set = match rule.signals.as_slice() {
        [] => String::new(),
        signals => format!(" set=({})", list(signals, known)),
    };
    let peer = peer(name, rule.peer.as_deref().unwrap_or("@self"))?;
    Ok(format!("signal ({access}){set} peer={peer},"))
}

/// The profile of another process.
pub(super) fn peer(name: &str, peer: &str) -> Result<String, String> {
    quote(if peer == "@self" { name } else { peer })
}

/// Words between parentheses, sorted.
pub(super) fn list<T>(values: &[T], spelling: impl Fn(&T) -> String) -> String {
    let words: BTreeSet<_> = values.iter().map(spelling).collect();
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// A name in lower case and without a prefix.
fn plain(name: &str, prefix: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix(prefix).map(str::to_owned).unwrap_or(name)
}
