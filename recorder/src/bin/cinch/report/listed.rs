//! What a report is made of, as an API server lists it.

use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    batch::v1::Job,
    core::v1::{self as core, Namespace},
    events::v1::Event,
};
use kube::{
    Api,
    api::{ApiResource, ListParams, PartialObjectMeta},
};
use profile::kinds::ProfileKind;

use super::{
    gather::{Gather, Item, Pod},
    violations::REASON,
};
use crate::cluster::{Cluster, Lacking, ListError, Resource, each, failed};

const NAMESPACES: Resource = Resource::core("namespaces");
const REPLICA_SETS: Resource = Resource::of("apps", "replicasets");
const JOBS: Resource = Resource::of("batch", "jobs");
const EVENTS: Resource = Resource::of("events.k8s.io", "events");

/// Takes in all that there is, or that there is in some namespaces.
///
/// # Errors
/// When something cannot be listed without which a report would be wrong; what only makes it poorer is noted in it.
pub(super) async fn list(
    cluster: &Cluster,
    namespaces: &[String],
    gather: &mut Gather,
) -> anyhow::Result<()> {
    let scopes: Vec<Option<&str>> = match namespaces {
        [] => vec![None],
        some => some.iter().map(|name| Some(name.as_str())).collect(),
    };
    let mut lacking = Lacking::default();
    for scope in &scopes {
        lacking.note(list_namespaces(cluster, *scope, gather).await)?;
        let bindings = cluster.bindings(*scope, |read| match read {
            Ok(binding) => gather.take(Item::Binding(Box::new(binding))),
            Err(error) => gather.note(error),
        });
        lacking.note(bindings.await)?;
        let recordings = cluster.recordings(*scope, |read| match read {
            Ok(recording) => gather.take(Item::Recording(Box::new(recording))),
            Err(error) => gather.note(error),
        });
        lacking.note(recordings.await)?;
    }
    for kind in ProfileKind::ALL {
        let profiles = cluster.profiles(*kind, |read| match read {
            Ok(head) => gather.take(Item::Profile(head)),
            Err(error) => gather.note(error),
        });
        lacking.note(profiles.await)?;
    }
    for scope in &scopes {
        let sets = cluster.api::<PartialObjectMeta<ReplicaSet>>(*scope);
        let sets = each(&sets, REPLICA_SETS, *scope, ListParams::default(), |set| {
            gather.take(Item::Part("ReplicaSet", Box::new(set.metadata)));
        });
        let sets = sets.await;
        poorer(sets, "Deployments are told by the names of their ReplicaSets", gather)?;
        let jobs = cluster.api::<PartialObjectMeta<Job>>(*scope);
        let jobs = each(&jobs, JOBS, *scope, ListParams::default(), |job| {
            gather.take(Item::Part("Job", Box::new(job.metadata)));
        });
        let jobs = jobs.await;
        poorer(jobs, "CronJobs are told by the names of their Jobs", gather)?;
    }
    for scope in &scopes {
        let resource = ApiResource::erase::<core::Pod>(&());
        let pods: Api<Pod> = match scope {
            Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
            None => Api::all_with(cluster.client.clone(), &resource),
        };
        let pods = each(&pods, Resource::core("pods"), *scope, ListParams::default(), |pod| {
            gather.take(Item::Pod(Box::new(pod)));
        });
        lacking.note(pods.await)?;
    }
    lacking.settle()?;
    for scope in &scopes {
        let events = cluster.api::<Event>(*scope);
        let params = ListParams::default().fields(&format!("reason={REASON}"));
        let events = each(&events, EVENTS, *scope, params, |event| {
            gather.take(Item::Event(Box::new(event)));
        });
        let events = events.await;
        poorer(events, "what was denied is not in this report", gather)?;
    }
    Ok(())
}

async fn list_namespaces(
    cluster: &Cluster,
    scope: Option<&str>,
    gather: &mut Gather,
) -> Result<(), ListError> {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(cluster.client.clone());
    match scope {
        None => {
            each(&api, NAMESPACES, None, ListParams::default(), |namespace| {
                gather.take(Item::Namespace(Box::new(namespace.metadata)));
            })
            .await
        }
        Some(name) => {
            let got = api.get(name).await;
            let got = got.map_err(|error| failed("get", NAMESPACES, None, error))?;
            gather.take(Item::Namespace(Box::new(got.metadata)));
            Ok(())
        }
    }
}

/// Notes what is missing for want of a right, and goes on.
fn poorer(listed: Result<(), ListError>, so: &str, gather: &mut Gather) -> Result<(), ListError> {
    match listed {
        Err(ListError::Forbidden(right)) => {
            let (verb, resource) = (right.verb, right.resource);
            gather.note(format!("not allowed to {verb} {resource}: {so}"));
            Ok(())
        }
        listed => listed,
    }
}
