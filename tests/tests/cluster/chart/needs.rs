//! Do the parts on nodes have what their features need, and nothing else? The README's table says what that is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::chart::{self, Helm};

use super::{elements, helm, of_kind};
use crate::{questions, shared::Shared};

questions![
    the_table_of_the_readme_is_what_is_rendered_for_each_choice_of_features,
    parts_on_nodes_have_no_other_rights,
    all_tests_of_parts_on_nodes_run_with_these_capabilities,
];

const HEADER: &str = "| features | part | mounts | capabilities | host namespaces |";
const FEATURES: [&str; 7] =
    ["seccomp", "apparmor", "selinux", "record.bpf", "record.logs", "violations", "enrich"];

/// What a part may reach on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Needs {
    mounts: BTreeSet<String>,
    capabilities: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

/// A row of the table: what these features together add to a part.
struct Row {
    features: BTreeSet<String>,
    part: String,
    needs: Needs,
}

fn words(cell: &str) -> BTreeSet<String> {
    let words = cell.split(',').map(|word| word.trim().replace('`', ""));
    words.filter(|word| !word.is_empty() && word != "none").collect()
}

fn table() -> Result<Vec<Row>> {
    let text = chart::file("README.md")?;
    let lines = text.lines().skip_while(|line| *line != HEADER).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [features, part, mounts, capabilities, namespaces] = cells[..] else {
            anyhow::bail!("not five cells: {line}");
        };
        let needs = Needs {
            mounts: words(mounts),
            capabilities: words(capabilities),
            namespaces: words(namespaces),
        };
        Ok(Row {
            features: words(&features.replace(" and ", ",")),
            part: part.replace('`', ""),
            needs,
        })
    });
    let rows: Vec<_> = rows.collect::<Result<_>>()?;
    ensure!(!rows.is_empty(), "the README has no table of what features need");
    Ok(rows)
}

/// What is there for some features, by the table: of all rows that speak of no others.
fn expected(rows: &[Row], on: &BTreeSet<String>) -> BTreeMap<String, Needs> {
    let mut parts: BTreeMap<String, Needs> = BTreeMap::new();
    let alone = |row: &&Row| row.features.len() == 1 && row.features.is_subset(on);
    for row in rows.iter().filter(alone) {
        parts.entry(row.part.clone()).or_default();
    }
    for row in rows.iter().filter(|row| row.features.is_subset(on)) {
        let Some(part) = parts.get_mut(&row.part) else { continue };
        part.mounts.extend(row.needs.mounts.iter().cloned());
        part.capabilities.extend(row.needs.capabilities.iter().cloned());
        part.namespaces.extend(row.needs.namespaces.iter().cloned());
    }
    parts
}

fn rendered(helm: &Helm, on: &BTreeSet<String>) -> Result<BTreeMap<String, Needs>> {
    let is = |feature: &str| on.contains(feature);
    let values = json!({ "features": {
        "seccomp": is("seccomp"), "apparmor": is("apparmor"), "selinux": is("selinux"),
        "record": { "bpf": is("record.bpf"), "logs": is("record.logs") },
        "violations": is("violations"), "enrich": is("enrich"),
    }});
    let mut parts = BTreeMap::new();
    for daemon in of_kind(&helm.template(&values)?, "DaemonSet") {
        let name = daemon["metadata"]["name"].as_str().unwrap_or_default();
        let part = name.trim_start_matches("cinch-").to_owned();
        parts.insert(part, needs(&daemon["spec"]["template"]["spec"])?);
    }
    Ok(parts)
}

fn needs(pod: &Value) -> Result<Needs> {
    let mut needs = Needs::default();
    let container = &pod["containers"][0];
    for volume in elements(pod, "/volumes") {
        let path =
            volume["hostPath"]["path"].as_str().context("a volume that is not the host's")?;
        let mounts = elements(container, "/volumeMounts").iter();
        for mount in mounts.filter(|mount| mount["name"] == volume["name"]) {
            let read_only = if mount["readOnly"] == true { " (ro)" } else { "" };
            needs.mounts.insert(format!("{path}{read_only}"));
        }
    }
    let added = elements(container, "/securityContext/capabilities/add");
    needs.capabilities.extend(added.iter().filter_map(|it| Some(it.as_str()?.to_owned())));
    for (field, name) in [("hostPID", "PID"), ("hostNetwork", "network"), ("hostIPC", "IPC")] {
        if pod[field] == true {
            needs.namespaces.insert(name.to_owned());
        }
    }
    Ok(needs)
}

async fn the_table_of_the_readme_is_what_is_rendered_for_each_choice_of_features(
    _: &Shared,
) -> Result<()> {
    let (helm, rows) = (helm()?, table()?);
    // None, each, each two, and all: what is said of three at once would be said of two of them.
    let mut choices: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for first in FEATURES {
        for second in FEATURES {
            choices.insert([first, second].map(str::to_owned).into());
        }
    }
    choices.extend([BTreeSet::new(), FEATURES.map(str::to_owned).into()]);
    assert_eq!(choices.len(), 7 + 21 + 2);
    for on in choices {
        assert_eq!(rendered(&helm, &on)?, expected(&rows, &on), "with {on:?}");
    }
    Ok(())
}

async fn all_tests_of_parts_on_nodes_run_with_these_capabilities(_: &Shared) -> Result<()> {
    let all: BTreeSet<String> = FEATURES.map(str::to_owned).into();
    let parts = rendered(&helm()?, &all)?;
    let recorder = parts.get("recorder").context("no recorder")?;
    assert_eq!(recorder.capabilities, chart::RECORDER.map(str::to_owned).into());
    // Those of the installer care for seccomp alone, without any.
    let parts = rendered(&helm()?, &["seccomp".to_owned()].into())?;
    let installer = parts.get("node-installer").context("no installer")?;
    assert_eq!(installer.capabilities, BTreeSet::new());
    Ok(())
}

async fn parts_on_nodes_have_no_other_rights(_: &Shared) -> Result<()> {
    let helm = helm()?;
    for (what, values) in super::variants() {
        for daemon in of_kind(&helm.template(&values)?, "DaemonSet") {
            let pod = &daemon["spec"]["template"]["spec"];
            assert_eq!(elements(pod, "/containers").len(), 1, "{what}");
            let context = &pod["containers"][0]["securityContext"];
            assert_eq!(context["privileged"], Value::Null, "{what}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{what}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{what}");
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{what}");
            let is_root = |mount: &&Value| mount["name"] == "root";
            for mount in elements(pod, "/containers/0/volumeMounts").iter().filter(is_root) {
                assert_eq!(mount["readOnly"], true, "{what}");
            }
        }
    }
    Ok(())
}
