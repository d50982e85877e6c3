//! The union of AppArmor profiles. Pure.

use std::collections::BTreeSet;

use super::{Permission, denied, permissions};
use crate::kinds::{
    ProfileState,
    apparmor::{
        Abstract, AllowedProtocols, AppArmorMode, AppArmorProfileSpec, CapabilityRules,
        ExecutableRules, FilesystemRules, NetworkRules,
    },
};

/// Says why there is no merged profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMerged {
    /// There is nothing to merge.
    #[error("no profiles to merge")]
    Nothing,
    /// One is written in AppArmor's own language.
    #[error("cannot merge a profile whose policy is in AppArmor's own language")]
    Policy,
}

/// Unites profiles: what any of them lists, sorted. A path stays denied only if all of them deny it.
pub fn merge<'s>(
    specs: impl IntoIterator<Item = &'s AppArmorProfileSpec>,
) -> Result<AppArmorProfileSpec, NotMerged> {
    let specs: Vec<_> = specs.into_iter().collect();
    if specs.iter().any(|spec| spec.policy.is_some()) {
        return Err(NotMerged::Policy);
    }
    let denied = specs.iter().map(|spec| denied(spec));
    let denied = denied.reduce(|all, these| &all & &these).ok_or(NotMerged::Nothing)?;
    let enabled = specs.iter().any(|spec| spec.effective_state() == ProfileState::Enabled);
    let all: BTreeSet<_> = specs.iter().flat_map(|spec| permissions(spec)).collect();
    let complain = all.contains(&Permission::Everything);
    Ok(AppArmorProfileSpec {
        state: if enabled { ProfileState::Enabled } else { ProfileState::Disabled },
        disabled: None,
        mode: if complain { AppArmorMode::Complain } else { AppArmorMode::Enforce },
        complain_mode: None,
        abstract_: Some(Abstract {
            executable: some(ExecutableRules {
                allowed_executables: strings(&all, |p| match p {
                    Permission::Execute(path) => Some(path),
                    _ => None,
                }),
                allowed_libraries: strings(&all, |p| match p {
                    Permission::Load(path) => Some(path),
                    _ => None,
                }),
            }),
            filesystem: some(filesystem(&all, &denied)),
            network: some(network(&all)),
            capability: some(CapabilityRules {
                allowed_capabilities: strings(&all, |p| match p {
                    Permission::Capability(name) => Some(name),
                    _ => None,
                }),
            }),
            ptrace: rules(specs.iter().map(|spec| list(spec, |rules| &rules.ptrace))),
            signal: rules(specs.iter().map(|spec| list(spec, |rules| &rules.signal))),
            mount: rules(specs.iter().map(|spec| list(spec, |rules| &rules.mount))),
            unix: rules(specs.iter().map(|spec| list(spec, |rules| &rules.unix))),
        }),
        policy: None,
    })
}

fn some<T: Default + PartialEq>(rules: T) -> Option<T> {
    (rules != T::default()).then_some(rules)
}

fn strings(
    all: &BTreeSet<Permission>,
    pick: impl Fn(&Permission) -> Option<&String>,
) -> Vec<String> {
    all.iter().filter_map(pick).cloned().collect()
}

fn filesystem(all: &BTreeSet<Permission>, denied: &BTreeSet<&str>) -> FilesystemRules {
    let reads = |path: &str| all.contains(&Permission::Read(path.to_owned()));
    let writes = |path: &str| all.contains(&Permission::Write(path.to_owned()));
    FilesystemRules {
        read_only_paths: strings(all, |p| match p {
            Permission::Read(path) if !writes(path) => Some(path),
            _ => None,
        }),
        write_only_paths: strings(all, |p| match p {
            Permission::Write(path) if !reads(path) => Some(path),
            _ => None,
        }),
        read_write_paths: strings(all, |p| match p {
            Permission::Read(path) if writes(path) => Some(path),
            _ => None,
        }),
        denied_paths: denied.iter().map(|path| (*path).to_owned()).collect(),
    }
}

fn network(all: &BTreeSet<Permission>) -> NetworkRules {
    let allowed = |socket| all.contains(&socket).then_some(true);
    NetworkRules {
        allow_raw: allowed(Permission::Raw),
        allowed_protocols: some(AllowedProtocols {
            allow_tcp: allowed(Permission::Tcp),
            allow_udp: allowed(Permission::Udp),
        }),
    }
}

fn list<T>(spec: &AppArmorProfileSpec, pick: impl Fn(&Abstract) -> &Vec<T>) -> &[T] {
    spec.abstract_.as_ref().map_or(&[], |rules| pick(rules).as_slice())
}

/// The rules of all lists, once each, in the order of their text.
fn rules<'s, T: Clone + serde::Serialize + 's>(lists: impl Iterator<Item = &'s [T]>) -> Vec<T> {
    let text = |rule: &T| serde_json::to_string(rule).expect("a rule has string keys alone");
    let mut rules: Vec<_> = lists.flatten().map(|rule| (text(rule), rule.clone())).collect();
    rules.sort_by(|a, b| a.0.cmp(&b.0));
    rules.dedup_by(|a, b| a.0 == b.0);
    rules.into_iter().map(|(_, rule)| rule).collect()
}
