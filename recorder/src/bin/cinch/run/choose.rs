//! The profile that a command is to run under: as an object with the objects that it builds on, or as runtimes read it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use daemon::manifests::{parse, typed};
use profile::{
    kinds::{SeccompProfile, SeccompProfileSpec, seccomp::Action},
    render::{self, seccomp::Filter},
};
use serde_json::Value;

use crate::document::{self, Document};

/// A filter, and what it is called.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) filter: Filter,
}

/// Reads the profile of a file, with the files of those that it builds on.
pub(crate) fn read(
    file: &Path,
    name: Option<&str>,
    bases: &[impl AsRef<Path>],
) -> anyhow::Result<Named> {
    let shown = file.display();
    let named = match raw(file).with_context(|| format!("{shown}"))? {
        Raw::Filter(filter) => {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Named { name, filter: *filter }
        }
        Raw::Objects(text) => {
            let mut objects = objects(document::read_text(&text, file)?);
            let own = objects.len();
            for base in bases {
                objects.extend(self::objects(document::read_all(base.as_ref())?));
            }
            render(&objects, own, name).with_context(|| format!("{shown}"))?
        }
    };
    if let Some(rule) = named.filter.syscalls.iter().find(|rule| rule.action == Action::Notify) {
        bail!(
            "{shown}: {} is for an agent to decide on (SCMP_ACT_NOTIFY), and there is none here",
            rule.names.join(", ")
        );
    }
    Ok(named)
}

/// What a file holds.
enum Raw {
    Filter(Box<Filter>),
    /// Its text.
    Objects(String),
}

fn raw(file: &Path) -> anyhow::Result<Raw> {
    let text = document::text(file)?;
    let values = parse(&text).map_err(anyhow::Error::msg)?;
    let [value] = &values[..] else { return Ok(Raw::Objects(text)) };
    if value.get("defaultAction").is_none() || value.get("kind").is_some() {
        return Ok(Raw::Objects(text));
    }
    let rules = value.get("syscalls").and_then(Value::as_array).into_iter().flatten();
    let conditional = rules.into_iter().any(|rule| {
        ["includes", "excludes"].iter().any(|field| rule.get(field).is_some_and(|of| !is_empty(of)))
    });
    if conditional || value.get("archMap").is_some() {
        bail!(
            "it has archMap, includes or excludes, which the container engine resolves: write the profile as the OCI runtime \
             specification has it (architectures, syscalls with names, action and args)"
        );
    }
    Ok(Raw::Filter(Box::new(typed(value.clone()).map_err(anyhow::Error::msg)?)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn objects(documents: Vec<Document>) -> Vec<SeccompProfile> {
    let seccomp = documents.into_iter().filter_map(|document| match document {
        Document::Seccomp(profile) => Some(*profile),
        _ => None,
    });
    seccomp.collect()
}

/// Of the first of these objects, the one with this name or on which none of them builds; the others are there to be
/// built on.
fn render(all: &[SeccompProfile], own: usize, name: Option<&str>) -> anyhow::Result<Named> {
    let name_of = |profile: &SeccompProfile| profile.metadata.name.clone().unwrap_or_default();
    let own = &all[..own];
    let is_base = |name: &str| {
        own.iter().any(|profile| profile.spec.base_profile_name.as_deref() == Some(name))
    };
    let wanted: Vec<_> = own
        .iter()
        .filter(|profile| match name {
            Some(name) => name_of(profile) == name,
            None => !is_base(&name_of(profile)),
        })
        .collect();
    let profile = match (&wanted[..], name) {
        ([one], _) => one,
        ([], Some(name)) => bail!("there is no SeccompProfile {name} in it"),
        ([], None) => bail!("there is no SeccompProfile in it"),
        (several, _) => {
            let names: Vec<_> = several.iter().map(|profile| name_of(profile)).collect();
            bail!("it has several profiles, choose one by --name: {}", names.join(", "))
        }
    };
    let specs: BTreeMap<String, Arc<SeccompProfileSpec>> =
        all.iter().map(|profile| (name_of(profile), Arc::new(profile.spec.clone()))).collect();
    let name = name_of(profile);
    let filter = render::seccomp::render(&name, &profile.spec, &|base| specs.get(base).cloned());
    let missing = matches!(filter, Err(render::seccomp::SeccompError::Missing { .. }));
    let filter = if missing {
        filter.context("give the file that has it by --base-profile")?
    } else {
        filter?
    };
    Ok(Named { name, filter })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, base: Option<&str>, call: &str) -> String {
        let base = base.map(|base| format!("baseProfileName: {base}, ")).unwrap_or_default();
        format!(
            "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {{name: {name}}}\n\
             spec: {{defaultAction: SCMP_ACT_ERRNO, {base}syscalls: [{{names: [{call}], action: SCMP_ACT_ALLOW}}]}}\n"
        )
    }

    fn of(text: &str, name: Option<&str>, bases: &[&str]) -> Result<Named, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("profile");
        std::fs::write(&file, text).unwrap();
        let bases: Vec<_> = (0..)
            .zip(bases)
            .map(|(number, text)| {
                let file = folder.path().join(format!("base-{number}"));
                std::fs::write(&file, text).unwrap();
                file
            })
            .collect();
        read(&file, name, &bases).map_err(|error| format!("{error:#}"))
    }

    fn allowed(named: &Named) -> Vec<&str> {
        let mut names: Vec<_> =
            named.filter.syscalls.iter().flat_map(|rule| &rule.names).map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_a_profile_builds_on_is_found_in_the_same_file_and_in_others() {
        let two = format!(
            "{}---\n{}",
            object("base", None, "read"),
            object("own", Some("base"), "write")
        );
        let named = of(&two, None, &[]).unwrap();
        assert_eq!((&*named.name, allowed(&named)), ("own", vec!["read", "write"]));
        let own = object("own", Some("base"), "write");
        let named =
            of(&own, None, &[&object("other", None, "mount"), &object("base", None, "read")]);
        assert_eq!(allowed(&named.unwrap()), ["read", "write"]);
        let error = of(&own, None, &[]).unwrap_err();
        assert!(
            error.contains("--base-profile") && error.contains("base, which does not exist"),
            "{error}"
        );
    }

    #[test]
    fn one_of_several_is_chosen_by_its_name() {
        let two = format!("{}---\n{}", object("a", None, "read"), object("b", None, "write"));
        let error = of(&two, None, &[]).unwrap_err();
        assert!(error.ends_with("choose one by --name: a, b"), "{error}");
        assert_eq!(allowed(&of(&two, Some("b"), &[]).unwrap()), ["write"]);
        assert!(of(&two, Some("c"), &[]).unwrap_err().ends_with("no SeccompProfile c in it"));
    }

    #[test]
    fn the_json_of_a_runtime_is_taken_as_it_stands() {
        let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#;
        let named = of(json, None, &[]).unwrap();
        assert_eq!((&*named.name, named.filter.default_errno_ret), ("profile", Some(38)));
    }

    #[test]
    fn what_only_an_engine_or_an_agent_can_decide_is_refused() {
        let error = |text: &str| of(text, None, &[]).unwrap_err();
        let engine = error(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["bpf"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_BPF"]}}]}"#,
        );
        assert!(engine.contains("OCI runtime specification"), "{engine}");
        let agent = error(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x","syscalls":[{"names":["bpf"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        );
        assert!(agent.contains("bpf is for an agent"), "{agent}");
    }
}
