//! What AppArmor profiles allow of what was seen, and beyond it.

use profile::{
    algebra::apparmor::{Permission, matches, permissions},
    kinds::{Validate as _, apparmor::MountOperation},
};
use proptest::{prelude::*, sample::select};

use super::{
    bound::{Follows, follows},
    *,
};
use crate::seen::{Access, MountOperation as Done, Ways};

fn file(path: &str, ways: Ways) -> Access {
    Access::File { path: path.to_owned(), ways }
}

fn socket(family: &str, kind: &str) -> Access {
    Access::Socket { family: family.to_owned(), kind: kind.to_owned(), protocol: 0 }
}

fn mount(operation: Done, target: &str, fstype: Option<&str>, options: &[&str]) -> Access {
    Access::Mount {
        operation,
        source: Some("none".to_owned()),
        target: target.to_owned(),
        fstype: fstype.map(str::to_owned),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn seen(accesses: impl IntoIterator<Item = Access>) -> Seen {
    let mut seen = Seen::default();
    for access in accesses {
        seen.access(access);
    }
    seen
}

fn learned(accesses: impl IntoIterator<Item = Access>) -> (Abstract, Vec<String>) {
    let Profile { profile, left } = profile("p", &seen(accesses), &Options::default());
    assert_eq!(profile.validate(), []);
    render::apparmor::render("p", &profile.spec).unwrap();
    (profile.spec.abstract_.unwrap(), left)
}

#[test]
fn each_path_is_in_the_lists_that_give_it_its_rights() {
    let (rules, left) = learned([
        file("/etc/passwd", Ways::READ),
        file("/var/log/x", Ways::CREATE | Ways::READ),
        file("/var/log/y", Ways::WRITE),
        file("/usr/bin/id", Ways::EXEC | Ways::READ),
        file("/lib/libc.so.6", Ways::READ | Ways::MAP_EXEC),
        file("/var/lib/old", Ways::RENAME),
        file("/var/lib/link", Ways::LINK),
        file("/app/plugin.so", Ways::MAP_EXEC | Ways::WRITE),
    ]);
    assert_eq!(left, [""; 0]);
    let files = rules.filesystem.unwrap();
    assert_eq!(files.read_only_paths, ["/etc/passwd"]);
    assert_eq!(files.write_only_paths, ["/app/plugin.so", "/var/log/y"]);
    assert_eq!(files.read_write_paths, ["/var/lib/link", "/var/lib/old", "/var/log/x"]);
    let programs = rules.executable.unwrap();
    assert_eq!(programs.allowed_executables, ["/usr/bin/id"]);
    assert_eq!(programs.allowed_libraries, ["/app/plugin.so", "/lib/libc.so.6"]);
}

#[test]
fn sockets_and_capabilities_have_fields_or_are_told() {
    let (rules, left) = learned([
        Access::Capability("setuid".to_owned()),
        Access::Capability("cap_99".to_owned()),
        socket("inet6", "stream"),
        socket("unix", "dgram"),
        socket("vsock", "stream"),
        Access::Unix { kind: "stream".to_owned(), address: "@/tmp/dbus-Ab3dEf7h".to_owned() },
    ]);
    assert_eq!(rules.capability.unwrap().allowed_capabilities, ["setuid"]);
    let network = rules.network.unwrap();
    let protocols = network.allowed_protocols.unwrap();
    assert_eq!(
        (protocols.allow_tcp, protocols.allow_udp, network.allow_raw),
        (Some(true), None, None)
    );
    assert_eq!(rules.unix[0].address.as_deref(), Some("@/tmp/dbus-????????"));
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].contains("cap_99") && left[1].contains("vsock stream"), "{left:?}");
}

#[test]
fn signals_and_tracing_name_who_is_meant() {
    let signal = |signal: &str, inside| Access::Signal { signal: signal.to_owned(), inside };
    let (rules, left) = learned([
        signal("kill", true),
        signal("term", false),
        signal("hup", false),
        signal("sig99", false),
        Access::Ptrace { read: true, inside: true },
        Access::Ptrace { read: false, inside: true },
        Access::Ptrace { read: true, inside: false },
    ]);
    assert_eq!(left, ["signal sig99: AppArmorProfiles know no such signal"]);
    let peers: Vec<_> = rules.ptrace.iter().map(|rule| rule.peer.as_deref()).collect();
    assert_eq!(peers, [None, Some("**")]);
    let signals: Vec<_> = rules.signal.iter().flat_map(|rule| &rule.signals).collect();
    assert_eq!(signals, ["hup", "term"]);
}

#[test]
fn mounts_become_rules_that_compilers_take() {
    let (rules, left) = learned([
        mount(Done::Mount, "/mnt/", Some("tmpfs"), &["nosuid", "rw"]),
        mount(Done::Mount, "/x", Some("proc"), &[]),
        mount(Done::Remount, "/mnt/", None, &["remount", "ro"]),
        mount(Done::Umount, "/mnt/", None, &["detach"]),
        mount(Done::PivotRoot, "/new/", None, &[]),
        mount(Done::Mount, "/y", Some("tmpfs"), &["size=1m"]),
    ]);
    let rule = |operation| {
        let found = rules.mount.iter().filter(|rule| rule.operation == operation);
        found
            .map(|rule| (rule.target.as_deref().unwrap(), rule.options.join(" ")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rule(MountOperation::Mount),
        [("/mnt/", "nosuid rw".to_owned()), ("/x", "rw".to_owned())]
    );
    assert_eq!(rule(MountOperation::Remount), [("/mnt/", "ro".to_owned())]);
    assert_eq!(rule(MountOperation::Umount), [("/mnt/", String::new())]);
    assert_eq!(rule(MountOperation::PivotRoot), [("/new/", String::new())]);
    assert!(left.len() == 1 && left[0].contains("size=1m"), "{left:?}");
}

#[test]
fn the_name_of_a_pod_is_any_name_but_a_word_stays() {
    let options = Options { names: vec!["web-0".to_owned(), "data".to_owned()] };
    let seen = seen([file("/data/web-0/x", Ways::READ), file("/data/db", Ways::READ)]);
    let rules = profile("p", &seen, &options).profile.spec.abstract_.unwrap();
    assert_eq!(rules.filesystem.unwrap().read_only_paths, ["/data/*/x", "/data/db"]);
}

#[test]
fn more_paths_than_a_list_can_have_become_fewer_or_are_told() {
    let many = (0..5000).map(|n| file(&format!("/data/d{n}x/f"), Ways::READ));
    let (rules, left) = learned(many);
    assert_eq!(rules.filesystem.unwrap().read_only_paths, ["/data/**"]);
    assert_eq!(left, [""; 0]);
    let many = (0..2000).map(|n| file(&format!("/etc/d{n}x/f"), Ways::WRITE));
    let (rules, left) = learned(many);
    assert_eq!(rules.filesystem.unwrap().write_only_paths.len(), 1024);
    assert!(left.len() == 1 && left[0].starts_with("976 paths that were written"), "{left:?}");
}

/// Paths of few folders, so that some have many files.
fn path() -> impl Strategy<Value = String> {
    let folder = select(vec![
        "/srv/www",
        "/tmp",
        "/var/lib/x",
        "/etc",
        "/usr/lib/y",
        "/data/7f3a9b1c2d4e5f60/z",
    ]);
    let name =
        prop_oneof!["[a-z]{1,3}", "[a-z]{1,2}\\.[0-9]{4,6}", "x\\.[a-zA-Z0-9]{8}", "[a-z]/[a-z]"];
    (folder, name).prop_map(|(folder, name)| format!("{folder}/{name}"))
}

fn access() -> impl Strategy<Value = (String, Ways)> {
    (
        path(),
        select(vec![Ways::READ, Ways::WRITE, Ways::EXEC, Ways::MAP_EXEC, Ways::READ | Ways::WRITE]),
    )
}

/// Whether a profile allows to use a path in this way.
fn allows(allowed: &BTreeSet<Permission>, path: &str, way: Ways) -> bool {
    allowed.iter().any(|permission| {
        let (glob, ways) = match permission {
            Permission::Execute(glob) => (glob, Ways::EXEC | Ways::MAP_EXEC | Ways::READ),
            Permission::Load(glob) => (glob, Ways::MAP_EXEC | Ways::READ),
            Permission::Read(glob) => (glob, Ways::READ),
            Permission::Write(glob) => (glob, Ways::WRITE),
            _ => return false,
        };
        ways.has(way) && matches(glob, path) == Some(true)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn all_that_was_seen_is_allowed_and_nothing_that_does_not_follow_from_it(
        used in prop::collection::vec(access(), 1..120),
        others in prop::collection::vec(path(), 40),
    ) {
        let accesses = used.iter().map(|(path, ways)| file(path, *ways));
        let Profile { profile, left } = profile("p", &seen(accesses), &Options::default());
        prop_assert!(left.is_empty());
        let allowed = permissions(&profile.spec);
        let ways = [Ways::READ, Ways::WRITE, Ways::EXEC, Ways::MAP_EXEC];
        for (path, used) in &used {
            for way in ways.into_iter().filter(|way| used.has(*way)) {
                prop_assert!(allows(&allowed, path, way), "{path} {way:?}");
            }
        }
        for path in used.iter().map(|(path, _)| path).chain(&others) {
            for way in ways {
                if !allows(&allowed, path, way) {
                    continue;
                }
                // Who may run a file may load and read it; who may load it may read it.
                let gives = |used: &Ways| used.has(way)
                    || (way == Ways::READ && used.has(Ways::EXEC | Ways::MAP_EXEC))
                    || (way == Ways::MAP_EXEC && used.has(Ways::EXEC));
                let same = used.iter().filter(|(_, ways)| gives(ways)).map(|(path, _)| &**path);
                let why = follows(path, &same);
                prop_assert!(why.is_some_and(|why| why < Follows::Below), "{path} {way:?}: {why:?}");
            }
        }
    }
}
