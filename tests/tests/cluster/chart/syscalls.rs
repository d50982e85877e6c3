//! Which calls may a `SeccompProfile` let happen, where the chart says so?

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{namespace::unique, object};

use super::{helm, named};
use crate::{questions, shared::Shared};

questions![
    no_profile_lets_a_call_happen_that_is_not_allowed,
    what_was_there_before_the_list_can_be_changed_but_for_its_rules,
];

/// A profile that only the policy of its test looks at.
fn profile(marker: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": format!("{}/v1", object::GROUP),
        "kind": "SeccompProfile",
        "metadata": { "name": format!("allowed-{}", unique()), "labels": { "tests/list": marker } },
        "spec": spec,
    })
}

fn rule(action: &str, names: &[String]) -> Value {
    json!({ "action": action, "names": names })
}

/// Installs the policy for profiles with a label of their own, and waits until it holds.
async fn install(shared: &Shared, allowed: &[String]) -> Result<String> {
    let marker = format!("list-{}", unique());
    let objects = helm()?.template(&json!({ "allowedSyscalls": allowed }))?;
    let mut policy =
        named(&objects, "ValidatingAdmissionPolicy", "cinch-allowed-syscalls")?.clone();
    policy["metadata"]["name"] = json!(marker);
    policy["spec"]["matchConstraints"]["objectSelector"] =
        json!({ "matchLabels": { "tests/list": marker } });
    let mut binding =
        named(&objects, "ValidatingAdmissionPolicyBinding", "cinch-allowed-syscalls")?.clone();
    binding["metadata"]["name"] = json!(marker);
    binding["spec"]["policyName"] = json!(marker);
    shared.cluster.create(&policy).await?;
    shared.cluster.create(&binding).await?;
    let everything = profile(&marker, &json!({ "defaultAction": "SCMP_ACT_ALLOW" }));
    let at = object::collection(&everything, "")?;
    shared.cluster.asker().until_refused("POST", &at, Some(&everything)).await?;
    Ok(marker)
}

/// Why a profile is refused, where it is.
async fn ask(shared: &Shared, profile: &Value) -> Result<Option<String>> {
    let at = format!("{}?dryRun=All", object::collection(profile, "")?);
    let answer = shared.cluster.asker().ask("POST", &at, Some(profile)).await?;
    if answer.status.is_success() { Ok(None) } else { answer.refused().map(Some) }
}

async fn no_profile_lets_a_call_happen_that_is_not_allowed(shared: &Shared) -> Result<()> {
    // As long as a list can be: all calls there are, and as many again.
    let long: Vec<String> = (0..1000).map(|number| format!("call{number}")).collect();
    let allowed: Vec<String> =
        long.iter().cloned().chain(["read", "write"].map(str::to_owned)).collect();
    let marker = install(shared, &allowed).await?;
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let errno = |rules: Value| json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules });
    let (allow, log) = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG");
    for (spec, complaint) in [
        (errno(json!([])), None),
        (errno(json!([rule(allow, &names(&["read"])), rule(log, &names(&["write"]))])), None),
        (errno(json!([rule(allow, &long)])), None),
        (errno(json!([rule("SCMP_ACT_KILL_PROCESS", &names(&["mount"]))])), None),
        (
            errno(json!([rule(allow, &names(&["read", "mount"]))])),
            Some("allowedSyscalls of the chart cinch: mount"),
        ),
        (
            errno(json!([
                rule(log, &names(&["mount"])),
                rule("SCMP_ACT_NOTIFY", &names(&["bpf"]))
            ])),
            Some("allowedSyscalls of the chart cinch: mount, bpf"),
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_LOG" }),
            Some("defaultAction SCMP_ACT_LOG lets calls happen"),
        ),
    ] {
        let answer = ask(shared, &profile(&marker, &spec)).await?;
        match complaint {
            None => assert_eq!(answer, None, "{spec}"),
            Some(complaint) => {
                let refused = answer.with_context(|| format!("granted: {spec}"))?;
                assert!(refused.contains(complaint), "{refused}");
            }
        }
    }
    let mut from_registry = errno(json!([]));
    from_registry["baseProfileName"] = json!("oci://registry.example.com/base:1");
    let refused = ask(shared, &profile(&marker, &from_registry)).await?.context("granted")?;
    assert!(refused.contains("a base profile from a registry"), "{refused}");
    Ok(())
}

async fn what_was_there_before_the_list_can_be_changed_but_for_its_rules(
    shared: &Shared,
) -> Result<()> {
    let marker = format!("list-{}", unique());
    let mut before = profile(&marker, &json!({ "defaultAction": "SCMP_ACT_ALLOW" }));
    before["metadata"]["finalizers"] = json!(["tests.example.com/held"]);
    shared.cluster.create(&before).await?;
    let list = install(shared, &["read".to_owned()]).await?;
    let at = object::location(&before, "")?;
    let patch = |patch: Value| {
        let at = at.clone();
        async move { shared.cluster.asker().ask("PATCH", &at, Some(&patch)).await }
    };
    // From now on the policy looks at it.
    patch(json!({ "metadata": { "labels": { "tests/list": list } } })).await?.granted()?;
    patch(json!({ "metadata": { "labels": { "more": "labels" } } })).await?.granted()?;
    let refused = patch(json!({ "spec": { "flags": ["SECCOMP_FILTER_FLAG_LOG"] } })).await?;
    assert!(refused.refused()?.contains("defaultAction SCMP_ACT_ALLOW lets calls happen"));
    shared.cluster.delete(&before).await?;
    patch(json!({ "metadata": { "finalizers": null } })).await?.granted()?;
    Ok(())
}
