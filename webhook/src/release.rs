//! Takes away what would block anything once nobody is there to see to it: scheduling gates of pods, finalizers of profiles.
//!
//! It has to win against those that still run. So that the webhook gates no more pods it is unregistered first; so that
//! the controller puts no more finalizers on, its Lease is taken: who does not hold it writes nothing. Both may have begun
//! something just before, and an API server hears a little later that a webhook is not registered any more. Therefore all
//! objects are looked at again after a while, until nothing of ours is found.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use daemon::error::chain;
use futures::StreamExt as _;
use k8s_openapi::{
    api::{
        admissionregistration::v1::MutatingWebhookConfiguration,
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams},
};
use profile::kinds::ProfileKind;

use crate::controller::leader::Place;
use blocks::Block;

mod blocks;

/// Who writes.
const MANAGER: &str = "cinch-release";

/// For how long no controller writes after this has ended: it is about to end as well, and one that comes after that waits
/// no longer than this.
const HELD: Duration = Duration::from_mins(3);

/// Objects of a list that are held in memory at once, and calls that are under way.
const PAGE: u32 = 500;
const FLYING: usize = 8;

/// Between two looks at what could not be done.
const AGAIN: Duration = Duration::from_secs(1);

/// What is to be released, and from whom.
pub struct Release {
    pub client: Client,
    /// The registration of the webhook, which is deleted.
    pub webhook_configuration: Option<String>,
    /// The Lease of the controllers, which is taken.
    pub lease: Option<Place>,
    /// How long those that were stopped may go on for.
    pub settle: Duration,
    /// How long all of it may take.
    pub timeout: Duration,
}

impl std::fmt::Debug for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Release")
            .field("webhook_configuration", &self.webhook_configuration)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// What has come of a look at all objects.
#[derive(Debug, Default)]
struct Pass {
    done: usize,
    /// What could not be done, and why.
    failed: Vec<String>,
}

/// Releases all, and says what it does, one line each. Returns what could not be done.
///
/// # Errors
/// When there is nowhere to say it.
pub async fn release(
    release: &Release,
    out: &mut (impl Write + Send),
) -> std::io::Result<Vec<String>> {
    let begin = Instant::now();
    let mut stopped = None;
    let mut all = 0;
    loop {
        let mut pass = Pass::default();
        if stopped.is_none() {
            pass.failed = stop(release, out).await?;
            stopped = pass.failed.is_empty().then(Instant::now);
        }
        let settles_at = stopped.filter(|_| release.stops_any()).map(|at| at + release.settle);
        let settled = settles_at.is_none_or(|at| at <= Instant::now());
        pass.look(&release.client, out).await?;
        all += pass.done;
        let clean = pass.done == 0 && pass.failed.is_empty();
        if clean && settled {
            break;
        }
        if begin.elapsed() >= release.timeout {
            if pass.failed.is_empty() {
                let again = format!("the last of {all} came after {:?}", begin.elapsed());
                pass.failed.push(format!("somebody goes on blocking pods or profiles: {again}"));
            }
            return Ok(pass.failed);
        }
        let left = settles_at.map(|at| at.saturating_duration_since(Instant::now()));
        let pause = left.filter(|_| clean).unwrap_or_default().max(AGAIN);
        tokio::time::sleep(pause).await;
    }
    if let Some(place) = &release.lease
        && let Err(error) = take(&release.client, place).await
        && !is(&error, 404)
    {
        return Ok(vec![format!("the Lease was not held on to: {}", chain(&error))]);
    }
    writeln!(out, "{all} released: nothing of ours blocks a pod or a profile any more")?;
    Ok(Vec::new())
}

impl Release {
    /// Whether there is anybody to be stopped first.
    fn stops_any(&self) -> bool {
        self.webhook_configuration.is_some() || self.lease.is_some()
    }
}

/// Stops those that would undo it; returns what could not be done.
async fn stop(release: &Release, out: &mut (impl Write + Send)) -> std::io::Result<Vec<String>> {
    let mut failed = Vec::new();
    if let Some(name) = &release.webhook_configuration {
        let what = format!("MutatingWebhookConfiguration {name}");
        let api = Api::<MutatingWebhookConfiguration>::all(release.client.clone());
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => writeln!(out, "{what}: deleted, no pod gets a gate any more")?,
            Err(error) if is(&error, 404) => writeln!(out, "{what}: not there")?,
            Err(error) => failed.push(format!("{what} cannot be deleted: {}", chain(&error))),
        }
    }
    if let Some(place) = &release.lease {
        let what = format!("Lease {}/{}", place.namespace, place.name);
        match take(&release.client, place).await {
            Ok(()) => writeln!(out, "{what}: taken, no controller writes any more")?,
            Err(error) if is(&error, 404) => writeln!(out, "{what}: there is no such namespace")?,
            Err(error) => failed.push(format!("{what} cannot be taken: {}", chain(&error))),
        }
    }
    Ok(failed)
}

/// Takes the Lease of the controllers, whoever holds it.
async fn take(client: &Client, place: &Place) -> kube::Result<()> {
    let api = Api::<Lease>::namespaced(client.clone(), &place.namespace);
    let options = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let there = api.get_opt(&place.name).await?;
    let is_new = there.is_none();
    let mut lease = there.unwrap_or_default();
    lease.metadata.name = Some(place.name.clone());
    let now = MicroTime(Timestamp::now());
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(MANAGER.to_owned()),
        lease_duration_seconds: i32::try_from(HELD.as_secs()).ok(),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        ..lease.spec.unwrap_or_default()
    });
    if is_new {
        api.create(&options, &lease).await.map(drop)
    } else {
        api.replace(&place.name, &options, &lease).await.map(drop)
    }
}

impl Pass {
    /// Looks at all objects that may be blocked.
    async fn look(
        &mut self,
        client: &Client,
        out: &mut (impl Write + Send),
    ) -> std::io::Result<()> {
        // A pod that has a node has no gate.
        let pods = ListParams::default().fields("spec.nodeName=");
        let api = Api::<blocks::Gated>::all_with(client.clone(), &ApiResource::erase::<Pod>(&()));
        self.kind(
            "pods",
            &pods,
            async |list| {
                let page = api.list(list).await?;
                let blocks = page.items.iter().filter_map(Block::of_pod).collect();
                Ok((blocks, page.metadata.continue_))
            },
            client,
            out,
        )
        .await?;
        for kind in ProfileKind::ALL {
            let resource = blocks::resource(*kind);
            let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
            self.kind(
                &resource.plural,
                &ListParams::default(),
                async |list| {
                    let page = api.list_metadata(list).await?;
                    let blocks =
                        page.items.iter().filter_map(|it| Block::of_profile(*kind, &it.metadata));
                    Ok((blocks.collect(), page.metadata.continue_))
                },
                client,
                out,
            )
            .await?;
        }
        Ok(())
    }

    /// Releases all objects of a kind, page by page.
    async fn kind(
        &mut self,
        plural: &str,
        list: &ListParams,
        page: impl AsyncFn(&ListParams) -> kube::Result<(Vec<Block>, Option<String>)>,
        client: &Client,
        out: &mut (impl Write + Send),
    ) -> std::io::Result<()> {
        let mut list = list.clone().limit(PAGE);
        loop {
            let (blocks, more) = match page(&list).await {
                Ok(page) => page,
                // A kind that is not there has no objects.
                Err(error) if is(&error, 404) => return Ok(()),
                Err(error) => {
                    self.failed.push(format!("{plural} cannot be listed: {}", chain(&error)));
                    return Ok(());
                }
            };
            let calls = blocks.into_iter().map(|block| async move {
                let outcome = block.remove(client).await;
                (block, outcome)
            });
            let mut calls = futures::stream::iter(calls).buffer_unordered(FLYING);
            while let Some((block, outcome)) = calls.next().await {
                match outcome {
                    Ok(()) => {
                        self.done += 1;
                        writeln!(out, "{block}")?;
                    }
                    Err(error) if is(&error, 404) => {}
                    Err(error) => self.failed.push(format!("not done: {block}: {}", chain(&error))),
                }
            }
            match more.filter(|more| !more.is_empty()) {
                Some(more) => list.continue_token = Some(more),
                None => return Ok(()),
            }
        }
    }
}

fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
