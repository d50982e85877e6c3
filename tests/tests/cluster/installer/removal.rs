//! Does a profile stay as long as somebody needs it, and no longer?

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{installer::Installer, namespace::Namespace, node::Node, until::until};

use super::{KIND, change, installed, profile, start};
use crate::{
    questions,
    shared::Shared,
    write::{context, pod},
};

questions![
    a_profile_that_nobody_uses_goes_with_its_object,
    a_deleted_profile_stays_until_the_pod_that_uses_it_is_deleted,
    a_deleted_profile_stays_until_the_pod_that_uses_it_has_ended,
    a_disabled_profile_stays_until_the_pod_that_uses_it_is_deleted,
    a_profile_that_comes_back_while_it_is_used_is_installed_as_before,
    pods_of_other_nodes_do_not_matter,
    nothing_is_removed_as_long_as_pods_are_not_known,
];

const LIMIT: Duration = Duration::from_mins(1);

/// A profile on a node, and a namespace for the pods that use it.
struct InUse<'a> {
    shared: &'a Shared,
    node: Node<'a>,
    installer: Installer,
    namespace: Namespace,
    name: String,
    object: Value,
}

impl<'a> InUse<'a> {
    /// The pod is there before the daemon is: which of two watches is the first to tell something is open.
    async fn by_pod_of(shared: &'a Shared, other: Option<&Node<'_>>) -> Result<Self> {
        let (node, (name, object)) = (Node::new(&shared.cluster).await?, profile());
        shared.cluster.create(&object).await?;
        let namespace = shared.namespace(&[]).await?;
        let container =
            json!({ "name": "a", "image": "a", "securityContext": context(KIND, &name) });
        let place = other.map_or(&node.name, |other| &other.name);
        let spec = json!({ "nodeName": place, "containers": [container] });
        namespace.create_object(&pod(&json!({}), &spec)).await?.granted()?;
        let installer = start(&node).await?;
        node.until_state(KIND, &name, "Installed").await?;
        Ok(Self { shared, node, installer, namespace, name, object })
    }

    /// By a pod of the same node.
    async fn new(shared: &'a Shared) -> Result<Self> {
        Self::by_pod_of(shared, None).await
    }

    /// Deletes the profile's object.
    async fn delete(&self) -> Result<()> {
        self.shared.cluster.delete(&self.object).await
    }

    /// The node keeps the profile because of the pod, and names it.
    async fn assert_kept(&self) -> Result<()> {
        let said = self.node.until_state(KIND, &self.name, "Terminating").await?;
        let message = said["message"].as_str().context("no message")?;
        let named = format!("the pod {}/pod", self.namespace.name);
        ensure!(message.contains(&named), "{message}");
        ensure!(self.path().is_file(), "the file is gone");
        Ok(())
    }

    async fn until_gone(&self) -> Result<()> {
        let path = self.path();
        until("the file is gone", LIMIT, async || Ok((!path.exists()).then_some(()))).await?;
        self.node.until_silent(KIND, &self.name).await
    }

    fn path(&self) -> Box<Path> {
        self.installer.seccomp(&self.name).into()
    }
}

async fn a_profile_that_nobody_uses_goes_with_its_object(shared: &Shared) -> Result<()> {
    let (node, installer) = installed(&shared.cluster).await?;
    let (name, object) = profile();
    shared.cluster.create(&object).await?;
    node.until_state(KIND, &name, "Installed").await?;
    ensure!(installer.seccomp(&name).is_file(), "the file is missing");
    shared.cluster.delete(&object).await?;
    node.until_silent(KIND, &name).await?;
    ensure!(!installer.seccomp(&name).exists(), "the file is still there");
    Ok(())
}

async fn a_deleted_profile_stays_until_the_pod_that_uses_it_is_deleted(
    shared: &Shared,
) -> Result<()> {
    let used = InUse::new(shared).await?;
    used.delete().await?;
    used.assert_kept().await?;
    used.namespace.delete("v1", "Pod", "pod").await?;
    used.until_gone().await
}

async fn a_deleted_profile_stays_until_the_pod_that_uses_it_has_ended(
    shared: &Shared,
) -> Result<()> {
    for phase in ["Succeeded", "Failed"] {
        let used = InUse::new(shared).await?;
        used.delete().await?;
        used.assert_kept().await?;
        used.namespace.set_status("v1", "Pod", "pod", &json!({ "phase": phase })).await?;
        used.until_gone().await?;
    }
    Ok(())
}

async fn a_disabled_profile_stays_until_the_pod_that_uses_it_is_deleted(
    shared: &Shared,
) -> Result<()> {
    let used = InUse::new(shared).await?;
    change(&shared.cluster, &used.name, &json!({ "state": "Disabled" })).await?;
    used.assert_kept().await?;
    used.namespace.delete("v1", "Pod", "pod").await?;
    used.until_gone().await
}

async fn a_profile_that_comes_back_while_it_is_used_is_installed_as_before(
    shared: &Shared,
) -> Result<()> {
    let used = InUse::new(shared).await?;
    used.delete().await?;
    used.assert_kept().await?;
    let before = fs::read(used.path())?;
    shared.cluster.create(&used.object).await?;
    used.node.until_state(KIND, &used.name, "Installed").await?;
    assert_eq!(fs::read(used.path())?, before);
    used.namespace.delete("v1", "Pod", "pod").await?;
    // Nobody uses it any more, but it is asked for: what is made after it shows that it was left.
    let (other, object) = profile();
    shared.cluster.create(&object).await?;
    used.node.until_state(KIND, &other, "Installed").await?;
    ensure!(used.path().is_file(), "it was removed although it is asked for");
    Ok(())
}

async fn pods_of_other_nodes_do_not_matter(shared: &Shared) -> Result<()> {
    let other = Node::new(&shared.cluster).await?;
    let used = InUse::by_pod_of(shared, Some(&other)).await?;
    used.delete().await?;
    used.until_gone().await
}

async fn nothing_is_removed_as_long_as_pods_are_not_known(shared: &Shared) -> Result<()> {
    let other = Node::new(&shared.cluster).await?;
    let mut used = InUse::by_pod_of(shared, Some(&other)).await?;
    used.installer.kill()?;
    // The same node, asked for by somebody who may not see pods.
    let user = format!("blind-{}", used.node.name);
    let blind = shared.cluster.identity(&user, &[])?;
    for object in blind_rights(&user) {
        shared.cluster.create(&object).await?;
    }
    let kubeconfig = shared.cluster.kubeconfig(&user, &blind)?;
    let folder = used.installer.folder().to_owned();
    let mut installer = Installer::start(&folder, &used.node.name, &kubeconfig).await?;
    used.delete().await?;
    let said = used.node.until_state(KIND, &used.name, "Terminating").await?;
    assert_eq!(said["message"], json!("stays until it is known which pods use it"));
    until("the probe tells of pods", LIMIT, async || {
        let (_, detail) = installer.readyz().await?;
        Ok(detail.contains("[-] Pod: not heard of").then_some(()))
    })
    .await?;
    ensure!(installer.log()?.contains("pods is forbidden"), "the log does not tell why");
    // Once they are known it goes.
    ensure!(used.path().is_file(), "the file is gone");
    installer.kill()?;
    used.installer.start_again().await?;
    used.until_gone().await
}

/// What a daemon may do, but for pods.
fn blind_rights(user: &str) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let kinds = ["seccompprofiles", "selinuxprofiles", "rawselinuxprofiles", "apparmorprofiles"];
    let ours = tests::object::GROUP;
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": { "name": user },
        "rules": [
            { "apiGroups": [ours], "resources": kinds, "verbs": ["get", "list", "watch"] },
            { "apiGroups": [ours], "resources": ["nodesecurityprofiles"], "verbs": ["get", "create"] },
            { "apiGroups": [ours], "resources": ["nodesecurityprofiles/status"], "verbs": ["patch"] },
        ],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": user },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": user },
        "subjects": [{ "apiGroup": group, "kind": "User", "name": user }],
    });
    [role, binding]
}
