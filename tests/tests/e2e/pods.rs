//! Does a pod run at all?

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tests::{image::Image, namespace::Namespace, until::until};

use crate::{ground::Ground, questions};

questions![a_pod_without_a_profile_runs_and_is_heard];

async fn a_pod_without_a_profile_runs_and_is_heard(ground: &mut Ground) -> Result<()> {
    let archive = Image::new("shell:1")?
        .file("/bin/busybox", &ground.parts.busybox())?
        .links("/bin", "busybox", &["sh", "mkdir", "grep", "sleep"])?
        .write(ground.machine.folder())?;
    ground.worker.import(&archive).await?;
    let namespace = Namespace::new(ground.cluster.asker(), &[]).await?;
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "plain" },
        "spec": { "terminationGracePeriodSeconds": 0, "containers": [{
            "name": "main",
            "image": "localhost/shell:1",
            "command": ["sh", "-c", "mkdir /made && echo made; grep Seccomp: /proc/self/status; sleep 1000"],
        }]},
    });
    namespace.create_object(&pod).await?.granted()?;
    let at = format!("/api/v1/namespaces/{}/pods/plain/log", namespace.name);
    let log = until("the pod has said all", Duration::from_mins(1), async || {
        let answer = ground.cluster.asker().ask("GET", &at, None).await?;
        let text = answer.body.as_str().unwrap_or_default().to_owned();
        Ok(text.contains("Seccomp").then_some(text))
    })
    .await?;
    assert_eq!(log, "made\nSeccomp:\t0\n");
    Ok(())
}
