//! Makes an SELinux profile of what its type was denied, or would have been. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::kinds::{
    ProfileState, SelinuxProfile, SelinuxProfileSpec,
    selinux::{Inherit, InheritKind, SelinuxMode},
};

use crate::audit::{Selinux, Verdict};

/// The type's own name in a profile.
const OWN: &str = "@self";

/// The profile that allows what was asked for by this type. What the kernel did not decide is no rule of the kernel's.
pub fn profile<'a>(
    name: &str,
    recorded_type: &str,
    records: impl IntoIterator<Item = &'a Selinux<'a>>,
) -> SelinuxProfile {
    let mut allow = BTreeMap::<String, BTreeMap<String, BTreeSet<String>>>::new();
    for record in records {
        let denied = matches!(record.verdict, Verdict::Denied | Verdict::Allowed);
        if record.by_program || !denied || record.stype() != recorded_type {
            continue;
        }
        let target = if record.is_self() { OWN } else { record.ttype() };
        let classes = allow.entry(target.to_owned()).or_default();
        let permissions = classes.entry(record.tclass.to_owned()).or_default();
        permissions.extend(record.permissions.iter().map(|permission| (*permission).to_owned()));
    }
    let list = |permissions: BTreeSet<String>| permissions.into_iter().collect::<Vec<_>>();
    let allow = allow.into_iter().map(|(target, classes)| {
        let classes = classes.into_iter().map(|(class, all)| (class, list(all)));
        (target, classes.collect())
    });
    let spec = SelinuxProfileSpec {
        state: ProfileState::Enabled,
        disabled: None,
        mode: SelinuxMode::Enforcing,
        permissive: None,
        inherit: vec![Inherit { kind: InheritKind::System, name: "container".to_owned() }],
        allow: allow.collect(),
    };
    SelinuxProfile::new(name, spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Record, parse};

    fn line(verdict: &str, permissions: &str, stype: &str, ttype: &str, class: &str) -> String {
        format!(
            "type=1400 audit(1795193021.154:13): avc:  {verdict}  {{ {permissions} }} for  pid=1 comm=\"x\" \
             scontext=u:r:{stype}:s0 tcontext=u:r:{ttype}:s0 tclass={class} permissive=1"
        )
    }

    #[test]
    fn what_a_type_asked_for_is_allowed_once_and_sorted() {
        let own = "selinuxrecording.process";
        let lines = [
            line("denied", "write open", own, "var_log_t", "file"),
            line("denied", "open read", own, "var_log_t", "file"),
            line("denied", "create", own, own, "tcp_socket"),
            line("granted", "read", own, "etc_t", "file"),
            line("denied", "read", "other_t", "shadow_t", "file"),
        ];
        let records: Vec<_> = lines
            .iter()
            .filter_map(|line| match parse(line) {
                Some(Record::Selinux(record)) => Some(record),
                _ => None,
            })
            .collect();
        assert_eq!(records.len(), 5);
        let allow = profile("p", own, &records).spec.allow;
        let rules: Vec<_> = allow
            .iter()
            .flat_map(|(target, classes)| {
                classes.iter().map(move |(class, p)| (&**target, &**class, p.join(" ")))
            })
            .collect();
        assert_eq!(
            rules,
            [
                ("@self", "tcp_socket", "create".into()),
                ("var_log_t", "file", "open read write".to_owned())
            ]
        );
    }
}
