//! The algebra of AppArmor profiles: unions that lose nothing, comparisons that claim nothing they do not know.

#![expect(clippy::unwrap_used, reason = "as in a test")]

use insta::assert_snapshot;
use profile::{
    algebra::apparmor::{NotMerged, Permission, Subset, diff, merge, permissions, subset},
    kinds::AppArmorProfileSpec,
};
use proptest::{prelude::*, sample::subsequence};
use rstest::rstest;
use serde_json::{Value, json};

const PATHS: &[&str] = &["/etc/hosts", "/etc/**", "/tmp/*", "/tmp/x"];

fn spec(abstract_: &Value) -> AppArmorProfileSpec {
    serde_json::from_value(json!({ "abstract": abstract_ })).unwrap()
}

fn profile() -> impl Strategy<Value = AppArmorProfileSpec> {
    let paths = || subsequence(PATHS, 0..3);
    let files = (paths(), paths(), paths(), paths()).prop_map(|(read, write, both, denied)| {
        json!({
            "readOnlyPaths": read, "writeOnlyPaths": write,
            "readWritePaths": both, "deniedPaths": denied,
        })
    });
    let capabilities = subsequence(&["net_admin", "CAP_NET_ADMIN", "CHOWN"][..], 0..3);
    let signals = subsequence(&["Send", "Receive"][..], 1..2);
    (files, capabilities, paths(), any::<bool>(), signals).prop_map(
        |(filesystem, capabilities, programs, raw, access)| {
            spec(&json!({
                "filesystem": filesystem,
                "capability": { "allowedCapabilities": capabilities },
                "executable": { "allowedExecutables": programs },
                "network": { "allowRaw": raw, "allowedProtocols": { "allowTcp": true } },
                "signal": [{ "access": access }],
            }))
        },
    )
}

proptest! {
    #[test]
    fn merged_lists_what_any_profile_lists_and_no_more(
        specs in prop::collection::vec(profile(), 1..4),
    ) {
        let merged = merge(&specs).unwrap();
        let all = specs.iter().flat_map(permissions).collect();
        prop_assert_eq!(permissions(&merged), all);
        for spec in &specs {
            prop_assert_eq!(subset(spec, &merged), Subset::Yes);
        }
        prop_assert_eq!(merge(specs.iter().rev().chain([&merged])).unwrap(), merged);
    }
}

#[test]
fn a_path_stays_denied_only_if_all_profiles_deny_it() {
    let one = spec(&json!({ "filesystem": { "deniedPaths": ["/a", "/b"] } }));
    let other = spec(&json!({ "filesystem": { "deniedPaths": ["/b", "/c"] } }));
    let merged = merge([&one, &other]).unwrap();
    assert_eq!(merged.abstract_.unwrap().filesystem.unwrap().denied_paths, ["/b"]);
}

#[test]
fn a_policy_in_its_own_language_is_not_merged() {
    let raw: AppArmorProfileSpec = serde_json::from_value(json!({ "policy": "file," })).unwrap();
    assert_eq!(merge([&raw]), Err(NotMerged::Policy));
    assert_eq!(merge([]), Err(NotMerged::Nothing));
}

fn reading(paths: &[&str], denied: &[&str]) -> AppArmorProfileSpec {
    spec(&json!({ "filesystem": { "readOnlyPaths": paths, "deniedPaths": denied } }))
}

#[rstest]
#[case::covered(&["/etc/hosts"], &["/etc/**"], &[], Some(true))]
#[case::other_file(&["/etc/hosts"], &["/etc/passwd"], &[], Some(false))]
#[case::denied(&["/etc/hosts"], &["/etc/**"], &["/etc/hosts"], Some(false))]
#[case::denied_elsewhere(&["/etc/hosts"], &["/etc/**"], &["/etc/shadow"], Some(true))]
#[case::denied_by_glob(&["/etc/hosts"], &["/etc/**"], &["/etc/h*"], Some(false))]
#[case::denied_by_another_glob(&["/etc/hosts"], &["/etc/**"], &["/etc/s*"], Some(true))]
#[case::glob(&["/etc/hosts"], &["/etc/h*"], &[], Some(true))]
#[case::other_glob(&["/etc/hosts"], &["/etc/s*"], &[], Some(false))]
#[case::by_two(&["/etc/hosts"], &["/etc/[a-m]*", "/etc/[n-z]*"], &[], Some(true))]
#[case::unknown_variable(&["/etc/hosts"], &["/etc/@{profile_name}"], &[], None)]
fn what_globs_do_not_tell_is_not_claimed(
    #[case] left: &[&str],
    #[case] right: &[&str],
    #[case] denied: &[&str],
    #[case] is_subset: Option<bool>,
) {
    let hosts = vec![Permission::Read("/etc/hosts".to_owned())];
    let expected = match is_subset {
        Some(true) => Subset::Yes,
        Some(false) => Subset::No(hosts),
        None => Subset::Undecided(hosts),
    };
    assert_eq!(subset(&reading(left, &[]), &reading(right, denied)), expected);
}

#[test]
fn a_difference_is_read_line_by_line() {
    let left = spec(&json!({
        "filesystem": { "readWritePaths": ["/tmp/**"], "deniedPaths": ["/tmp/x"] },
        "capability": { "allowedCapabilities": ["CAP_CHOWN"] },
    }));
    let right = spec(&json!({
        "filesystem": { "readOnlyPaths": ["/tmp/**"], "deniedPaths": ["/tmp/y"] },
        "capability": { "allowedCapabilities": ["chown"] },
        "network": { "allowRaw": true },
    }));
    assert_snapshot!(diff(&left, &right), @"
    - write /tmp/**
    + raw sockets
    + no longer denied: /tmp/x
    - denied: /tmp/y
    ");
}
