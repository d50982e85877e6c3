//! Ten replicas of a workload: the merged profile allows what each of them did, and nothing that none of them did.

use std::collections::BTreeSet;

use profile::{
    algebra::{
        apparmor::{self, Permission},
        seccomp::{self, Abi, Call, Reach},
        selinux,
    },
    kinds::seccomp::Arch,
    syscall,
};
use proptest::{prelude::*, sample::select};
use recorder::{
    base::Base,
    learned::{self, tally},
    seen::{Access, MountOperation, Permission as Asked, Seen, Ways, fold::MANY},
};

const REPLICAS: usize = 10;

const OPTIONS: learned::seccomp::Options =
    learned::seccomp::Options { machine: Arch::X86_64, base: Base::Runc };

fn file(path: String, ways: Ways) -> Access {
    Access::File { path, ways }
}

fn access() -> impl Strategy<Value = Access> {
    let ways = select(vec![Ways::READ, Ways::WRITE, Ways::EXEC, Ways::MAP_EXEC, Ways::RENAME]);
    let path = "/(data|etc|tmp)/[a-c](/[a-z]{1,2}|\\.[0-9]{4})";
    prop_oneof![
        8 => (path, ways).prop_map(|(path, ways)| file(path, ways)),
        1 => select(vec!["chown", "kill", "sys_admin"]).prop_map(|name| Access::Capability(name.into())),
        1 => (select(vec!["inet", "inet6"]), select(vec!["stream", "dgram", "raw"])).prop_map(
            |(family, kind)| Access::Socket { family: family.into(), kind: kind.into(), protocol: 0 }
        ),
        1 => any::<bool>().prop_map(|inside| Access::Signal { signal: "term".into(), inside }),
        1 => any::<(bool, bool)>().prop_map(|(read, inside)| Access::Ptrace { read, inside }),
        1 => "/mnt/[a-c]/".prop_map(|target| Access::Mount {
            operation: MountOperation::Umount,
            source: None,
            target,
            fstype: None,
            options: Vec::new(),
        }),
        1 => "@[a-c]{1,2}".prop_map(|address| Access::Unix { kind: "stream".into(), address }),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let words = (
        select(vec!["own_t", "etc_t", "var_log_t"]),
        select(vec!["file", "dir"]),
        select(vec!["read", "open", "map"]),
    );
    words.prop_map(|(target, class, permission)| Asked {
        scontext: "u:r:own_t:s0:c1,c2".into(),
        tcontext: format!("u:object_r:{target}:s0"),
        tclass: class.into(),
        permission: permission.into(),
    })
}

/// What one replica did.
fn replica() -> impl Strategy<Value = Seen> {
    let calls = prop::collection::vec(0_u32..330, 1..12);
    let narrow = prop::collection::vec(0_u32..330, 0..2);
    let accesses = prop::collection::vec(access(), 0..16);
    (calls, narrow, accesses, prop::collection::vec(asked(), 0..4)).prop_map(
        |(calls, narrow, accesses, permissions)| {
            let mut seen = Seen::default();
            for number in calls {
                seen.call(Arch::X86_64, number);
            }
            for number in narrow {
                seen.call(Arch::X86, number);
            }
            for access in accesses {
                seen.access(access);
            }
            for permission in permissions {
                seen.permission(permission);
            }
            seen
        },
    )
}

fn replicas() -> impl Strategy<Value = Vec<Seen>> {
    prop::collection::vec(replica(), REPLICAS)
}

fn union(replicas: &[Seen]) -> Seen {
    let mut all = Seen::default();
    for seen in replicas {
        all.union(seen);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn system_calls_of_ten_replicas(replicas in replicas()) {
        let learn = |seen| learned::seccomp::profile("p", seen, OPTIONS).profile.spec;
        let parts: Vec<_> = replicas.iter().map(learn).collect();
        let merged = seccomp::merge(&parts).unwrap();
        prop_assert_eq!(&merged.widened, &[""; 0]);
        prop_assert!(seccomp::diff(&merged.spec, &learn(&union(&replicas))).unwrap().is_empty());
        for part in &parts {
            let serves = part.architectures.contains(&Arch::X86);
            for (abi, arch) in [(Abi::Own, Arch::X86_64), (Abi::Other(Arch::X86), Arch::X86)] {
                if arch == Arch::X86 && !serves {
                    continue;
                }
                for name in syscall::names(arch) {
                    let call = Call { abi, syscall: name.to_owned(), args: [0; 6] };
                    let runs = |spec| seccomp::evaluate(spec, &call).unwrap().most.reach() == Reach::Runs;
                    prop_assert!(!runs(part) || runs(&merged.spec), "{name} of {arch}");
                }
            }
        }
        let mut counted = tally::Tally::default();
        for part in &parts {
            counted.add(&tally::of_seccomp(part));
        }
        for name in tally::of_seccomp(&merged.spec) {
            let did = parts.iter().filter(|part| tally::of_seccomp(part).contains(&name)).count();
            prop_assert!(did > 0, "{name} was done by none");
            prop_assert_eq!(counted.of(&name), u32::try_from(did).ok());
        }
    }

    #[test]
    fn permissions_of_ten_replicas(replicas in replicas()) {
        let options = learned::selinux::Options { recorded: Some("own_t") };
        let learn = |seen| learned::selinux::profile("p", seen, options).profile.spec;
        let parts: Vec<_> = replicas.iter().map(learn).collect();
        let merged = selinux::merge(&parts).unwrap();
        for part in &parts {
            prop_assert_eq!(selinux::exceeding(part, &merged), []);
        }
        prop_assert_eq!(selinux::diff(&merged, &learn(&union(&replicas))), selinux::Diff::default());
    }

    #[test]
    fn accesses_of_ten_replicas(replicas in replicas()) {
        let options = learned::apparmor::Options::default();
        let learn = |seen| learned::apparmor::profile("p", seen, &options).profile.spec;
        let parts: Vec<_> = replicas.iter().map(learn).collect();
        let mut merged = apparmor::merge(&parts).unwrap();
        prop_assert_eq!(learned::apparmor::fit(&mut merged), [""; 0], "few enough");
        let all: BTreeSet<_> = parts.iter().flat_map(apparmor::permissions).collect();
        prop_assert_eq!(apparmor::permissions(&merged), all);
        for part in &parts {
            prop_assert_eq!(apparmor::subset(part, &merged), apparmor::Subset::Yes);
        }
        // One profile of all of them is the same, but for folders in which they used many files.
        let together = learn(&union(&replicas));
        let rules = |permissions: BTreeSet<Permission>| -> BTreeSet<_> {
            permissions.into_iter().filter(|one| !matches!(one, Permission::Rule { .. })).collect()
        };
        let whole = rules(apparmor::permissions(&together));
        let parts = rules(apparmor::permissions(&merged));
        // What may be run may be loaded and read, be that listed or not.
        let gives = |all: &BTreeSet<Permission>, text: &str| {
            let path = text.split_once(' ').map_or("", |(_, path)| path);
            let more = [format!("execute {path}"), format!("load {path}")];
            all.iter().any(|one| more.contains(&one.to_string()))
        };
        for text in parts.difference(&whole).map(ToString::to_string) {
            let part = tally::part_of(&text, &whole.iter().map(ToString::to_string).collect());
            prop_assert!(part.ends_with("/*") || gives(&whole, &text), "{text} is not in the profile of all");
        }
        for text in whole.difference(&parts).map(ToString::to_string) {
            prop_assert!(text.ends_with("/*") || gives(&parts, &text), "{text} was done by none");
        }
    }
}

#[test]
fn many_files_of_ten_replicas_become_their_folder_only_together() {
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|n| {
            let mut seen = Seen::default();
            for m in 0..3 {
                let name = char::from(b'a' + u8::try_from(n).unwrap());
                seen.access(file(format!("/data/{name}{}", "x".repeat(m + 1)), Ways::READ));
            }
            seen
        })
        .collect();
    let options = learned::apparmor::Options::default();
    let read = |seen: &Seen| {
        let rules = learned::apparmor::profile("p", seen, &options).profile.spec.abstract_.unwrap();
        rules.filesystem.unwrap().read_only_paths
    };
    assert!(replicas.len() * 3 > MANY);
    assert_eq!(read(&replicas[0]), ["/data/ax", "/data/axx", "/data/axxx"]);
    assert_eq!(read(&union(&replicas)), ["/data/*"]);
}
