//! Does our own webhook do its work under the profile that the chart has for it?

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{programs::repository, until::until, webhook};

use crate::{Ground, questions};

questions![the_webhook_answers_follows_its_folders_and_stops_under_its_own_profile];

const LIMIT: Duration = Duration::from_secs(30);
const SERVE: &[&str] = &[
    "/srv/cinch-webhook",
    "serve",
    "--listen=127.0.0.1:9443",
    "--admin=127.0.0.1:8085",
    "--certs=/srv/certs",
    "--manifests=/srv/manifests",
    "--linger=0s",
    "--log=debug",
];

/// Sends the review of standard input, and prints the answer.
const ASK: &str = "import ssl, sys, urllib.request as r\n\
     c = ssl._create_unverified_context()\n\
     q = r.Request('https://127.0.0.1:9443/mutate-v1-pod', sys.argv[1].encode(), {'content-type': 'application/json'})\n\
     print(r.urlopen(q, context=c).read().decode())";

async fn the_webhook_answers_follows_its_folders_and_stops_under_its_own_profile(
    ground: &Ground<'_>,
) -> Result<()> {
    let program = fs::read(webhook::program()?)?;
    let bundle = ground.under("cinch-webhook")?.program("cinch-webhook", &program)?;
    // As the chart has it: nobody, without anything to gain.
    let bundle = bundle.user(65532);
    let work = bundle.work();
    for folder in ["certs", "manifests"] {
        fs::create_dir(work.join(folder))?;
        std::os::unix::fs::chown(work.join(folder), Some(65532), Some(65532))?;
    }
    let mut container = bundle.start(SERVE)?;
    until("the webhook is ready", LIMIT, async || {
        container.check_alive()?;
        let wget = ["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8085/readyz"];
        Ok(container.client(&wget)?.status.success().then_some(()))
    })
    .await?;
    let pod = |verdict: &str| -> Result<bool> {
        let review =
            fs::read_to_string(repository().join("webhook/tests/fixtures/review-5k.json"))?;
        let answer = container.client(&["python3", "-c", ASK, &review])?;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let answer: Value =
            serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))?;
        ensure!(answer["response"]["allowed"] == true, "{answer}");
        Ok(answer["response"][verdict].is_string())
    };
    ensure!(!pod("patch")?, "there is nothing to bind yet");
    // It is told of what comes.
    let manifests = repository().join("webhook/tests/fixtures/manifests.yaml");
    fs::copy(manifests, work.join("manifests/all.yaml"))?;
    until("the binding is heeded", LIMIT, async || Ok(pod("patch")?.then_some(()))).await?;

    container.signal("TERM")?;
    let status = container.ended(LIMIT).await?;
    let log = container.log()?;
    ensure!(status.success(), "ended with {status}:\n{log}");
    for refused in ["not permitted", "not implemented", "denied", "\"ERROR\""] {
        ensure!(!log.contains(refused), "{log}");
    }
    Ok(())
}
