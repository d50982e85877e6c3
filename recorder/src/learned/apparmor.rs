//! Makes an AppArmor profile of what one that only complains has reported. Pure.

use std::collections::BTreeSet;

use profile::kinds::{
    AppArmorProfile, AppArmorProfileSpec,
    apparmor::{
        Abstract, AllowedProtocols, CapabilityRules, ExecutableRules, FilesystemRules, NetworkRules,
    },
};

use super::path;
use crate::audit::{AppArmor, Verdict};

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

/// A profile, and what it could not take in.
#[derive(Clone, Debug)]
pub struct Learned {
    pub profile: AppArmorProfile,
    /// Operations for which there is no rule here, such as mounts, each once.
    pub left: BTreeSet<String>,
}

/// The profile that allows what was asked for under this one, and by what was started under it.
pub fn profile<'a>(
    name: &str,
    recorded: &str,
    records: impl IntoIterator<Item = &'a AppArmor<'a>>,
) -> Learned {
    let (mut asked, mut left) = (Asked::default(), BTreeSet::new());
    for record in records {
        let reported = matches!(record.verdict, Verdict::Denied | Verdict::Allowed);
        let under = record.profile.as_deref().unwrap_or_default();
        // `NAME//null-/usr/bin/id` is what a program gets that was started under a complaining profile.
        let own = under == recorded || under.split("//").next() == Some(recorded);
        if reported && own && !asked.take(record) {
            left.insert(record.operation.to_string());
        }
    }
    let spec =
        AppArmorProfileSpec { abstract_: Some(asked.rules()), ..AppArmorProfileSpec::default() };
    Learned { profile: AppArmorProfile::new(name, spec), left }
}

impl Asked {
    /// Takes in a record; false when there is no rule for it here.
    fn take(&mut self, record: &AppArmor<'_>) -> bool {
        if let Some(capability) = &record.capability {
            self.capabilities.insert(capability.to_string());
            return true;
        }
        if let (Some(family), Some(kind)) = (&record.family, &record.sock_type) {
            return self.take_socket(family, kind);
        }
        let (Some(name), Some(mask)) = (&record.name, &record.requested) else { return false };
        if record.operation == "mount" || record.operation == "umount" {
            return false;
        }
        if !path::can_be_named(name) {
            return false;
        }
        let path = path::general(name);
        let has = |letters: &[char]| mask.contains(letters);
        if has(&['x']) {
            self.executables.insert(path.clone());
        }
        if has(&['m']) {
            self.libraries.insert(path.clone());
        }
        if has(&['r']) {
            self.read.insert(path.clone());
        }
        // Appending, creating, deleting, linking and locking are ways to write.
        if has(&['w', 'a', 'c', 'd', 'l', 'k']) {
            self.written.insert(path);
        }
        has(&['x', 'm', 'r', 'w', 'a', 'c', 'd', 'l', 'k'])
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
        let (read, written) = (path::collapsed(read), path::collapsed(written));
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
                    allowed_libraries: list(&path::collapsed(libraries)),
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
    use crate::audit::{Record, parse};

    const LINES: &str = r#"
type=1400 audit(1.1:1): apparmor="ALLOWED" operation="open" profile="rec" name="/etc/passwd" pid=1 comm="x" requested_mask="r" denied_mask="r"
type=1400 audit(1.1:2): apparmor="ALLOWED" operation="mknod" profile="rec" name="/var/log/x" pid=1 comm="x" requested_mask="c" denied_mask="c"
type=1400 audit(1.1:3): apparmor="ALLOWED" operation="open" profile="rec" name="/var/log/x" pid=1 comm="x" requested_mask="r" denied_mask="r"
type=1400 audit(1.1:4): apparmor="ALLOWED" operation="exec" profile="rec" name="/usr/bin/id" pid=1 comm="x" requested_mask="x" denied_mask="x" target="rec//null-/usr/bin/id"
type=1400 audit(1.1:5): apparmor="ALLOWED" operation="file_mmap" profile="rec//null-/usr/bin/id" name="/lib/libc.so.6" pid=1 comm="id" requested_mask="rm" denied_mask="rm"
type=1400 audit(1.1:6): apparmor="ALLOWED" operation="capable" profile="rec" pid=1 comm="x" capability=7  capname="setuid"
type=1400 audit(1.1:7): apparmor="ALLOWED" operation="create" profile="rec" pid=1 comm="x" family="inet6" sock_type="stream" protocol=6 requested_mask="create" denied_mask="create"
type=1400 audit(1.1:8): apparmor="ALLOWED" operation="mount" profile="rec" name="/mnt/" pid=1 comm="x" fstype="tmpfs" srcname="none"
type=1400 audit(1.1:9): apparmor="DENIED" operation="open" profile="other" name="/etc/shadow" pid=1 comm="x" requested_mask="r" denied_mask="r"
"#;

    #[test]
    fn what_was_reported_becomes_a_profile_that_renders() {
        let records: Vec<_> = LINES
            .lines()
            .filter_map(|line| match parse(line) {
                Some(Record::AppArmor(record)) => Some(*record),
                _ => None,
            })
            .collect();
        assert_eq!(records.len(), 9);
        let Learned { profile, left } = profile("p", "rec", &records);
        assert_eq!(left.into_iter().collect::<Vec<_>>(), ["mount"]);
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
        let text = render::apparmor::render("p", &profile.spec).unwrap();
        assert!(!text.contains("shadow"), "{text}");
    }
}
