//! Makes an AppArmor profile of the accesses that were seen. Pure.

use std::collections::BTreeSet;

use profile::kinds::{
    AppArmorProfile, AppArmorProfileSpec,
    apparmor::{
        Abstract, AllowedProtocols, CapabilityRules, ExecutableRules, FilesystemRules, NetworkRules,
    },
};

use super::Profile;
use crate::seen::{
    Access, Seen, Ways,
    fold::{self, Use},
};

/// What was asked for.
#[derive(Debug, Default)]
struct Asked {
    executables: BTreeSet<String>,
    libraries: BTreeSet<String>,
    read: BTreeSet<String>,
    written: BTreeSet<String>,
    capabilities: BTreeSet<String>,
    tcp: bool,
    udp: bool,
    raw: bool,
}

/// The profile that allows what was seen.
pub fn profile(name: &str, seen: &Seen) -> Profile<AppArmorProfile> {
    let (mut asked, mut left) = (Asked::default(), BTreeSet::new());
    for (path, ways) in seen.files().iter() {
        asked.take_file(path, ways);
    }
    for access in seen.others() {
        match access {
            Access::Capability(name) => drop(asked.capabilities.insert(name.clone())),
            Access::Socket { family, kind, .. } if asked.take_socket(family, kind) => {}
            other => drop(left.insert(format!("{other:?}"))),
        }
    }
    let spec =
        AppArmorProfileSpec { abstract_: Some(asked.rules()), ..AppArmorProfileSpec::default() };
    Profile { profile: AppArmorProfile::new(name, spec), left: left.into_iter().collect() }
}

impl Asked {
    fn take_file(&mut self, path: &str, ways: Ways) {
        if ways.has(Ways::EXEC) {
            self.executables.insert(path.to_owned());
        }
        if ways.has(Ways::MAP_EXEC) {
            self.libraries.insert(path.to_owned());
        }
        if ways.has(Ways::READ) {
            self.read.insert(path.to_owned());
        }
        // Creating, deleting, renaming, linking and locking are ways to write.
        let written = Ways::WRITE | Ways::CREATE | Ways::REMOVE | Ways::RENAME | Ways::LINK;
        if ways.has(written | Ways::LOCK) {
            self.written.insert(path.to_owned());
        }
    }

    fn take_socket(&mut self, family: &str, kind: &str) -> bool {
        match (family, kind) {
            ("inet" | "inet6", "stream") => self.tcp = true,
            ("inet" | "inet6", "dgram") => self.udp = true,
            ("inet" | "inet6", "raw") | ("packet", _) => self.raw = true,
            _ => return false,
        }
        true
    }

    fn rules(self) -> Abstract {
        let Self { executables, libraries, read, written, capabilities, tcp, udp, raw } = self;
        let (read, written) =
            (fold::by_folder(read, Use::Read), fold::by_folder(written, Use::Changed));
        let list = |paths: &BTreeSet<String>| -> Vec<String> { paths.iter().cloned().collect() };
        let both: BTreeSet<_> = read.intersection(&written).cloned().collect();
        let only = |these: &BTreeSet<String>| -> Vec<String> {
            these.difference(&both).cloned().collect()
        };
        let network = tcp || udp || raw;
        Abstract {
            executable: (!executables.is_empty() || !libraries.is_empty()).then(|| {
                ExecutableRules {
                    allowed_executables: list(&executables),
                    allowed_libraries: list(&fold::by_folder(libraries, Use::Read)),
                }
            }),
            filesystem: (!read.is_empty() || !written.is_empty()).then(|| FilesystemRules {
                read_only_paths: only(&read),
                write_only_paths: only(&written),
                read_write_paths: list(&both),
                denied_paths: Vec::new(),
            }),
            network: network.then(|| NetworkRules {
                allow_raw: raw.then_some(true),
                allowed_protocols: Some(AllowedProtocols {
                    allow_tcp: tcp.then_some(true),
                    allow_udp: udp.then_some(true),
                }),
            }),
            capability: (!capabilities.is_empty())
                .then(|| CapabilityRules { allowed_capabilities: list(&capabilities) }),
            ..Abstract::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use profile::render;

    use super::*;

    #[test]
    fn what_was_seen_becomes_a_profile_that_renders() {
        let mut seen = Seen::default();
        for (path, ways) in [
            ("/etc/passwd", Ways::READ),
            ("/var/log/x", Ways::CREATE | Ways::READ),
            ("/usr/bin/id", Ways::EXEC),
            ("/lib/libc.so.6", Ways::READ | Ways::MAP_EXEC),
        ] {
            seen.access(Access::File { path: path.to_owned(), ways });
        }
        seen.access(Access::Capability("setuid".to_owned()));
        let socket = |family: &str| Access::Socket {
            family: family.to_owned(),
            kind: "stream".to_owned(),
            protocol: 6,
        };
        seen.access(socket("inet6"));
        seen.access(socket("vsock"));
        let Profile { profile, left } = profile("p", &seen);
        assert_eq!(left.len(), 1);
        let rules = profile.spec.abstract_.clone().unwrap();
        let files = rules.filesystem.unwrap();
        assert_eq!(files.read_only_paths, ["/etc/passwd", "/lib/libc.so.6"]);
        assert_eq!(files.read_write_paths, ["/var/log/x"]);
        assert!(files.write_only_paths.is_empty());
        let programs = rules.executable.unwrap();
        assert_eq!(programs.allowed_executables, ["/usr/bin/id"]);
        assert_eq!(programs.allowed_libraries, ["/lib/libc.so.6"]);
        assert_eq!(rules.capability.unwrap().allowed_capabilities, ["setuid"]);
        let protocols = rules.network.unwrap().allowed_protocols.unwrap();
        assert_eq!((protocols.allow_tcp, protocols.allow_udp), (Some(true), None));
        render::apparmor::render("p", &profile.spec).unwrap();
    }
}
