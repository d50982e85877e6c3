//! What one container was seen doing: its bounds, unions, and what is read of it again.

use proptest::{prelude::*, sample::select};

use super::*;

fn file(path: &str, ways: Ways) -> Access {
    Access::File { path: path.to_owned(), ways }
}

fn permission(level: &str) -> Permission {
    Permission {
        scontext: format!("u:r:own_t:{level}"),
        tcontext: "u:object_r:etc_t:s0".to_owned(),
        tclass: "file".to_owned(),
        permission: "read".to_owned(),
    }
}

#[test]
fn what_was_seen_before_is_not_new() {
    let mut seen = Seen::default();
    assert!(seen.is_empty());
    assert!(seen.call(Arch::X86_64, 0) && !seen.call(Arch::X86_64, 0) && seen.call(Arch::X86, 0));
    assert!(seen.access(file("/tmp/tmp.Xk29fQpL0a", Ways::READ)));
    assert!(!seen.access(file("/tmp/tmp.Yq11aBcD2e", Ways::READ)), "another temporary name");
    assert!(seen.access(file("/tmp/tmp.Yq11aBcD2e", Ways::READ | Ways::WRITE)));
    assert!(seen.permission(permission("s0:c1,c2")) && !seen.permission(permission("s0:c3")));
    assert!(seen.denied_call(Arch::X86_64, 1));
    assert_eq!((seen.len(), seen.beyond()), (4, 0));
}

#[test]
fn a_hundred_thousand_files_take_bounded_memory_and_all_stay_covered() {
    let mut seen = Seen::default();
    let path = |n: u32| format!("/data/d{}/e{}/f{n}.bin", n % 7, n % 1009);
    for n in 0..100_000 {
        seen.access(file(&path(n), Ways::READ));
        assert!(seen.files().len() <= FILES_MAX);
    }
    assert_eq!(seen.beyond(), 0);
    for n in (0..100_000).step_by(997) {
        assert!(!seen.access(file(&path(n), Ways::READ)), "{} is covered", path(n));
    }
    assert!(seen.access(file(&path(1), Ways::WRITE)), "reading is not writing");
    assert!(seen.access(file("/data", Ways::READ)), "the folder itself is not below it");
}

#[test]
fn what_has_no_place_is_counted() {
    let mut seen = Seen::default();
    for n in 0..20_000 {
        seen.access(file(&format!("/x{n}y"), Ways::READ));
        seen.access(Access::Capability(format!("c{n}")));
        seen.call(Arch::X86_64, n);
    }
    assert_eq!(seen.files().len() as u64 + 2 * OTHERS_MAX as u64 + seen.beyond(), 60_000);
    assert!(seen.files().len() > FILES_MAX / 2 && seen.files().len() <= FILES_MAX);
}

#[test]
fn what_another_version_has_written_is_kept() {
    let newer = r#"{"version":1,"calls":{"SCMP_ARCH_X86_64":[0],"SCMP_ARCH_NEW":[7]},
        "accesses":[{"capability":"kill"},{"teleport":{"to":"/x"}}],"dreams":["electric sheep"]}"#;
    let seen: Seen = serde_json::from_str(newer).unwrap();
    assert_eq!(seen.called().collect::<Vec<_>>(), [(Arch::X86_64, 0)]);
    assert_eq!(seen.others().collect::<Vec<_>>(), [&Access::Capability("kill".to_owned())]);
    let mut union = Seen::default();
    union.union(&seen);
    let written: serde_json::Value = serde_json::to_value(&union).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(newer).unwrap());
}

#[test]
fn a_state_that_means_something_else_is_refused() {
    let error = serde_json::from_str::<Seen>(r#"{"version":2}"#).unwrap_err().to_string();
    assert!(error.contains("version 2") && error.contains("knows 1"), "{error}");
}

fn seen() -> impl Strategy<Value = Seen> {
    let call = (select(vec![Arch::X86_64, Arch::X86]), 0_u32..6);
    let path = select(vec!["/a/b", "/a/c", "/tmp/x.1234", "/proc/12/stat", "/d/"]);
    let access = prop_oneof![
        (path, 1_u16..512).prop_map(|(path, ways)| file(path, Ways::of_bits(ways))),
        select(vec!["kill", "chown"]).prop_map(|name| Access::Capability(name.to_owned())),
        any::<bool>().prop_map(|inside| Access::Signal { signal: "term".into(), inside }),
        any::<bool>().prop_map(|read| Access::Ptrace { read, inside: true }),
    ];
    let permission = select(vec!["s0", "s0:c1"]).prop_map(permission);
    (
        prop::collection::vec(call.clone(), 0..6),
        prop::collection::vec(call, 0..3),
        prop::collection::vec(access, 0..8),
        prop::collection::vec(permission, 0..2),
    )
        .prop_map(|(calls, denied, accesses, permissions)| {
            let mut seen = Seen::default();
            for (arch, number) in calls {
                seen.call(arch, number);
            }
            for (arch, number) in denied {
                seen.denied_call(arch, number);
            }
            for access in accesses {
                seen.access(access);
            }
            for permission in permissions {
                seen.permission(permission);
            }
            seen
        })
}

fn union(one: &Seen, other: &Seen) -> Seen {
    let mut union = one.clone();
    union.union(other);
    union
}

proptest! {
    #[test]
    fn the_state_is_read_as_it_was_written(seen in seen()) {
        let json = serde_json::to_string(&seen).unwrap();
        prop_assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), seen);
    }

    #[test]
    fn a_union_has_what_both_have_and_no_more(a in seen(), b in seen(), c in seen()) {
        prop_assert_eq!(union(&a, &b), union(&b, &a));
        prop_assert_eq!(union(&union(&a, &b), &c), union(&a, &union(&b, &c)));
        prop_assert_eq!(&union(&a, &a), &a);
        prop_assert!(a.since(&union(&a, &b)).is_empty());
        // What is new together with what was there is all.
        let both = union(&a, &b);
        prop_assert_eq!(union(&b, &both.since(&b)), both);
    }
}
