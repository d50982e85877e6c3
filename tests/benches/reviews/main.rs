//! How many reviews a second the webhook answers on one core, how soon, and what it uses for that, beside a bare echo of
//! the same bytes in the same run.
//!
//! Servers run on one core and the load on another. All servers are up at the same time and are asked in turns, again and
//! again; a ratio is the median of the ratios within a turn, so that what else the machine does weighs on both sides.
//! `BENCH=short` takes half a minute instead of some minutes.

use std::{env, io::Write as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bindings::Mix,
    load::Load,
    measure::{Subject, measure},
    server::Server,
};

mod bindings;
mod connection;
mod load;
mod measure;
mod report;
mod server;

const MIXES: [(Mix, usize); 6] = [
    (Mix::Usual, 1),
    (Mix::Usual, 100),
    (Mix::Usual, 1_000),
    (Mix::Usual, 10_000),
    (Mix::Globs, 10_000),
    (Mix::Wildcards, 10_000),
];
const PATH: &str = "/mutate-v1-pod-binding";
const CONNECTIONS: usize = 32;

/// How long things are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    turns: usize,
    closed: Duration,
    open: Duration,
}

const SHORT: Effort =
    Effort { turns: 3, closed: Duration::from_millis(250), open: Duration::from_millis(750) };
const FULL: Effort =
    Effort { turns: 9, closed: Duration::from_millis(700), open: Duration::from_secs(4) };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let effort = if env::var_os("BENCH").is_some_and(|v| v == "short") { SHORT } else { FULL };
    let core = server::cores()?;
    let folder = tempfile::tempdir()?;
    let mut servers = Vec::new();
    for (n, (mix, count)) in MIXES.into_iter().enumerate() {
        let name = format!("webhook-{n}");
        bindings::write(&folder.path().join(&name), mix, count)?;
        servers.push((
            mix.to_string(),
            Some(count),
            Server::webhook(folder.path(), core, &name).await?,
        ));
    }
    let echo = Server::echo(folder.path(), core).await?;
    servers.insert(0, ("echo".to_owned(), None, echo));

    let config = connection::config(&folder.path().join("certs"))?;
    let mut subjects = Vec::new();
    for (name, bindings, server) in servers {
        let load = Load::open(server.address, &config, CONNECTIONS)?;
        subjects.push(Subject { name, bindings, server, load });
    }
    let mut out = std::io::stdout().lock();
    for size in ["5k", "12k"] {
        let body = fixture(size)?;
        let request = |path: &str| request(path, &body);
        let (echoed, reviewed) = (request("/"), request(PATH));
        for subject in &mut subjects {
            let answer = subject.load.ask(subject.request(&echoed, &reviewed))?;
            let expected = if subject.bindings.is_some() { "JSONPatch" } else { "AdmissionReview" };
            ensure!(answer.contains(expected), "{} answers {answer}", subject.name);
        }
        let figures = measure(&mut subjects, &echoed, &reviewed, effort)?;
        let title = format!("{} KB review ({} bytes)", size.trim_end_matches('k'), body.len());
        write!(out, "{}", report::Report { title, figures })?;
        out.flush()?;
    }
    Ok(())
}

fn fixture(size: &str) -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../webhook/tests/fixtures/review-{size}.json"));
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path}?timeout=2s HTTP/1.1\r\n\
         Host: cinch-webhook.cinch.svc:443\r\n\
         User-Agent: kube-apiserver-admission\r\n\
         Content-Length: {}\r\n\
         Accept: application/json, */*\r\n\
         Content-Type: application/json\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
