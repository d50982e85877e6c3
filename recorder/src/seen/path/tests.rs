//! What becomes a glob in a path, and that nothing else does.

use profile::{algebra::apparmor::matches, render};
use proptest::{prelude::*, sample::select};

use super::*;

#[test]
fn an_address_is_a_path_or_what_the_kernel_has_chosen_or_any_bytes() {
    for (seen, rule) in [
        ("@/tmp/dbus-Ab3dEf7h", "@/tmp/dbus-????????"),
        ("@00a3f", "@[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]"),
        ("@00A3F", "@00A3F"),
        ("@00a3f1", "@00a3f1"),
        ("@[x] y", "@\\[x\\] y"),
        ("@padded\0\0", "@padded\\000\\000"),
    ] {
        assert_eq!(address(seen), rule);
    }
}

#[test]
fn what_is_another_one_each_time_becomes_a_glob() {
    for (path, rule) in [
        ("/etc/passwd", "/etc/passwd"),
        ("/", "/"),
        ("/proc/4711/status", "/proc/@{pid}/status"),
        ("/proc/self/status", "/proc/@{pid}/status"),
        ("/proc/thread-self/attr/current", "/proc/@{pid}/task/@{tid}/attr/current"),
        ("/proc/4711/task/4712/comm", "/proc/@{pid}/task/@{tid}/comm"),
        ("/proc/4711/fd/3", "/proc/@{pid}/fd/[0-9]*"),
        ("/proc/1/map_files/55d0-55d8", "/proc/@{pid}/map_files/[0-9a-f]*-[0-9a-f]*"),
        ("/proc/sys/net/core/somaxconn", "/proc/sys/net/core/somaxconn"),
        ("/run/9f86d081884c7d659a2feaa0c55ad015/x", "/run/[0-9a-f]*/x"),
        ("/v/123e4567-e89b-12d3-a456-426614174000", "/v/[0-9a-fA-F]*-*-*-*-*"),
        ("/sys/fs/cgroup/kubepods.slice/memory.max", "/sys/fs/cgroup/kubepods.slice/memory.max"),
        ("/sys/devices/system/cpu/cpu17/online", "/sys/devices/system/cpu/cpu[0-9]*/online"),
        ("/sys/class/net/eth0/mtu", "/sys/class/net/eth0/mtu"),
        ("/tmp/tmp.Xk29fQpL0a", "/tmp/tmp.??????????"),
        ("/tmp/tmpab_9x1z3", "/tmp/tmp????????"),
        ("/tmp/ccR7aQ2b.s", "/tmp/cc??????.s"),
        ("/etc/nginx/conf.d/sedAbC1dE", "/etc/nginx/conf.d/sed??????"),
        ("/tmp/foo.1234", "/tmp/foo.[0-9]*"),
        ("/tmp/hsperfdata_root/17", "/tmp/hsperfdata_root/[0-9]*"),
        ("/var/lib/app/x.AbCdEf", "/var/lib/app/x.??????"),
        ("/dev/shm/PostgreSQL.2718281828", "/dev/shm/PostgreSQL.[0-9]*"),
        (
            "/var/lib/postgresql/15/main/base/16384/2619_fsm",
            "/var/lib/postgresql/15/main/base/[0-9]*/[0-9]*_fsm",
        ),
        ("/var/lib/postgresql/15/main/base/1/1259", "/var/lib/postgresql/15/main/base/1/[0-9]*"),
        (
            "/var/lib/postgresql/15/main/pg_wal/000000010000000000000001",
            "/var/lib/postgresql/15/main/pg_wal/[0-9a-f]*",
        ),
        ("/var/lib/postgresql/15/main/pg_xact/0000", "/var/lib/postgresql/15/main/pg_xact/[0-9]*"),
        ("/var/log/app.log.1", "/var/log/app.log.[0-9]*"),
        ("/var/log/2026-11-21.log", "/var/log/[0-9]*-[0-9]*-[0-9]*.log"),
        ("/etc/config/..2026_11_21_10_20_30.1234567/key", "/etc/config/..[0-9]*/key"),
        (
            "/var/log/pods/ns_web-7d4b9c8f6d-x2x9z_123e4567-e89b-12d3-a456-426614174000/c",
            "/var/log/pods/ns_web-7d4b9c8f6d-x2x9z_[0-9a-fA-F]*-*-*-*-*/c",
        ),
        ("/data/web-7d4b9c8f6d-x2x9z/db", "/data/web-*-?????/db"),
        ("/run/cri-containerd-4f2a9b1c8d7e6f50.scope", "/run/cri-containerd-[0-9a-f]*.scope"),
        // What is not.
        ("/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/lib/x86_64-linux-gnu/libssl.so.3"),
        ("/usr/lib/locale/C.utf8/LC_CTYPE", "/usr/lib/locale/C.utf8/LC_CTYPE"),
        ("/usr/lib/locale/locale-archive", "/usr/lib/locale/locale-archive"),
        ("/app/lib/libgfortran-040039e1.so.5.0.0", "/app/lib/libgfortran-040039e1.so.5.0.0"),
        ("/usr/lib/python3.11/encodings/utf_8.py", "/usr/lib/python3.11/encodings/utf_8.py"),
        (
            "/usr/lib/python3/__pycache__/x.cpython-311.pyc.140234234",
            "/usr/lib/python3/__pycache__/x.cpython-311.pyc.[0-9]*",
        ),
        ("/usr/share/readme-english", "/usr/share/readme-english"),
        ("/var/lib/readme-English", "/var/lib/readme-English"),
        ("/var/lib/x-sha256", "/var/lib/x-sha256"),
        ("/var/lib/x.aB1c", "/var/lib/x.aB1c"),
        (
            "/var/lib/x.aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1w",
            "/var/lib/x.aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1w",
        ),
        ("/var/run/nginx.pid", "/var/run/nginx.pid"),
        ("/var/lib/redis/dump.rdb", "/var/lib/redis/dump.rdb"),
        ("/srv/a[1].txt", "/srv/a\\[1\\].txt"),
        ("/srv/a\"b", "/srv/a?b"),
    ] {
        assert_eq!(general(path), rule, "{path}");
    }
}

/// Paths as programs make them.
fn path() -> impl Strategy<Value = String> {
    let top = select(vec![
        "/tmp",
        "/proc",
        "/var/lib/x",
        "/etc",
        "/usr/lib",
        "/run",
        "/sys/devices",
        "/data",
    ]);
    let name = prop_oneof![
        "[a-z]{1,8}(\\.[a-z]{1,4})?",
        "[a-z]{0,4}[._-][a-zA-Z0-9]{6,10}",
        "[0-9]{1,6}(_fsm|\\.log)?",
        "[0-9a-f]{12,40}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[ -.0-~]{1,12}",
        "(cpu|tmp|sed|cc)[a-z0-9]{0,8}",
    ];
    (top, prop::collection::vec(name, 1..4))
        .prop_map(|(top, names)| format!("{top}/{}", names.join("/")))
}

/// A path that a rule allows: this text wherever it allows any.
fn some(rule: &str, text: &str) -> String {
    let any = ["[0-9a-fA-F]*", "[0-9a-f]*", "[0-9A-F]*", "[0-9]*", "@{pid}", "@{tid}", "*"];
    let mut path = String::new();
    let mut rest = rule;
    while let Some(c) = rest.chars().next() {
        if let Some(glob) = any.iter().find(|glob| rest.starts_with(**glob)) {
            path.push_str(if glob.starts_with('*') { "" } else { "7" });
            path.push_str(if glob.starts_with('@') { "" } else { text });
            rest = &rest[glob.len()..];
            continue;
        }
        let escape = usize::from(c == '\\');
        path.push(if c == '?' { 'Q' } else { rest.chars().nth(escape).unwrap() });
        rest = &rest[escape + rest.chars().nth(escape).unwrap().len_utf8()..];
    }
    path
}

#[test]
fn paths_are_alike_up_to_what_is_random() {
    assert!(is_alike("/tmp/tmp.Xk29fQpL0a", "/tmp/tmp.abcdefghij"));
    assert!(is_alike("/var/x/17_fsm", "/var/x/18_vm"));
    assert!(!is_alike("/tmp/tmp.Xk29fQpL0a", "/tmp/tmp/a"));
    assert!(!is_alike("/tmp/tmp.Xk29fQpL0a", "/tmp/x"));
    assert!(!is_alike("/etc/passwd", "/etc/passwd-"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_allows_the_path_that_it_was_made_of(path in path()) {
        // Nobody calls a process self.
        let real = path.replace("/proc/self", "/proc/1").replace("/proc/thread-self", "/proc/1/task/1");
        prop_assume!(!real.starts_with("/proc/0"));
        prop_assert_eq!(matches(&general(&path), &real), Some(true), "{}", general(&path));
    }

    #[test]
    fn a_rule_allows_only_paths_that_are_alike(seen in path(), text in "[a-z0-9.]{1,8}") {
        let rule = general(&seen);
        let other = some(&rule, &text);
        prop_assert_eq!(matches(&rule, &other), Some(true), "{} as {}", rule, other);
        prop_assert!(is_alike(&seen, &other), "{seen} allows {other} by {rule}");
    }

    #[test]
    fn whatever_a_path_is_its_rule_renders(path in "/\\PC{0,40}(/[ -~]{0,20}){0,3}") {
        let rules = serde_json::json!({ "filesystem": { "readOnlyPaths": [general(&path)] } });
        let spec = serde_json::from_value(serde_json::json!({ "abstract": rules })).unwrap();
        let rendered = render::apparmor::render("p", &spec);
        prop_assert!(rendered.is_ok(), "{}: {:?}", general(&path), rendered);
    }
}
