//! Keeps the node's object equal to what the lanes say: at most one write a second, and none when nothing has changed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use daemon::error::chain;
use k8s_openapi::{api::core::v1::Node, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, Resource as _,
    api::{Patch, PatchParams, PostParams},
    core::ObjectMeta,
};
use profile::kinds::{
    NodeSecurityProfiles, NodeSecurityProfilesStatus, node::NodeSecurityProfilesSpec,
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use crate::{board::Board, metrics::Metrics};

/// Who writes, as server-side apply wants to know it.
const MANAGER: &str = "cinch-node-installer";

/// After a change, how long to wait for the others of its batch.
const GATHER: Duration = Duration::from_millis(50);

/// Between two writes.
const PACE: Duration = Duration::from_secs(1);

/// The longest wait after a write that failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes for ever.
pub async fn keep(client: Client, node: String, board: Arc<Board>, metrics: Arc<Metrics>) {
    let mut writer = Writer { client, node, written: None, metrics };
    let mut changes = board.changes();
    let mut failures = 0;
    loop {
        tokio::time::sleep(GATHER).await;
        settled(&board, &mut changes).await;
        if board.is_complete() {
            let status = board.status();
            match writer.write(&status).await {
                Ok(false) => failures = 0,
                Ok(true) => {
                    failures = 0;
                    tokio::time::sleep(PACE.saturating_sub(GATHER)).await;
                    continue;
                }
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(error, "the status of the node was not written");
                    // It may have been deleted, or written by somebody else.
                    writer.written = None;
                    tokio::time::sleep(PACE.saturating_mul(1 << failures.min(5)).min(PATIENCE))
                        .await;
                    failures += 1;
                    continue;
                }
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Waits a moment for what is under way: that something is about to be done is news only when it takes long.
async fn settled(board: &Board, changes: &mut watch::Receiver<()>) {
    let settled = async { while board.status().pending > 0 && changes.changed().await.is_ok() {} };
    drop(timeout(PACE, settled).await);
}

struct Writer {
    client: Client,
    node: String,
    /// What the object is known to say.
    written: Option<NodeSecurityProfilesStatus>,
    metrics: Arc<Metrics>,
}

impl Writer {
    /// Writes a status, unless the object says it already. Tells whether it was written.
    async fn write(&mut self, status: &NodeSecurityProfilesStatus) -> kube::Result<bool> {
        let api = Api::<NodeSecurityProfiles>::all(self.client.clone());
        if self.written.is_none() {
            let there = api.get_opt(&self.node).await?;
            if there.is_none() {
                self.create(&api).await?;
                // That was a write as well.
                tokio::time::sleep(PACE).await;
            }
            self.written = there.map(|there| there.status.unwrap_or_default());
        }
        if self.written.as_ref() == Some(status) {
            return Ok(false);
        }
        let patch = json!({
            "apiVersion": NodeSecurityProfiles::api_version(&()),
            "kind": NodeSecurityProfiles::kind(&()),
            "metadata": { "name": self.node },
            "status": with_list(status),
        });
        let manager = PatchParams::apply(MANAGER).force();
        api.patch_status(&self.node, &manager, &Patch::Apply(&patch)).await?;
        self.metrics.status_writes.inc();
        self.written = Some(status.clone());
        Ok(true)
    }

    /// Makes the object, which goes when the node does.
    async fn create(&self, api: &Api<NodeSecurityProfiles>) -> kube::Result<()> {
        let node = Api::<Node>::all(self.client.clone()).get(&self.node).await?;
        let owner = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: self.node.clone(),
            uid: node.metadata.uid.unwrap_or_default(),
            ..OwnerReference::default()
        };
        let metadata = ObjectMeta {
            name: Some(self.node.clone()),
            owner_references: Some(vec![owner]),
            labels: Some(BTreeMap::from([(
                "app.kubernetes.io/managed-by".to_owned(),
                "cinch".to_owned(),
            )])),
            ..ObjectMeta::default()
        };
        let mut object = NodeSecurityProfiles::new(&self.node, NodeSecurityProfilesSpec {});
        object.metadata = metadata;
        api.create(
            &PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() },
            &object,
        )
        .await?;
        self.metrics.status_writes.inc();
        Ok(())
    }
}

/// The status with its list also where that is empty: otherwise one that somebody else has written would stay.
fn with_list(status: &NodeSecurityProfilesStatus) -> Value {
    let mut whole = json!(status);
    whole["profiles"] = json!(status.profiles);
    whole
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use profile::{
        kinds::{ProfileKind, node::NodeProfileState},
        mechanism::Mechanism,
    };

    use super::*;
    use crate::{
        key::Key,
        lane::{Report, Reports},
        plan::Verdict,
    };

    fn said(state: NodeProfileState) -> Reports {
        let key = Key::new(ProfileKind::SeccompProfile, "a").unwrap();
        let verdict = Verdict { state, generation: None, message: None };
        [(key, Report { verdict, place: String::new(), took: None })].into()
    }

    fn board(state: NodeProfileState) -> Board {
        let board = Board::new(&[Mechanism::Seccomp], Arc::new(Metrics::default()));
        board.say(Mechanism::Seccomp, said(state), true);
        board
    }

    #[tokio::test]
    async fn what_is_done_within_a_moment_is_waited_for() {
        let board = board(NodeProfileState::Pending);
        let (mut changes, start) = (board.changes(), Instant::now());
        let waited = async {
            settled(&board, &mut changes).await;
            board.status().installed
        };
        let done = async {
            tokio::task::yield_now().await;
            board.say(Mechanism::Seccomp, said(NodeProfileState::Installed), true);
        };
        let (installed, ()) = tokio::join!(waited, done);
        assert_eq!(installed, 1, "it waited for what was pending");
        assert!(start.elapsed() < PACE, "and no longer");
    }

    #[tokio::test]
    async fn what_takes_longer_is_told_as_pending() {
        let board = board(NodeProfileState::Pending);
        let start = Instant::now();
        settled(&board, &mut board.changes()).await;
        assert!(start.elapsed() >= PACE, "not before");
        assert_eq!(board.status().pending, 1);
    }
}
