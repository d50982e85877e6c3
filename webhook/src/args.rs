//! The command line, as typed and as meant.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use certs::{Lifetimes, Name};
use clap::{Args, Parser, Subcommand};
use webhook::controller::leader::Place;

pub(crate) use release::{Release, ReleaseFlags};

mod release;

const REVIEWS_PORT: u16 = 9443;
const ADMIN_PORT: u16 = 8085;
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Puts security profiles into pods as they are made.
#[derive(Debug, Parser)]
#[command(name = "cinch-webhook", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve admission reviews over TLS
    Serve(Box<ServeFlags>),
    /// Say which binding wins for each container of a pod, and show the pod after the patch
    Explain(ExplainFlags),
    /// Keep the books: which workloads use what, how far profiles are, what may go; of several one does
    Controller(ControllerFlags),
    /// Bring the custom resource definitions of a cluster up to those of this version
    Crds(CrdsFlags),
    /// Take away what would block pods and profiles once nobody sees to it: our gates and finalizers
    Release(ReleaseFlags),
}

#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// Take reviews on this address
    #[arg(long, env = "CINCH_LISTEN", value_name = "ADDR:PORT", default_value_t = SocketAddr::new(ANY, REVIEWS_PORT))]
    listen: SocketAddr,
    /// Answer /livez, /readyz and /metrics on this address
    #[arg(long, env = "CINCH_ADMIN", value_name = "ADDR:PORT", default_value_t = SocketAddr::new(ANY, ADMIN_PORT))]
    admin: SocketAddr,
    /// Keep ca.crt, tls.crt and tls.key in this folder, made when missing
    #[arg(long, env = "CINCH_CERTS", value_name = "DIR", conflicts_with = "certs_secret")]
    certs: Option<PathBuf>,
    /// Keep the certificates in this Secret, shared by all replicas, made when missing
    #[arg(long, env = "CINCH_CERTS_SECRET", value_name = "NAMESPACE/NAME")]
    certs_secret: Option<String>,
    /// Put this host name or address into certificates that are made here; may be given several times
    #[arg(long, env = "CINCH_SERVER_NAME", value_name = "NAME", value_delimiter = ',', default_values = ["localhost", "127.0.0.1", "::1"])]
    server_name: Vec<Name>,
    /// Let a new serving certificate end after this
    #[arg(long, env = "CINCH_CERT_LIFETIME", value_name = "DURATION", value_parser = duration, default_value = "2160h")]
    cert_lifetime: Duration,
    /// Let a new authority end after this
    #[arg(long, env = "CINCH_CA_LIFETIME", value_name = "DURATION", value_parser = duration, default_value = "87600h")]
    ca_lifetime: Duration,
    /// Keep the `caBundle` of this `MutatingWebhookConfiguration` right
    #[arg(long, env = "CINCH_WEBHOOK_CONFIGURATION", value_name = "NAME")]
    webhook_configuration: Option<String>,
    /// Take bindings, recordings and profiles from the YAML files of this folder, and not from a cluster
    #[arg(long, env = "CINCH_MANIFESTS", value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Reach the cluster as this file says; without it, as the pod's service account or $KUBECONFIG says
    #[arg(long, env = "CINCH_KUBECONFIG", value_name = "FILE", conflicts_with = "manifests")]
    kubeconfig: Option<PathBuf>,
    /// Take reviews only from clients with a certificate of this authority
    #[arg(long, env = "CINCH_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Take reviews only with the bearer token in this file
    #[arg(long, env = "CINCH_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Hold at most this many connections; more wait
    #[arg(long, env = "CINCH_MAX_CONNECTIONS", value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// Give a client this long for the TLS handshake, a request's head and its body each
    #[arg(long, env = "CINCH_REQUEST_TIMEOUT", value_name = "DURATION", value_parser = duration, default_value = "5s")]
    request_timeout: Duration,
    /// Go on accepting this long after SIGTERM, until every API server has the new endpoints
    #[arg(long, env = "CINCH_LINGER", value_name = "DURATION", value_parser = duration, default_value = "10s")]
    linger: Duration,
    /// Wait this long at most for open connections after that
    #[arg(long, env = "CINCH_DRAIN", value_name = "DURATION", value_parser = duration, default_value = "10s")]
    drain: Duration,
    /// Use this many threads; without it, one for each processor
    #[arg(long, env = "CINCH_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: Option<u16>,
    /// Send traces to this OpenTelemetry collector (gRPC)
    #[arg(long, env = "CINCH_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Log at this level, or by a filter such as info,webhook=debug
    #[arg(long, env = "CINCH_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainFlags {
    /// Take bindings, recordings and profiles from the YAML files of this folder
    #[arg(long, env = "CINCH_MANIFESTS", value_name = "DIR")]
    pub(crate) manifests: PathBuf,
    /// Explain the pod in this file, - for standard input
    #[arg(short = 'f', long = "file", value_name = "POD")]
    pub(crate) pod: PathBuf,
    /// Look at the pod as made in this namespace, where it does not say
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ControllerFlags {
    /// Answer /livez, /readyz and /metrics on this address
    #[arg(long, env = "CINCH_ADMIN", value_name = "ADDR:PORT", default_value_t = SocketAddr::new(ANY, ADMIN_PORT))]
    admin: SocketAddr,
    /// Reach the cluster as this file says; without it, as the pod's service account or $KUBECONFIG says
    #[arg(long, env = "CINCH_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Lead while this Lease is ours: of all controllers with the same one, one writes
    #[arg(
        long,
        env = "CINCH_LEASE",
        value_name = "NAMESPACE/NAME",
        default_value = "security-profiles-operator/cinch-controller"
    )]
    lease: String,
    /// Hold the Lease under this name, which no other controller may have; without it, the name of the host
    #[arg(long, env = "CINCH_IDENTITY", value_name = "NAME")]
    identity: Option<String>,
    /// Log at this level, or by a filter such as info,webhook=debug
    #[arg(long, env = "CINCH_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(Debug, Args)]
pub(crate) struct CrdsFlags {
    /// Reach the cluster as this file says; without it, as the pod's service account or $KUBECONFIG says
    #[arg(long, env = "CINCH_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// What `controller` is to do.
#[derive(Debug)]
pub(crate) struct Controller {
    pub(crate) admin: SocketAddr,
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) place: Place,
    pub(crate) identity: String,
    pub(crate) log: String,
}

impl ControllerFlags {
    /// The flags as meant.
    pub(crate) fn meant(self) -> anyhow::Result<Controller> {
        let Self { admin, kubeconfig, lease, identity, log } = self;
        let place = place(&lease)?;
        let identity = match identity.filter(|identity| !identity.is_empty()) {
            Some(identity) => identity,
            None => host_name().context("no name for --identity")?,
        };
        Ok(Controller { admin, kubeconfig, place, identity, log })
    }
}

/// What `--lease` names.
fn place(lease: &str) -> anyhow::Result<Place> {
    match lease.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(Place { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => bail!("--lease {lease:?}: NAMESPACE/NAME is needed"),
    }
}

/// The name of the host, which is the pod's in a cluster.
fn host_name() -> anyhow::Result<String> {
    const PATH: &str = "/proc/sys/kernel/hostname";
    let name = std::fs::read_to_string(PATH).with_context(|| format!("cannot read {PATH}"))?;
    Ok(name.trim().to_owned())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
}

/// What `serve` is to do.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) certs: Certs,
    pub(crate) names: Vec<Name>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) webhook_configuration: Option<String>,
    pub(crate) objects: Objects,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) limits: webhook::server::Limits,
    pub(crate) threads: Option<u16>,
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) log: String,
}

/// Where certificates are kept.
#[derive(Debug)]
pub(crate) enum Certs {
    Folder(PathBuf),
    Secret { namespace: String, name: String },
}

/// Where objects come from.
#[derive(Debug)]
pub(crate) enum Objects {
    Folder(PathBuf),
    Cluster,
}

impl Serve {
    /// Whether anything of a cluster is needed.
    pub(crate) fn needs_cluster(&self) -> bool {
        matches!(self.objects, Objects::Cluster)
            || matches!(self.certs, Certs::Secret { .. })
            || self.webhook_configuration.is_some()
    }
}

impl ServeFlags {
    /// The flags as meant, and the kubeconfig file.
    pub(crate) fn meant(self) -> anyhow::Result<(Serve, Option<PathBuf>)> {
        let Self {
            listen,
            admin,
            certs,
            certs_secret,
            server_name,
            cert_lifetime,
            ca_lifetime,
            webhook_configuration,
            manifests,
            kubeconfig,
            client_ca,
            token_file,
            max_connections,
            request_timeout,
            linger,
            drain,
            threads,
            otlp_endpoint,
            log,
        } = self;
        let certs = match (certs, certs_secret) {
            (Some(folder), _) => Certs::Folder(folder),
            (None, Some(secret)) => {
                let (namespace, name) = secret.split_once('/').with_context(|| {
                    format!("--certs-secret {secret:?}: NAMESPACE/NAME is needed")
                })?;
                Certs::Secret { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            (None, None) => bail!("one of --certs DIR and --certs-secret NAMESPACE/NAME is needed"),
        };
        if cert_lifetime >= ca_lifetime {
            bail!("--cert-lifetime must be shorter than --ca-lifetime");
        }
        let serve = Serve {
            listen,
            admin,
            certs,
            names: server_name,
            lifetimes: Lifetimes {
                authority: ca_lifetime,
                leaf: cert_lifetime,
                ..Lifetimes::default()
            },
            webhook_configuration,
            objects: manifests.map_or(Objects::Cluster, Objects::Folder),
            client_ca,
            token_file,
            limits: webhook::server::Limits {
                connections: max_connections as usize,
                head: request_timeout,
                linger,
                drain,
            },
            threads,
            otlp_endpoint,
            log,
        };
        Ok((serve, kubeconfig))
    }
}

fn duration(text: &str) -> Result<Duration, profile::duration::DurationError> {
    profile::duration::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    fn serve(flags: &[&str]) -> anyhow::Result<(Serve, Option<PathBuf>)> {
        let command = ["cinch-webhook", "serve"].iter().chain(flags);
        match Cli::try_parse_from(command)?.command {
            Command::Serve(flags) => flags.meant(),
            _ => unreachable!(),
        }
    }

    #[test]
    fn certificates_are_kept_somewhere_or_it_does_not_start() {
        let error = serve(&[]).unwrap_err().to_string();
        assert_eq!(error, "one of --certs DIR and --certs-secret NAMESPACE/NAME is needed");
        assert!(serve(&["--certs-secret", "no-slash"]).is_err());
        let (serve, _) = serve(&["--certs-secret", "ns/name"]).unwrap();
        assert!(serve.needs_cluster());
    }

    #[test]
    fn a_folder_of_manifests_and_of_certificates_needs_no_cluster() {
        let (serve, _) = serve(&["--certs", "c", "--manifests", "m", "--linger", "1m30s"]).unwrap();
        assert!(!serve.needs_cluster());
        assert_eq!(serve.limits.linger, Duration::from_secs(90));
    }

    #[test]
    fn a_controller_holds_its_lease_under_the_name_of_the_host_unless_told_otherwise() {
        let controller = |flags: &[&str]| {
            let command = ["cinch-webhook", "controller"].iter().chain(flags);
            match Cli::try_parse_from(command).unwrap().command {
                Command::Controller(flags) => flags.meant(),
                _ => unreachable!(),
            }
        };
        let usual = controller(&[]).unwrap();
        assert_eq!(usual.identity, host_name().unwrap());
        assert_eq!(usual.place.namespace, "security-profiles-operator");
        let error = controller(&["--lease", "name"]).unwrap_err().to_string();
        assert_eq!(error, "--lease \"name\": NAMESPACE/NAME is needed");
        assert_eq!(controller(&["--identity", "a"]).unwrap().identity, "a");
    }
}
