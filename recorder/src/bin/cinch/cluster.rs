//! The API server as commands read it: lists in pages, taken in one object at a time; rights that are missing are named, all of
//! them at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Debug},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{ApiResource, ListParams, Object},
    config::{KubeConfigOptions, Kubeconfig},
    core::DeserializeGuard,
};
use profile::kinds::{GROUP, ProfileBinding, ProfileKind, ProfileRecording};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::profile_head::{Head, HeadSpec, HeadStatus};

/// So many objects come in one answer; profiles are large.
const PAGE: u32 = 500;
const PAGE_OF_PROFILES: u32 = 100;

/// The longest wait for a page.
const PATIENCE: Duration = Duration::from_mins(1);

/// The way to the API server, and where it is.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) url: String,
}

/// A kind of object, by the names that rights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
}

impl Resource {
    pub(crate) const fn core(plural: &'static str) -> Self {
        Self { group: "", plural }
    }

    pub(crate) const fn of(group: &'static str, plural: &'static str) -> Self {
        Self { group, plural }
    }

    /// Of one of our kinds.
    pub(crate) const fn own(plural: &'static str) -> Self {
        Self { group: GROUP, plural }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            "" => f.write_str(self.plural),
            group => write!(f, "{}.{group}", self.plural),
        }
    }
}

/// What may not be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    pub(crate) verb: &'static str,
    pub(crate) resource: Resource,
    /// None for the whole cluster.
    pub(crate) namespace: Option<String>,
}

/// Why a list could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error("{}", Lacking(BTreeSet::from([.0.clone()])))]
    Forbidden(Right),
    #[error(
        "the API server does not know {0}: are the custom resource definitions of the chart installed?"
    )]
    NotServed(Resource),
    #[error("cannot {verb} {resource}")]
    Failed { verb: &'static str, resource: Resource, source: kube::Error },
    #[error("cannot list {0}: there was no answer within {PATIENCE:?}")]
    Slow(Resource),
}

/// Rights that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Lacking(BTreeSet<Right>);

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not allowed to")?;
        for (number, Right { verb, resource, namespace }) in self.0.iter().enumerate() {
            write!(f, "{} {verb} {resource}", if number == 0 { "" } else { "," })?;
            if let Some(namespace) = namespace {
                write!(f, " in namespace {namespace}")?;
            }
        }
        let whole = self.0.iter().any(|right| right.namespace.is_none());
        write!(f, "; rules of a {} that allow it:", if whole { "ClusterRole" } else { "Role" })?;
        let mut rules = BTreeMap::<_, BTreeSet<_>>::new();
        for Right { verb, resource, .. } in &self.0 {
            rules.entry((resource.group, *verb)).or_default().insert(resource.plural);
        }
        for ((group, verb), plurals) in rules {
            let plurals: Vec<_> = plurals.into_iter().collect();
            let plurals = plurals.join(", ");
            write!(
                f,
                "\n  - {{apiGroups: [\"{group}\"], resources: [{plurals}], verbs: [{verb}]}}"
            )?;
        }
        Ok(())
    }
}

impl Lacking {
    /// Keeps in mind that a right is missing; any other error is one at once.
    pub(crate) fn note(&mut self, listed: Result<(), ListError>) -> Result<(), ListError> {
        match listed {
            Err(ListError::Forbidden(right)) => {
                self.0.insert(right);
                Ok(())
            }
            listed => listed,
        }
    }

    /// An error when a right is missing.
    pub(crate) fn settle(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl Cluster {
    /// Goes by a kubeconfig; without one by `$KUBECONFIG`, the one in the home folder, or the pod's service account.
    pub(crate) async fn connect(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        let mut config = match kubeconfig {
            Some(path) => {
                let read = Kubeconfig::read_from(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                    .await
                    .with_context(|| format!("{} leads to no cluster", path.display()))?
            }
            None => Config::infer().await.context(
                "no cluster: there is neither a kubeconfig nor a service account; see --kubeconfig",
            )?,
        };
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = Some(PATIENCE);
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).context("no client for the cluster")?;
        Ok(Self { client, url })
    }

    /// Everything of one kind in the cluster, or in one namespace.
    pub(crate) fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// The bindings of the cluster or a namespace; of one that cannot be read, why.
    pub(crate) async fn bindings(
        &self,
        namespace: Option<&str>,
        take: impl FnMut(Result<ProfileBinding, String>),
    ) -> Result<(), ListError> {
        let api = self.api::<DeserializeGuard<ProfileBinding>>(namespace);
        let resource = Resource::own("profilebindings");
        each(&api, resource, namespace, ListParams::default(), guarded("ProfileBinding", take))
            .await
    }

    /// The recordings of the cluster or a namespace; of one that cannot be read, why.
    pub(crate) async fn recordings(
        &self,
        namespace: Option<&str>,
        take: impl FnMut(Result<ProfileRecording, String>),
    ) -> Result<(), ListError> {
        let api = self.api::<DeserializeGuard<ProfileRecording>>(namespace);
        let resource = Resource::own("profilerecordings");
        each(&api, resource, namespace, ListParams::default(), guarded("ProfileRecording", take))
            .await
    }

    /// The profiles of a kind; of one that cannot be read, why.
    pub(crate) async fn profiles(
        &self,
        kind: ProfileKind,
        mut take: impl FnMut(Result<Head, String>),
    ) -> Result<(), ListError> {
        let plural = match kind {
            ProfileKind::SeccompProfile => "seccompprofiles",
            ProfileKind::SelinuxProfile => "selinuxprofiles",
            ProfileKind::RawSelinuxProfile => "rawselinuxprofiles",
            ProfileKind::AppArmorProfile => "apparmorprofiles",
        };
        let resource = ApiResource {
            group: GROUP.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{GROUP}/v1"),
            kind: kind.as_str().to_owned(),
            plural: plural.to_owned(),
        };
        let api: Api<DeserializeGuard<Object<HeadSpec, HeadStatus>>> =
            Api::all_with(self.client.clone(), &resource);
        let params = ListParams::default().limit(PAGE_OF_PROFILES);
        each(&api, Resource::own(plural), None, params, |guard: DeserializeGuard<_>| {
            let name = guard.name_any();
            take(match guard.0 {
                Ok(object) => Ok(Head::of(kind, object)),
                Err(error) => Err(format!("{} {name} cannot be read: {error}", kind.as_str())),
            });
        })
        .await
    }
}

fn guarded<K: kube::Resource<DynamicType = ()>>(
    kind: &'static str,
    mut take: impl FnMut(Result<K, String>),
) -> impl FnMut(DeserializeGuard<K>) {
    move |guard| {
        let name = format!("{}/{}", guard.namespace().unwrap_or_default(), guard.name_any());
        take(guard.0.map_err(|error| format!("{kind} {name} cannot be read: {error}")));
    }
}

/// Hands on each object of a list, page by page: no more than one page is in memory.
pub(crate) async fn each<K>(
    api: &Api<K>,
    resource: Resource,
    namespace: Option<&str>,
    mut params: ListParams,
    mut take: impl FnMut(K),
) -> Result<(), ListError>
where
    K: Clone + DeserializeOwned + Debug,
{
    params.limit.get_or_insert(PAGE);
    loop {
        let Ok(page) = timeout(PATIENCE, api.list(&params)).await else {
            return Err(ListError::Slow(resource));
        };
        let next = match page {
            Ok(page) => {
                page.items.into_iter().for_each(&mut take);
                page.metadata.continue_
            }
            // It took too long since the page before; the rest is given as it is now.
            Err(kube::Error::Api(status)) if status.code == 410 && again(&status).is_some() => {
                again(&status)
            }
            Err(error) => return Err(failed("list", resource, namespace, error)),
        };
        params.continue_token = next.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(());
        }
    }
}

fn again(status: &kube::core::Status) -> Option<String> {
    status.metadata.as_ref()?.continue_.clone().filter(|token| !token.is_empty())
}

/// What an error of the API server means.
pub(crate) fn failed(
    verb: &'static str,
    resource: Resource,
    namespace: Option<&str>,
    error: kube::Error,
) -> ListError {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            ListError::Forbidden(Right { verb, resource, namespace: namespace.map(str::to_owned) })
        }
        kube::Error::Api(status) if status.code == 404 && verb == "list" => {
            ListError::NotServed(resource)
        }
        source => ListError::Failed { verb, resource, source },
    }
}

#[cfg(test)]
pub(crate) mod tests;
