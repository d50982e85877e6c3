//! What profiles of one kind have in common and in what they differ, for people and for scripts.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use profile::algebra::{apparmor, seccomp, selinux};
use recorder::learned::{
    self,
    tally::{self, Tally},
};
use serde::Serialize;

use crate::document::Document;

pub(crate) mod cil;

/// How two profiles differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) same: bool,
    /// A line for each difference.
    pub(crate) differences: Vec<String>,
}

/// Whether a profile stays within another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Within {
    pub(crate) within: bool,
    /// What it allows beyond, or what could not be told.
    pub(crate) beyond: Vec<String>,
}

/// A profile that allows what any of several allows.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    pub(crate) document: Document,
    /// What had to become wider than any of them.
    pub(crate) warnings: Vec<String>,
}

/// How the right profile differs from the left.
pub(crate) fn diff(left: &Document, right: &Document) -> anyhow::Result<Difference> {
    let (same, text) = match (left, right) {
        (Document::Seccomp(left), Document::Seccomp(right)) => {
            let diff = seccomp::diff(&left.spec, &right.spec)?;
            (diff.is_empty(), diff.to_string())
        }
        (Document::Selinux(left), Document::Selinux(right)) => {
            let diff = selinux::diff(&left.spec, &right.spec);
            let line = |mark: char, permission: &selinux::Permission| {
                format!("{mark} {}\n", shown(permission))
            };
            let left = diff.left.iter().map(|permission| line('-', permission));
            let right = diff.right.iter().map(|permission| line('+', permission));
            let text: String = left.chain(right).collect();
            (text.is_empty(), text)
        }
        (Document::AppArmor(left), Document::AppArmor(right)) => {
            let diff = apparmor::diff(&left.spec, &right.spec);
            let text = diff.to_string();
            (text.is_empty(), text)
        }
        (Document::RawSelinux(left), Document::RawSelinux(right)) => {
            let (left, right) =
                (cil::statements(&left.spec.policy), cil::statements(&right.spec.policy));
            let left_only = left.difference(&right).map(|statement| format!("- {statement}\n"));
            let right_only = right.difference(&left).map(|statement| format!("+ {statement}\n"));
            let text: String = left_only.chain(right_only).collect();
            (text.is_empty(), text)
        }
        _ => bail!("a {} and a {} cannot be compared", left.kind(), right.kind()),
    };
    Ok(Difference { same, differences: text.lines().map(str::to_owned).collect() })
}

/// A permission of SELinux as people read it.
fn shown(permission: &selinux::Permission) -> String {
    match permission {
        selinux::Permission::Everything => "everything (permissive)".to_owned(),
        selinux::Permission::Inherited { kind, name } => format!("what {kind} {name} allows"),
        selinux::Permission::Allowed { target, class, permission } => {
            format!("{target} {class} {permission}")
        }
    }
}

/// Whether a profile allows nothing that the baseline does not.
pub(crate) fn check(baseline: &Document, profile: &Document) -> anyhow::Result<Within> {
    let undecided = |what: &dyn std::fmt::Display| format!("it cannot be told: {what}");
    let beyond = match (profile, baseline) {
        (Document::Seccomp(profile), Document::Seccomp(baseline)) => {
            let shown = |example: &seccomp::Counterexample| {
                format!("{}: {}, and {} by the baseline", example.call, example.left, example.right)
            };
            match seccomp::subset(&profile.spec, &baseline.spec)? {
                seccomp::Subset::Yes => Vec::new(),
                seccomp::Subset::No(example) => vec![shown(&example)],
                seccomp::Subset::Ambiguous(example) => {
                    let rules = format!("rules disagree on {}", shown(&example));
                    vec![undecided(&rules)]
                }
                seccomp::Subset::Undecided => vec![undecided(&"too many rules with arguments")],
            }
        }
        (Document::Selinux(profile), Document::Selinux(baseline)) => {
            let exceeding = selinux::exceeding(&profile.spec, &baseline.spec);
            exceeding.iter().map(shown).collect()
        }
        (Document::AppArmor(profile), Document::AppArmor(baseline)) => {
            match apparmor::subset(&profile.spec, &baseline.spec) {
                apparmor::Subset::Yes => Vec::new(),
                apparmor::Subset::No(all) => all.iter().map(ToString::to_string).collect(),
                apparmor::Subset::Undecided(all) => all.iter().map(|one| undecided(one)).collect(),
            }
        }
        (Document::RawSelinux(profile), Document::RawSelinux(baseline)) => {
            let baseline = cil::statements(&baseline.spec.policy);
            let all = cil::statements(&profile.spec.policy);
            all.difference(&baseline).cloned().collect()
        }
        _ => bail!("a {} and a {} cannot be compared", baseline.kind(), profile.kind()),
    };
    Ok(Within { within: beyond.is_empty(), beyond })
}

/// Of how many of the profiles, or of the instances that they are of, each thing is that the merged one allows.
pub(crate) fn tally(documents: &[Document], merged: &Document) -> Tally {
    let whole = merged.items();
    let mut tally = Tally::default();
    for document in documents {
        let one = Tally::of_profile(document.annotation(tally::ANNOTATION), &document.items());
        tally.union(&one.renamed(|item| tally::part_of(item, &whole)));
    }
    tally
}

/// Merges profiles of one kind; the first gives its name.
pub(crate) fn merge(documents: &[Document]) -> anyhow::Result<Merged> {
    let first = documents.first().context("there is no profile to merge")?.clone();
    if let Some(other) = documents.iter().find(|document| document.kind() != first.kind()) {
        bail!("a {} and a {} cannot be merged", first.kind(), other.kind());
    }
    let mut warnings = Vec::new();
    let document = match first {
        Document::Seccomp(mut first) => {
            let specs = documents.iter().filter_map(|document| match document {
                Document::Seccomp(profile) => Some(&profile.spec),
                _ => None,
            });
            let merged = seccomp::merge(specs)?;
            warnings.extend(merged.widened.iter().map(|name| {
                format!("{name}: the conditions of the profiles could not be kept apart, and are wider now")
            }));
            first.spec = merged.spec;
            Document::Seccomp(first)
        }
        Document::Selinux(mut first) => {
            let specs = documents.iter().filter_map(|document| match document {
                Document::Selinux(profile) => Some(&profile.spec),
                _ => None,
            });
            first.spec = selinux::merge(specs).context("there is no profile to merge")?;
            Document::Selinux(first)
        }
        Document::AppArmor(mut first) => {
            let specs = documents.iter().filter_map(|document| match document {
                Document::AppArmor(profile) => Some(&profile.spec),
                _ => None,
            });
            first.spec = apparmor::merge(specs)?;
            warnings.extend(learned::apparmor::fit(&mut first.spec));
            Document::AppArmor(first)
        }
        Document::RawSelinux(mut first) => {
            let statements: BTreeSet<_> = documents
                .iter()
                .filter_map(|document| match document {
                    Document::RawSelinux(profile) => Some(&profile.spec.policy),
                    _ => None,
                })
                .flat_map(|policy| cil::statements(policy))
                .collect();
            first.spec.policy =
                statements.into_iter().fold(String::new(), |all, one| all + &one + "\n");
            Document::RawSelinux(first)
        }
    };
    Ok(Merged { document, warnings })
}
