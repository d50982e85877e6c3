//! Runs a command from its flags to its end.

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use daemon::{client, contact::Contact, signals};
use tokio::{net::TcpListener, sync::watch};
use webhook::{
    admin::{self, Admin},
    controller, definitions, explain,
    metrics::Metrics,
    release,
    routes::{self, Reviews},
    seal::HmacSeal,
    server,
    source::{Published, Source, cluster::Cluster, folder::Folder},
    telemetry, tls,
    token::Token,
    world::Kind,
};

use crate::args::{Certs, Controller, CrdsFlags, ExplainFlags, Objects, Output, Release, Serve};

/// Serves reviews until a signal.
pub(crate) async fn serve(flags: Serve, kubeconfig: Option<PathBuf>) -> anyhow::Result<()> {
    // Declared first, so dropped last: it flushes the spans of all that follows.
    let _guard = telemetry::start(&flags.log, flags.otlp_endpoint.as_deref())?;
    let (stop, stopping) = watch::channel(false);
    let signals = signals::listen(stop)?;

    let needs_cluster = flags.needs_cluster();
    let Serve {
        listen,
        admin,
        certs,
        names,
        lifetimes,
        webhook_configuration,
        objects,
        client_ca,
        token_file,
        limits,
        threads: _,
        otlp_endpoint: _,
        log: _,
    } = flags;
    let contact = Arc::new(Contact::new(Kind::ALL.map(Kind::as_str)));
    let client =
        if needs_cluster { Some(client::connect(kubeconfig, &contact).await?) } else { None };
    let client = || client.clone().context("a cluster is needed for this");

    let source = match certs {
        Certs::Folder(path) => certs::Source::Folder(path),
        Certs::Secret { namespace, name } => {
            certs::Source::Secret { client: client()?, namespace, name }
        }
    };
    let (serving, keeper) =
        certs::open(source, names, lifetimes).await.context("no certificate to serve with")?;
    let tls = tls::config(&serving, client_ca.as_deref())?;
    let token = token_file.as_deref().map(Token::open).transpose()?;
    let source: Box<dyn Source> = match objects {
        Objects::Cluster => Box::new(Cluster::new(client()?, contact)),
        Objects::Folder(path) => Box::new(folder(path)?),
    };

    let reviews_listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let admin_listener =
        TcpListener::bind(admin).await.with_context(|| format!("cannot listen on {admin}"))?;
    tracing::info!(
        reviews = %reviews_listener.local_addr()?,
        admin = %admin_listener.local_addr()?,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );

    let (published, metrics) = (Published::default(), Arc::new(Metrics::default()));
    let admin = admin::router(Admin {
        published: published.clone(),
        health: source.health(),
        metrics: Arc::clone(&metrics),
        serving: serving.clone(),
        stopping: stopping.clone(),
    });
    let reviews = routes::router(Reviews {
        published: published.clone(),
        seal: HmacSeal::shared(serving.clone()),
        metrics,
        body_time: limits.head,
        token: token.clone(),
    });
    let bundle = match webhook_configuration {
        Some(name) => Some(certs::ca_bundle::keep(client()?, name, serving)),
        None => None,
    };
    // Each runs for as long as this function does; none of them ends by itself but the server.
    let background = async {
        tokio::join!(
            source.run(published),
            keeper.run(),
            async {
                if let Some(bundle) = bundle {
                    match bundle.await {}
                }
            },
            async {
                if let Some(token) = token {
                    token.follow().await;
                }
            },
        )
    };
    let server = tokio::spawn(server::serve(reviews_listener, tls, reviews, limits, stopping));
    tokio::select! {
        ended = server => ended.context("the server broke off")?,
        ended = axum::serve(admin_listener, admin).into_future() => ended.context("probes cannot be answered")?,
        _ = background => bail!("the watch ended"),
        () = signals => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// Keeps the books until a signal.
pub(crate) async fn controller(flags: Controller) -> anyhow::Result<()> {
    let Controller { admin, kubeconfig, place, identity, log } = flags;
    daemon::logs::start(&log)?;
    let (stop, stopping) = watch::channel(false);
    let signals = signals::listen(stop)?;
    let contact = Arc::new(Contact::new(controller::kinds()));
    let client = client::connect(kubeconfig, &contact).await?;
    let admin =
        TcpListener::bind(admin).await.with_context(|| format!("cannot listen on {admin}"))?;
    tracing::info!(
        admin = %admin.local_addr()?,
        identity,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let running = controller::run(controller::Controller {
        client,
        contact,
        place,
        identity,
        admin,
        stopping,
    });
    tokio::select! {
        ended = running => ended.context("the controller broke off")?,
        () = signals => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// Brings definitions up to date.
pub(crate) async fn crds(flags: CrdsFlags) -> anyhow::Result<()> {
    let CrdsFlags { kubeconfig } = flags;
    // Nobody asks how it is.
    let contact = Arc::new(Contact::new([]));
    let client = client::connect(kubeconfig, &contact).await?;
    Ok(definitions::apply(&client, &mut std::io::stdout()).await?)
}

/// Releases what would block anything; tells whether nothing is left.
pub(crate) async fn release(flags: Release) -> anyhow::Result<bool> {
    let Release { kubeconfig, webhook_configuration, lease, settle, timeout } = flags;
    let contact = Arc::new(Contact::new([]));
    let client = client::connect(kubeconfig, &contact).await?;
    let release = release::Release { client, webhook_configuration, lease, settle, timeout };
    let failed =
        release::release(&release, &mut std::io::stdout()).await.context("cannot print")?;
    for line in &failed {
        writeln!(std::io::stderr(), "error: {line}").context("cannot print")?;
    }
    Ok(failed.is_empty())
}

/// A folder that is good at the start: what is wrong then is a mistake of whoever starts this.
fn folder(path: PathBuf) -> anyhow::Result<Folder> {
    let mut folder = Folder::new(path);
    let (_, problems) = folder.read();
    if problems.is_empty() {
        return Ok(folder);
    }
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    bail!("manifests cannot be used:\n{}", lines.join("\n"))
}

/// Explains a pod.
pub(crate) fn explain(flags: &ExplainFlags) -> anyhow::Result<ExitCode> {
    let ExplainFlags { manifests, pod, namespace, output } = flags;
    let mut folder = folder(manifests.clone())?;
    let (mut world, _) = folder.read();
    let text = if pod.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(pod).with_context(|| format!("cannot read {}", pod.display()))?
    };
    let explained = explain::explain(&text, namespace, &world.snapshot())
        .with_context(|| format!("cannot explain {}", pod.display()))?;
    let text = match output {
        Output::Text => explained.to_string(),
        Output::Json => serde_json::to_string_pretty(&explained)? + "\n",
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")?;
    Ok(if explained.denied() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
