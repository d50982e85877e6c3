//! Can a node speak for another?

use anyhow::{Context as _, Result};
use http::StatusCode;
use serde_json::{Value, json};
use tests::{
    answer::Asker,
    authority::Identity,
    chart::{self, NAMESPACE},
    namespace::{Namespace, unique},
    node::{self, ACCOUNT, Node},
    object,
};

use crate::{questions, shared::Shared};

questions![
    a_node_writes_its_own_object,
    a_token_that_a_pod_got_is_that_of_its_node,
    a_node_is_refused_the_object_of_another,
    a_node_may_not_change_or_delete_the_object_of_another_whatever_its_rights,
    a_token_that_is_bound_to_no_node_writes_nothing,
    an_administrator_and_other_accounts_are_not_asked_for_a_node,
    an_account_without_a_binding_has_no_rights,
    the_rights_of_a_node_are_what_it_needs_and_no_more,
];

/// Asks for the creation of a node's object, its status, or its deletion.
async fn write(asker: &Asker, node: &Node<'_>, how: &str) -> Result<(StatusCode, String)> {
    let own = node.own_object();
    let at = object::location(&own, "")?;
    let answer = match how {
        "create" => asker.ask("POST", &object::collection(&own, "")?, Some(&own)).await?,
        "status" => {
            let status = json!({ "status": { "installed": 7 } });
            asker.ask("PATCH", &format!("{at}/status"), Some(&status)).await?
        }
        "change" => {
            let labels = json!({ "metadata": { "labels": { "a": "b" } } });
            asker.ask("PATCH", &at, Some(&labels)).await?
        }
        _ => asker.ask("DELETE", &at, None).await?,
    };
    let status = answer.status;
    Ok((status, answer.refused().unwrap_or_default()))
}

async fn assert_granted(asker: &Asker, node: &Node<'_>, how: &str) -> Result<()> {
    let (status, message) = write(asker, node, how).await?;
    assert!(status.is_success(), "{how}: {status} {message}");
    Ok(())
}

async fn assert_refused(asker: &Asker, node: &Node<'_>, how: &str, why: &str) -> Result<()> {
    let (status, message) = write(asker, node, how).await?;
    assert!(status == StatusCode::FORBIDDEN && message.contains(why), "{how}: {status} {message}");
    Ok(())
}

async fn policy_holds(shared: &Shared, account: &Identity) -> Result<()> {
    let other = Node::new(&shared.cluster).await?.own_object();
    let at = object::collection(&other, "")?;
    account.asker().await?.until_refused("POST", &at, Some(&other)).await
}

/// Two nodes, and the daemon of the first.
async fn two(shared: &Shared) -> Result<(Node<'_>, Node<'_>, Asker)> {
    let nodes = (Node::new(&shared.cluster).await?, Node::new(&shared.cluster).await?);
    let identity = nodes.0.identity().await?;
    policy_holds(shared, &identity).await?;
    Ok((nodes.0, nodes.1, identity.asker().await?))
}

async fn a_node_writes_its_own_object(shared: &Shared) -> Result<()> {
    let (own, _, daemon) = two(shared).await?;
    assert_granted(&daemon, &own, "create").await?;
    assert_granted(&daemon, &own, "status").await?;
    let object = own.object().await?.context("it was created")?;
    assert_eq!(object["status"]["installed"], json!(7));
    Ok(())
}

async fn a_token_that_a_pod_got_is_that_of_its_node(shared: &Shared) -> Result<()> {
    let (own, other, _) = two(shared).await?;
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": format!("daemon-{}", unique()) },
        "spec": {
            "nodeName": own.name,
            "serviceAccountName": ACCOUNT,
            "containers": [{ "name": "main", "image": "cinch-node-installer:1" }],
        },
    });
    let at = object::collection(&pod, NAMESPACE)?;
    let pod = shared.cluster.asker().ask("POST", &at, Some(&pod)).await?.granted()?;
    let bound = json!({
        "apiVersion": "v1", "kind": "Pod",
        "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"],
    });
    let daemon = node::token(&shared.cluster, NAMESPACE, ACCOUNT, Some(&bound)).await?;
    let daemon = daemon.asker().await?;
    assert_granted(&daemon, &own, "create").await?;
    let why = format!("the node {} has no say in what the node {} has", own.name, other.name);
    assert_refused(&daemon, &other, "create", &why).await
}

async fn a_node_is_refused_the_object_of_another(shared: &Shared) -> Result<()> {
    let (own, other, daemon) = two(shared).await?;
    let why = format!("the node {} has no say in what the node {} has", own.name, other.name);
    assert_refused(&daemon, &other, "create", &why).await?;
    assert_granted(&other.identity().await?.asker().await?, &other, "create").await?;
    assert_refused(&daemon, &other, "status", &why).await?;
    // It may not even delete its own: that goes with the Node.
    assert_refused(&daemon, &other, "delete", "cannot delete resource").await?;
    assert_eq!(other.object().await?.context("it is still there")?["status"], Value::Null);
    Ok(())
}

/// The policy as it stands, for an account of the same name in another namespace that has every right.
async fn almighty(shared: &Shared) -> Result<Namespace> {
    node::grant(&shared.cluster).await?;
    let namespace = shared.namespace(&[]).await?;
    let name = &namespace.name;
    let policy = chart::plain(node::POLICY)?
        .replace(NAMESPACE, name)
        .replace(&format!("{name}.x-k8s.io"), object::GROUP)
        .replace("name: cinch-node-identity", &format!("name: {name}"))
        .replace("policyName: cinch-node-identity", &format!("policyName: {name}"));
    node::apply(&shared.cluster, &policy).await?;
    let rights = format!(
        r"
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {ACCOUNT}, namespace: {name}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: {ACCOUNT}, namespace: {name}}}]
"
    );
    node::apply(&shared.cluster, &rights).await?;
    Ok(namespace)
}

async fn a_node_may_not_change_or_delete_the_object_of_another_whatever_its_rights(
    shared: &Shared,
) -> Result<()> {
    let namespace = almighty(shared).await?;
    let (own, other) = (Node::new(&shared.cluster).await?, Node::new(&shared.cluster).await?);
    let daemon =
        node::token(&shared.cluster, &namespace.name, ACCOUNT, Some(&own.reference())).await?;
    policy_holds(shared, &daemon).await?;
    let daemon = daemon.asker().await?;
    for node in [&own, &other] {
        assert_granted(shared.cluster.asker(), node, "create").await?;
    }
    let why = format!("the node {} has no say in what the node {} has", own.name, other.name);
    for how in ["status", "change", "delete"] {
        assert_refused(&daemon, &other, how, &why).await?;
        assert_granted(&daemon, &own, how).await?;
    }
    assert!(other.object().await?.is_some(), "it is still there");
    Ok(())
}

async fn a_token_that_is_bound_to_no_node_writes_nothing(shared: &Shared) -> Result<()> {
    let (own, ..) = two(shared).await?;
    let daemon = node::token(&shared.cluster, NAMESPACE, ACCOUNT, None).await?.asker().await?;
    let why = "the token is bound to no node";
    assert_refused(&daemon, &own, "create", why).await?;
    assert_granted(shared.cluster.asker(), &own, "create").await?;
    assert_refused(&daemon, &own, "status", why).await
}

async fn an_administrator_and_other_accounts_are_not_asked_for_a_node(
    shared: &Shared,
) -> Result<()> {
    let (own, ..) = two(shared).await?;
    let namespace = almighty(shared).await?;
    // The account of pods that say nothing: not the daemon's.
    let rights = format!(
        r"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {0}-default}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: default, namespace: {0}}}]
",
        namespace.name
    );
    node::apply(&shared.cluster, &rights).await?;
    let controller = node::token(&shared.cluster, &namespace.name, "default", None).await?;
    for asker in [shared.cluster.asker(), &controller.asker().await?] {
        for how in ["create", "status", "change", "delete"] {
            assert_granted(asker, &own, how).await?;
        }
    }
    Ok(())
}

async fn an_account_without_a_binding_has_no_rights(shared: &Shared) -> Result<()> {
    let (own, ..) = two(shared).await?;
    let namespace = shared.namespace(&[]).await?;
    let bound = own.reference();
    let stranger = node::token(&shared.cluster, &namespace.name, "default", Some(&bound)).await?;
    let stranger = stranger.asker().await?;
    assert_refused(&stranger, &own, "create", "cannot create resource").await?;
    assert_granted(shared.cluster.asker(), &own, "create").await?;
    assert_refused(&stranger, &own, "status", "cannot patch resource").await?;
    assert_refused(&stranger, &own, "delete", "cannot delete resource").await
}

async fn the_rights_of_a_node_are_what_it_needs_and_no_more(shared: &Shared) -> Result<()> {
    let (_, _, daemon) = two(shared).await?;
    let group = object::GROUP;
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": NAMESPACE },
    });
    let at = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let rules = daemon.ask("POST", at, Some(&review)).await?.granted()?;
    let mut found = Vec::new();
    for rule in rules["status"]["resourceRules"].as_array().context("no rules")? {
        let all = |field: &str| -> Vec<String> {
            let values = rule[field].as_array().into_iter().flatten();
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for resource in all("resources") {
            // What everybody may ask about themselves.
            if resource.starts_with("selfsubject") {
                continue;
            }
            for verb in all("verbs") {
                found.push(format!("{verb} {resource}"));
            }
        }
        let groups = all("apiGroups");
        assert!(groups.iter().all(|g| g.is_empty() || g == group || g.ends_with(".k8s.io")));
    }
    found.sort();
    let mut expected: Vec<String> =
        ["seccompprofiles", "selinuxprofiles", "rawselinuxprofiles", "apparmorprofiles"]
            .iter()
            .flat_map(|kind| ["get", "list", "watch"].map(|verb| format!("{verb} {kind}")))
            .collect();
    expected.extend(
        [
            "list pods",
            "watch pods",
            "get nodes",
            "get nodesecurityprofiles",
            "create nodesecurityprofiles",
            "patch nodesecurityprofiles/status",
        ]
        .map(str::to_owned),
    );
    expected.sort();
    assert_eq!(found, expected);
    Ok(())
}
