//! How much memory does the controller take in a cluster with much in it?

use std::fs;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tests::namespace::{Namespace, unique};

use super::{IMAGE, KIND, daemon::Controller, pod, profile, quiet_cluster, until_is};
use crate::{questions, shared::Shared, write::binding};

questions![a_controller_of_two_thousand_bindings_and_a_thousand_pods_takes_little_memory];

const NAMESPACES: usize = 200;
const BINDINGS: usize = 10;
/// Of each tenth namespace: what is in how many of them makes no difference.
const PODS: usize = 50;
const AT_ONCE: usize = 16;
/// The most that it may ever have had.
const PEAK: u64 = 100 << 20;

async fn a_controller_of_two_thousand_bindings_and_a_thousand_pods_takes_little_memory(
    _: &Shared,
) -> Result<()> {
    let cluster = quiet_cluster().await?;
    let (name, object) = profile();
    cluster.create(&object).await?;
    let controller = Controller::start(&cluster, "only").await?;
    let fill = async |number: usize| -> Result<()> {
        let pods = if number.is_multiple_of(10) { PODS } else { 0 };
        let namespace = if pods > 0 {
            Namespace::new(cluster.asker(), &[]).await?.name
        } else {
            let name = format!("without-pods-{}", unique());
            let metadata = json!({ "name": name });
            let new = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
            cluster.create(&new).await?;
            name
        };
        let at = |kind: &str| match kind {
            "Pod" => format!("/api/v1/namespaces/{namespace}/pods"),
            _ => format!(
                "/apis/security-profiles-operator.x-k8s.io/v1/namespaces/{namespace}/profilebindings"
            ),
        };
        for place in 0..BINDINGS {
            let image =
                if place == 0 { IMAGE.to_owned() } else { format!("example.com/{place}:*") };
            let object = binding(&format!("b{place}"), KIND, &name, &image, &json!({}));
            cluster.asker().ask("POST", &at("Binding"), Some(&object)).await?.granted()?;
        }
        for place in 0..pods {
            let mut object = pod(&format!("web-7d4b9c6f5d-{place:05}"), &name);
            object["metadata"]["labels"] =
                json!({ "app.kubernetes.io/name": "web", "pod-template-hash": "7d4b9c6f5d" });
            cluster.asker().ask("POST", &at("Pod"), Some(&object)).await?.granted()?;
        }
        Ok(())
    };
    let filled = stream::iter(0..NAMESPACES).map(fill).buffer_unordered(AT_ONCE);
    filled.try_collect::<Vec<_>>().await?;
    // It has seen and written all of it, and does so once more from the beginning.
    let last = binding("last", KIND, &name, "*", &json!({}));
    let namespace = Namespace::new(cluster.asker(), &[]).await?;
    namespace.create_object(&last).await?.granted()?;
    controller.until_leads().await?;
    let counted = |binding: &serde_json::Value| binding["status"]["workloadCount"] == 0;
    until_is(&cluster, &last, &namespace.name, "all is written", counted).await?;
    let restarted = Controller::start(&cluster, "again").await?;
    for controller in [&controller, &restarted] {
        let status = fs::read_to_string(format!("/proc/{}/status", controller.daemon.pid()))?;
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").trim().parse()?;
        let peak = kilobytes << 10;
        ensure!(peak <= PEAK, "{}: {} MiB", controller.identity, peak >> 20);
    }
    Ok(())
}
