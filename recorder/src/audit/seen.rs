//! From records to what was seen: what a profile would have to allow for them not to be written again. Pure.
//!
//! What was granted needs no rule, and what a program decided, and not the kernel, is no rule of the kernel's: both give
//! nothing. Denied and only complained of is the same here.

use profile::kinds::seccomp::Arch;

use super::{AppArmor, Seccomp, Selinux, Verdict};
use crate::seen::{Access, MountOperation, Permission, Ways};

impl Verdict {
    /// As it is written in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Allowed => "allowed",
            Self::Granted => "granted",
            Self::Status => "status",
        }
    }

    /// Whether the policy does not allow it, be it that it was denied or complained of.
    pub fn is_against_policy(self) -> bool {
        matches!(self, Self::Denied | Self::Allowed)
    }
}

impl Seccomp<'_> {
    /// The call, by architecture and number; none where the architecture is not known here.
    pub fn call(&self) -> Option<(Arch, u32)> {
        Some((self.arch?, self.number))
    }
}

impl Selinux<'_> {
    /// One for each permission that was asked for.
    pub fn permitted(&self) -> Vec<Permission> {
        if self.by_program || !self.verdict.is_against_policy() {
            return Vec::new();
        }
        let each = self.permissions.iter().map(|permission| Permission {
            scontext: self.scontext.to_owned(),
            tcontext: self.tcontext.to_owned(),
            tclass: self.tclass.to_owned(),
            permission: (*permission).to_owned(),
        });
        each.collect()
    }
}

impl AppArmor<'_> {
    /// Whether it is about this profile, or about what was started under it: `NAME//null-/usr/bin/id`, `NAME//child`.
    pub fn is_under(&self, profile: &str) -> bool {
        self.profile.as_deref().map(outermost) == Some(profile)
    }

    /// What was asked for: nothing where no rule stands for it, such as a path that is not absolute; two where a link
    /// was made.
    pub fn accesses(&self) -> Vec<Access> {
        if !self.verdict.is_against_policy() {
            return Vec::new();
        }
        if let Some(name) = &self.capability {
            return vec![Access::Capability(name.to_string())];
        }
        if let (Some(family), Some(kind)) = (&self.family, &self.sock_type) {
            let socket = Access::Socket {
                family: family.to_string(),
                kind: kind.to_string(),
                protocol: self.protocol.unwrap_or_default(),
            };
            let named = [&self.addr, &self.peer_addr].into_iter().flatten();
            let named = named.filter_map(|address| unix(kind, address));
            return std::iter::once(socket).chain(named).collect();
        }
        let asked = self.requested.as_deref().unwrap_or_default();
        match &*self.operation {
            "signal" => self.signal(asked).into_iter().collect(),
            "ptrace" => self.ptrace(asked).into_iter().collect(),
            "mount" | "umount" | "pivotroot" => self.mount().into_iter().collect(),
            // Of an abstract socket, a message queue or a bus the name is no path.
            operation if operation.starts_with("dbus_") || self.is_of_class(&NOT_FILES) => {
                Vec::new()
            }
            _ => self.files(asked),
        }
    }

    fn is_of_class(&self, classes: &[&str]) -> bool {
        self.class.as_deref().is_some_and(|class| classes.contains(&class))
    }

    fn is_inside(&self) -> bool {
        match (&self.profile, &self.peer) {
            (Some(own), Some(peer)) => outermost(own) == outermost(peer),
            _ => false,
        }
    }

    /// What comes from outside is not what the container does; every profile lets runtimes do it.
    fn signal(&self, asked: &str) -> Option<Access> {
        let inside = self.is_inside();
        let signal = self.signal.as_ref()?.to_string();
        (asked.contains("send") || inside).then_some(Access::Signal { signal, inside })
    }

    fn ptrace(&self, asked: &str) -> Option<Access> {
        let inside = self.is_inside();
        let read = asked.contains("read");
        (!asked.ends_with("by") || inside).then_some(Access::Ptrace { read, inside })
    }

    fn mount(&self) -> Option<Access> {
        let named = self.flags.as_deref().unwrap_or_default().split([',', ' ']);
        let mut options: Vec<_> =
            named.filter(|flag| !matches!(*flag, "" | "rw")).map(str::to_owned).collect();
        options.sort_unstable();
        options.dedup();
        let operation = match &*self.operation {
            "umount" => MountOperation::Umount,
            "pivotroot" => MountOperation::PivotRoot,
            _ if options.iter().any(|option| option == "remount") => MountOperation::Remount,
            _ => MountOperation::Mount,
        };
        options.retain(|option| option != "remount");
        Some(Access::Mount {
            operation,
            source: self.srcname.as_ref().map(ToString::to_string),
            target: absolute(self.name.as_deref()?)?,
            fstype: self.fstype.as_ref().map(ToString::to_string),
            options,
        })
    }

    fn files(&self, asked: &str) -> Vec<Access> {
        let mut ways = asked.chars().filter_map(way).fold(Ways::default(), |all, way| all | way);
        let mut files = Vec::new();
        let mut file = |name: Option<&str>, ways| {
            if let Some(path) = name.and_then(absolute).filter(|_| ways != Ways::default()) {
                files.push(Access::File { path, ways });
            }
        };
        match &*self.operation {
            "rename_src" | "rename_dest" => ways = ways | Ways::RENAME,
            // Here the target is the file that gets one more name, and not a profile.
            "link" => file(self.target.as_deref(), Ways::LINK),
            _ => {}
        }
        file(self.name.as_deref(), ways);
        files
    }
}

/// Classes of records with names that are no paths (`aa_class_names` of the kernel's `security/apparmor/audit.c`).
const NOT_FILES: [&str; 5] = ["net", "posix_mqueue", "namespace", "io_uring", "dbus"];

/// The letters of the kernel's `aa_file_perm_chrs` (`security/apparmor/lib.c`).
fn way(letter: char) -> Option<Ways> {
    Some(match letter {
        'r' => Ways::READ,
        'w' | 'a' => Ways::WRITE,
        'x' => Ways::EXEC,
        'm' => Ways::MAP_EXEC,
        'c' => Ways::CREATE,
        'd' => Ways::REMOVE,
        'k' => Ways::LOCK,
        'l' => Ways::LINK,
        _ => return None,
    })
}

/// The profile under which everything began.
fn outermost(label: &str) -> &str {
    label.split("//").next().unwrap_or(label)
}

/// A unix socket by its address.
fn unix(kind: &str, address: &str) -> Option<Access> {
    if address.starts_with('@') {
        return Some(Access::Unix { kind: kind.to_owned(), address: address.to_owned() });
    }
    Some(Access::File { path: absolute(address)?, ways: Ways::READ | Ways::WRITE })
}

/// Of a disconnected path nobody knows what it is below.
fn absolute(path: &str) -> Option<String> {
    path.starts_with('/').then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::{Record, parse};

    fn accesses(rest: &str) -> Vec<Access> {
        let line = format!("type=1400 audit(1.1:1): {rest}");
        match parse(&line) {
            Some(Record::AppArmor(record)) => record.accesses(),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn file(path: &str, ways: Ways) -> Vec<Access> {
        vec![Access::File { path: path.to_owned(), ways }]
    }

    #[test]
    fn files_are_told_by_their_masks() {
        for (rest, right) in [
            (
                r#"apparmor="ALLOWED" operation="open" profile="p" name="/etc/passwd" requested_mask="r""#,
                file("/etc/passwd", Ways::READ),
            ),
            (
                r#"apparmor="DENIED" operation="open" profile="p" name="/f" requested_mask="wrc" denied_mask="wc""#,
                file("/f", Ways::READ | Ways::WRITE | Ways::CREATE),
            ),
            (
                r#"apparmor="DENIED" operation="mkdir" class="file" profile="p" name="/tmp/x/" requested_mask="c""#,
                file("/tmp/x/", Ways::CREATE),
            ),
            (
                r#"apparmor="ALLOWED" operation="mknod" profile="p" name="/f" requested_mask="c""#,
                file("/f", Ways::CREATE),
            ),
            (
                r#"apparmor="ALLOWED" operation="unlink" profile="p" name="/f" requested_mask="d""#,
                file("/f", Ways::REMOVE),
            ),
            (
                r#"apparmor="ALLOWED" operation="rename_src" profile="p" name="/f" requested_mask="wrd""#,
                file("/f", Ways::READ | Ways::WRITE | Ways::REMOVE | Ways::RENAME),
            ),
            (
                r#"apparmor="ALLOWED" operation="rename_dest" profile="p" name="/g" requested_mask="wc""#,
                file("/g", Ways::WRITE | Ways::CREATE | Ways::RENAME),
            ),
            (
                r#"apparmor="ALLOWED" operation="exec" profile="p" name="/usr/bin/id" requested_mask="x" target="p//null-/usr/bin/id""#,
                file("/usr/bin/id", Ways::EXEC),
            ),
            (
                r#"apparmor="ALLOWED" operation="file_mmap" profile="p" name="/lib/libc.so.6" requested_mask="rm""#,
                file("/lib/libc.so.6", Ways::READ | Ways::MAP_EXEC),
            ),
            (
                r#"apparmor="ALLOWED" operation="file_lock" profile="p" name="/f" requested_mask="k""#,
                file("/f", Ways::LOCK),
            ),
            (
                r#"apparmor="ALLOWED" operation="chmod" profile="p" name=2F746D702F6120622F78 requested_mask="w""#,
                file("/tmp/a b/x", Ways::WRITE),
            ),
            (
                r#"apparmor="ALLOWED" operation="truncate" profile="p" name="/f" requested_mask="a""#,
                file("/f", Ways::WRITE),
            ),
        ] {
            assert_eq!(accesses(rest), right, "{rest}");
        }
    }

    #[test]
    fn a_link_is_about_two_names() {
        let rest = r#"apparmor="ALLOWED" operation="link" profile="p" name="/new" requested_mask="l" target="/old""#;
        assert_eq!(
            accesses(rest),
            [file("/old", Ways::LINK), file("/new", Ways::LINK)].concat(),
            "{rest}"
        );
    }

    #[test]
    fn unix_sockets_are_told_by_their_addresses() {
        let socket = Access::Socket { family: "unix".into(), kind: "stream".into(), protocol: 0 };
        let unix = |address: &str| Access::Unix { kind: "stream".into(), address: address.into() };
        let record = |rest: &str| {
            accesses(&format!(
                r#"apparmor="DENIED" operation="connect" class="net" profile="p" pid=7 comm="x" family="unix" sock_type="stream" protocol=0 {rest} peer="unconfined""#
            ))
        };
        for (rest, right) in [
            (
                r#"requested_mask="send receive connect" denied_mask="send connect" addr=none peer_addr="@/tmp/.X11-unix/X0""#,
                vec![socket.clone(), unix("@/tmp/.X11-unix/X0")],
            ),
            (
                r#"requested="bind" denied="bind" addr="@a b" peer_addr=none"#,
                vec![socket.clone(), unix("@a b")],
            ),
            (
                r#"requested_mask="send" addr="/run/x" peer_addr=none"#,
                [&[socket.clone()][..], &file("/run/x", Ways::READ | Ways::WRITE)].concat(),
            ),
            (r#"requested="send receive" addr=none peer_addr=none"#, vec![socket]),
        ] {
            assert_eq!(record(rest), right, "{rest}");
        }
    }

    #[test]
    fn what_is_no_file_is_told_by_its_own_fields() {
        for (rest, right) in [
            (
                r#"apparmor="ALLOWED" operation="capable" profile="p" capability=21  capname="sys_admin""#,
                Access::Capability("sys_admin".into()),
            ),
            (
                r#"apparmor="DENIED" operation="bind" profile="p" family="inet6" sock_type="dgram" protocol=17 requested_mask="bind""#,
                Access::Socket { family: "inet6".into(), kind: "dgram".into(), protocol: 17 },
            ),
            (
                r#"apparmor="DENIED" operation="connect" class="net" profile="p" name="/run/x" family="unix" sock_type="stream" protocol=0 requested_mask="send receive""#,
                Access::Socket { family: "unix".into(), kind: "stream".into(), protocol: 0 },
            ),
            (
                r#"apparmor="ALLOWED" operation="signal" profile="p" requested_mask="send" signal=term peer="p//null-/bin/x""#,
                Access::Signal { signal: "term".into(), inside: true },
            ),
            (
                r#"apparmor="ALLOWED" operation="signal" profile="p" requested_mask="send" signal=kill peer="unconfined""#,
                Access::Signal { signal: "kill".into(), inside: false },
            ),
            (
                r#"apparmor="DENIED" operation="ptrace" profile="p" requested_mask="trace" peer="p""#,
                Access::Ptrace { read: false, inside: true },
            ),
            (
                r#"apparmor="DENIED" operation="ptrace" profile="p" requested_mask="read" peer="unconfined""#,
                Access::Ptrace { read: true, inside: false },
            ),
            (
                r#"apparmor="DENIED" operation="mount" info="failed mntpnt match" error=-13 profile="p" name="/mnt/" fstype="tmpfs" srcname="none" flags="rw, nosuid, nodev""#,
                Access::Mount {
                    operation: MountOperation::Mount,
                    source: Some("none".into()),
                    target: "/mnt/".into(),
                    fstype: Some("tmpfs".into()),
                    options: vec!["nodev".into(), "nosuid".into()],
                },
            ),
            (
                r#"apparmor="DENIED" operation="mount" profile="p" name="/" flags="ro, remount, bind""#,
                Access::Mount {
                    operation: MountOperation::Remount,
                    source: None,
                    target: "/".into(),
                    fstype: None,
                    options: vec!["bind".into(), "ro".into()],
                },
            ),
            (
                r#"apparmor="DENIED" operation="umount" profile="p" name="/mnt/""#,
                Access::Mount {
                    operation: MountOperation::Umount,
                    source: None,
                    target: "/mnt/".into(),
                    fstype: None,
                    options: Vec::new(),
                },
            ),
            (
                r#"apparmor="DENIED" operation="pivotroot" profile="p" name="/new/" srcname="/new/old/""#,
                Access::Mount {
                    operation: MountOperation::PivotRoot,
                    source: Some("/new/old/".into()),
                    target: "/new/".into(),
                    fstype: None,
                    options: Vec::new(),
                },
            ),
        ] {
            assert_eq!(accesses(rest), [right], "{rest}");
        }
    }

    #[test]
    fn what_needs_no_rule_gives_none() {
        for rest in [
            r#"apparmor="AUDIT" operation="open" profile="p" name="/f" requested_mask="r""#,
            r#"apparmor="STATUS" operation="profile_load" profile="unconfined" name="p""#,
            r#"apparmor="DENIED" operation="open" info="Failed name lookup - disconnected path" profile="p" name="run/x" requested_mask="r""#,
            r#"apparmor="DENIED" operation="signal" profile="p" requested_mask="receive" signal=term peer="unconfined""#,
            r#"apparmor="DENIED" operation="ptrace" profile="p" requested_mask="tracedby" peer="gdb""#,
            r#"apparmor="DENIED" operation="userns_create" class="namespace" profile="p" requested="userns_create""#,
            r#"apparmor="DENIED" operation="dbus_method_call" profile="p" name="/org/x" requested_mask="send""#,
            r#"apparmor="DENIED" operation="change_profile" profile="p" name="/x""#,
        ] {
            assert_eq!(accesses(rest), [], "{rest}");
        }
    }

    #[test]
    fn a_record_is_under_the_profile_that_it_began_with() {
        let line = |profile: &str| {
            format!(r#"type=1400 audit(1.1:1): apparmor="ALLOWED" operation="open" {profile}"#)
        };
        let is_under = |profile: &str, name| match parse(&line(profile)) {
            Some(Record::AppArmor(record)) => record.is_under(name),
            other => panic!("{other:?}"),
        };
        assert!(is_under(r#"profile="p""#, "p"));
        assert!(is_under(r#"profile="p//null-/usr/bin/id//null-/bin/x""#, "p"));
        assert!(!is_under(r#"profile="p2""#, "p"));
        assert!(!is_under("name=\"/f\"", ""), "a record without a profile is under none");
    }

    #[test]
    fn permissions_are_of_what_the_kernel_denies() {
        let permitted = |line: &str| match parse(line) {
            Some(Record::Selinux(record)) => record.permitted(),
            other => panic!("{line}: {other:?}"),
        };
        let contexts = "scontext=u:r:a_t:s0:c1,c2 tcontext=u:object_r:b_t:s0 tclass=file";
        let denied = format!(
            "type=1400 audit(1.1:1): avc:  denied  {{ write open }} for  pid=1 {contexts} permissive=1"
        );
        let found = permitted(&denied);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[1],
            Permission {
                scontext: "u:r:a_t:s0:c1,c2".into(),
                tcontext: "u:object_r:b_t:s0".into(),
                tclass: "file".into(),
                permission: "open".into(),
            }
        );
        assert_eq!(permitted(&denied.replace("denied", "granted")), []);
        let program = format!(
            "type=USER_AVC msg=audit(1.1:1): pid=1 msg='avc:  denied  {{ start }} for {contexts}'"
        );
        assert_eq!(permitted(&program), []);
    }

    proptest! {
        #[test]
        fn every_file_is_absolute_and_used_in_some_way(
            operation in "(open|link|rename_src|mount|exec|[a-z_]{1,12})",
            name in "\\PC{0,12}",
            mask in "[a-z]{0,6}",
        ) {
            let hex = name.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
            let rest = format!(
                "apparmor=\"DENIED\" operation=\"{operation}\" profile=\"p\" name={hex} requested_mask=\"{mask}\""
            );
            for access in accesses(&rest) {
                match access {
                    Access::File { path, ways } => {
                        prop_assert!(path.starts_with('/') && ways != Ways::default());
                    }
                    Access::Mount { target, .. } => prop_assert!(target.starts_with('/')),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }
}
