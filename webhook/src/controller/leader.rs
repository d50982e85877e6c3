//! Sees to it that of several controllers one writes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use daemon::error::chain;
use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::watch, time::timeout};

use election::{Deed, Election, RETRY};

mod election;

pub use election::{LEASE, TERM};

/// The longest wait for an answer: shorter than what is left of a term after a request that failed.
const PATIENCE: Duration = Duration::from_secs(4);

/// A Lease that controllers compete for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub namespace: String,
    pub name: String,
}

/// Until when this process leads; none while it does not.
pub type Term = Option<Instant>;

/// Competes until it is told to stop, and then gives the Lease back.
pub async fn compete(
    client: Client,
    place: Place,
    identity: String,
    term: Arc<watch::Sender<Term>>,
    mut stop: watch::Receiver<bool>,
) {
    let api = Api::<Lease>::namespaced(client, &place.namespace);
    let mut election = Election::new(identity);
    let mut trouble = false;
    loop {
        let sent = Instant::now();
        match timeout(PATIENCE, attempt(&api, &place.name, &mut election, sent)).await {
            Ok(Ok(())) => trouble = false,
            Ok(Err(error)) => {
                let error = chain(&error);
                if !std::mem::replace(&mut trouble, true) {
                    tracing::warn!(lease = place.name, error, "the Lease cannot be had for now");
                }
            }
            Err(_) => {
                if !std::mem::replace(&mut trouble, true) {
                    tracing::warn!(lease = place.name, "no answer about the Lease in time");
                }
            }
        }
        publish(&term, election.leads_until());
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // Whatever was begun has ended when this is called: see where `stop` is set.
    term.send_replace(None);
    if let Ok(Err(error)) = timeout(PATIENCE, release(&api, &place.name, &mut election)).await {
        let error = chain(&error);
        tracing::warn!(
            lease = place.name,
            error,
            "the Lease was not given back: it ends by itself"
        );
    }
}

fn publish(term: &watch::Sender<Term>, until: Term) {
    let until = until.filter(|until| *until > Instant::now());
    let before = term.send_replace(until);
    if before.is_some() != until.is_some() {
        tracing::info!(leads = until.is_some(), "leadership");
    }
}

async fn attempt(
    api: &Api<Lease>,
    name: &str,
    election: &mut Election,
    sent: Instant,
) -> kube::Result<()> {
    let there = api.get_opt(name).await?;
    let options =
        PostParams { field_manager: Some(super::MANAGER.to_owned()), ..PostParams::default() };
    let deed = election.look(name, there.as_ref(), Instant::now(), Timestamp::now());
    let written = match deed {
        Deed::Create(lease) => api.create(&options, &lease).await,
        Deed::Replace(lease) => api.replace(name, &options, &lease).await,
        Deed::Wait => return Ok(()),
    };
    match written {
        Ok(_) => {
            election.won(sent);
            Ok(())
        }
        // Somebody was faster: who it was shows at the next look.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            election.lost();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn release(api: &Api<Lease>, name: &str, election: &mut Election) -> kube::Result<()> {
    let Some(there) = api.get_opt(name).await? else { return Ok(()) };
    if let Some(lease) = election.release(&there, Timestamp::now()) {
        api.replace(name, &PostParams::default(), &lease).await?;
    }
    Ok(())
}
