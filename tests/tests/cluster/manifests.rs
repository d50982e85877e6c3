//! Are manifests accepted as users have them?

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    answer::Answer,
    object::{self, GROUP, text},
    programs::repository,
};

use crate::{
    questions,
    shared::Shared,
    write::{create, recording, v1},
};

questions![
    every_manifest_is_accepted_as_it_stands,
    every_kind_is_served_in_its_versions_and_under_its_names,
    both_spellings_are_accepted,
];

async fn every_manifest_is_accepted_as_it_stands(shared: &Shared) -> Result<()> {
    let namespace = shared.namespace(&[]).await?;
    let mut count = 0;
    for file in fs::read_dir(repository().join("tests/fixtures/manifests"))? {
        let path = file?.path();
        for manifest in object::parse(&fs::read_to_string(&path)?)? {
            // Strict: a field that the schema does not know would be an error.
            let at = format!(
                "{}?fieldValidation=Strict",
                object::collection(&manifest, &namespace.name)?
            );
            let answer: Answer = shared.cluster.asker().ask("POST", &at, Some(&manifest)).await?;
            assert_eq!(answer.warnings, Vec::<String>::new(), "{}", path.display());
            let stored = answer.granted().with_context(|| path.display().to_string())?;
            assert_contains(&stored["spec"], &manifest["spec"], "spec");
            let (kind, name) = (text(&manifest, "/kind")?, text(&manifest, "/metadata/name")?);
            let newest = namespace.get(&v1(), kind, name).await?.context("not served as v1")?;
            assert_eq!(newest["spec"], stored["spec"], "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 4, "only {count} manifests");
    Ok(())
}

/// All that is in `part` is in `whole`, which may have more: defaults.
fn assert_contains(whole: &Value, part: &Value, at: &str) {
    match part {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert_contains(&whole[name], value, &format!("{at}.{name}"));
            }
        }
        Value::Array(items) => {
            assert_eq!(whole.as_array().map(Vec::len), Some(items.len()), "{at}: {whole}");
            for (index, item) in items.iter().enumerate() {
                assert_contains(&whole[index], item, &format!("{at}[{index}]"));
            }
        }
        _ => assert_eq!(whole, part, "{at}"),
    }
}

async fn every_kind_is_served_in_its_versions_and_under_its_names(shared: &Shared) -> Result<()> {
    for (version, expected) in [
        (
            "v1",
            json!([
                ["apparmorprofiles", "AppArmorProfile", false, ["aa"]],
                ["nodesecurityprofiles", "NodeSecurityProfiles", false, ["nsp"]],
                ["profilebindings", "ProfileBinding", true, ["pb"]],
                ["profilerecordings", "ProfileRecording", true, ["pr"]],
                ["rawselinuxprofiles", "RawSelinuxProfile", false, null],
                ["seccompprofiles", "SeccompProfile", false, ["sp"]],
                ["selinuxprofiles", "SelinuxProfile", false, ["selp"]],
            ]),
        ),
        ("v1beta1", json!([["seccompprofiles", "SeccompProfile", false, ["sp"]]])),
        (
            "v1alpha2",
            json!([
                ["rawselinuxprofiles", "RawSelinuxProfile", false, null],
                ["selinuxprofiles", "SelinuxProfile", false, ["selp"]],
            ]),
        ),
        (
            "v1alpha1",
            json!([
                ["apparmorprofiles", "AppArmorProfile", false, ["aa"]],
                ["profilebindings", "ProfileBinding", true, ["pb"]],
                ["profilerecordings", "ProfileRecording", true, ["pr"]],
            ]),
        ),
    ] {
        let path = format!("/apis/{GROUP}/{version}");
        let found = shared.cluster.asker().ask("GET", &path, None).await?.granted()?;
        let mut served: Vec<Value> = found["resources"]
            .as_array()
            .context("no resources")?
            .iter()
            .filter(|resource| !resource["name"].as_str().unwrap_or_default().contains('/'))
            .map(|resource| {
                json!([
                    resource["name"],
                    resource["kind"],
                    resource["namespaced"],
                    resource["shortNames"]
                ])
            })
            .collect();
        served.sort_by_key(|resource| resource[0].to_string());
        assert_eq!(json!(served), expected, "{version}");
    }
    Ok(())
}

async fn both_spellings_are_accepted(shared: &Shared) -> Result<()> {
    let namespace = shared.recorded().await?;
    for (recorder, merge, key) in [
        ("Bpf", "None", "io.containers.trace-bpf/main"),
        ("bpf", "none", "io.containers.trace-bpf/main"),
        ("Logs", "Containers", "io.containers.trace-logs/main"),
        ("logs", "containers", "io.containers.trace-logs/main"),
    ] {
        let name = format!("r{recorder}{merge}").to_lowercase();
        let name = if recorder.starts_with(char::is_uppercase) { name + "-upper" } else { name };
        let more = json!({ "mergeStrategy": merge });
        create(&namespace, &[recording(&name, "SeccompProfile", recorder, &more)]).await?;
        shared.settled(&namespace).await?;
        let pod = crate::write::pod(
            &json!({ "labels": { "app": name } }),
            &json!({ "containers": [{ "name": "main", "image": "nginx" }] }),
        );
        let pod = namespace.dry_run(&pod).await?.granted()?;
        assert!(pod["metadata"]["annotations"][key].is_string(), "{recorder}: {}", pod["metadata"]);
    }
    Ok(())
}
