//! Makes an AppArmor profile of the accesses that were seen. Pure.
//!
//! What a program needs to start at all (the loader, the devices that a runtime gives, signals of the runtime, its own
//! processes among themselves) is in every profile that is rendered, and need not have been seen: see
//! `profile::render::apparmor`. [`bound`] says how far a profile goes beyond what was seen.

use std::collections::{BTreeMap, BTreeSet};

use profile::{
    kinds::{
        AppArmorProfile, AppArmorProfileSpec,
        apparmor::{Abstract, MountRule, PtraceRule, SignalRule, UnixRule},
    },
    render,
};

use super::Profile;
use crate::seen::{Seen, path};

pub mod bound;
mod files;
mod rules;

/// No list of rules about anything but files and programs can have more (the schema of the kind says so).
const RULES_MAX: usize = 128;

/// How a profile is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Names that are others in the next container, such as the host name, which is that of the pod: in paths they become
    /// `*`. Short ones and plain words are left alone, as folders have such names too.
    pub names: Vec<String>,
}

/// The profile that allows what was seen.
pub fn profile(name: &str, seen: &Seen, options: &Options) -> Profile<AppArmorProfile> {
    let mut left = BTreeSet::new();
    let lists = files::Lists::new(seen.files(), |pattern| options.general(pattern), &mut left);
    let rules = rules::Rules::new(seen.others(), &mut left);
    let rules::Rules { network, capabilities, ptrace, signal, mount, unix } = rules;
    let abstract_ = Abstract {
        executable: lists.executable(),
        filesystem: lists.filesystem(),
        network,
        capability: capabilities,
        ptrace: fitting(name, ptrace, &mut left),
        signal: fitting(name, signal, &mut left),
        mount: fitting(name, mount, &mut left),
        unix: fitting(name, unix, &mut left),
    };
    let spec = AppArmorProfileSpec { abstract_: Some(abstract_), ..AppArmorProfileSpec::default() };
    let mut profile = AppArmorProfile::new(name, spec);
    let description = format!(
        "{} files and {} other accesses, recorded; what a program needs to start is added on the node",
        seen.files().len(),
        seen.others().count()
    );
    profile.metadata.annotations = Some(BTreeMap::from([("description".to_owned(), description)]));
    Profile { profile, left: left.into_iter().collect() }
}

/// Puts paths of a profile together where a list has more than it can; says which lists.
pub fn fit(spec: &mut AppArmorProfileSpec) -> Vec<String> {
    let Some(rules) = &mut spec.abstract_ else { return Vec::new() };
    files::fit(rules)
}

impl Options {
    fn general(&self, pattern: &str) -> String {
        let long = |name: &&String| name.len() >= 5 && name.contains(|c: char| !c.is_alphabetic());
        self.names
            .iter()
            .filter(long)
            .fold(pattern.to_owned(), |pattern, name| pattern.replace(&path::escaped(name), "*"))
    }
}

/// A rule that can stand in a profile alone.
trait Rule: Clone + std::fmt::Debug {
    fn alone(self) -> Abstract;
}

impl Rule for PtraceRule {
    fn alone(self) -> Abstract {
        Abstract { ptrace: vec![self], ..Abstract::default() }
    }
}

impl Rule for SignalRule {
    fn alone(self) -> Abstract {
        Abstract { signal: vec![self], ..Abstract::default() }
    }
}

impl Rule for MountRule {
    fn alone(self) -> Abstract {
        Abstract { mount: vec![self], ..Abstract::default() }
    }
}

impl Rule for UnixRule {
    fn alone(self) -> Abstract {
        Abstract { unix: vec![self], ..Abstract::default() }
    }
}

/// The rules that a profile can have: one that cannot be written would keep the whole profile from being installed.
fn fitting<R: Rule>(name: &str, rules: Vec<R>, left: &mut BTreeSet<String>) -> Vec<R> {
    let mut fit = Vec::new();
    for rule in rules {
        let spec = AppArmorProfileSpec {
            abstract_: Some(rule.clone().alone()),
            ..AppArmorProfileSpec::default()
        };
        match render::apparmor::render(name, &spec) {
            Ok(_) if fit.len() < RULES_MAX => fit.push(rule),
            Ok(_) => {
                left.insert(format!("{rule:?}: a profile has at most {RULES_MAX} such rules"));
            }
            Err(error) => {
                left.insert(format!("{rule:?}: {error}"));
            }
        }
    }
    fit
}

#[cfg(test)]
mod tests;
