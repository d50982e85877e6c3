//! The certificates in a Kubernetes Secret, shared by all replicas.
//!
//! Who makes a change names the state it was made from, and the API server refuses it when the
//! Secret is in another state by now: of replicas that start together, one makes the pair.

use std::{error::Error, fmt};

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use k8s_openapi::{ByteString, api::core::v1};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ObjectMeta, PartialObjectMeta, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};

use crate::{
    files::Files,
    store::{Loaded, Saved, Version},
};

/// A Secret that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read the Secret {name}")]
    Read { name: String, source: Box<kube::Error> },
    #[error("cannot create the Secret {name}")]
    Create { name: String, source: Box<kube::Error> },
    #[error("cannot change the Secret {name}")]
    Change { name: String, source: Box<kube::Error> },
}

pub(crate) struct Secret {
    api: Api<v1::Secret>,
    name: String,
    events: BoxStream<'static, Result<(), watcher::Error>>,
}

impl Secret {
    pub(crate) fn new(client: Client, namespace: &str, name: String) -> Self {
        let api: Api<v1::Secret> = Api::namespaced(client.clone(), namespace);
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        // Without the content: what is watched is sent to every replica with each change, and
        // whatever logs it would log keys.
        let metadata: Api<PartialObjectMeta<v1::Secret>> = Api::namespaced(client, namespace);
        let events = watcher(metadata, only).default_backoff().touched_objects();
        let events = events.map_ok(drop).boxed();
        Self { api, name, events }
    }

    pub(crate) async fn load(&mut self) -> Result<Loaded, SecretError> {
        let found = self.api.get_opt(&self.name).await;
        let found = found.map_err(|source| SecretError::Read {
            name: self.name.clone(),
            source: source.into(),
        })?;
        let version = Version(found.as_ref().and_then(kube::ResourceExt::resource_version));
        let mut data = found.and_then(|secret| secret.data).unwrap_or_default();
        let Ok(files) = Files::try_of(|name| {
            let content = data.remove(name).map(|content| content.0);
            Ok::<_, std::convert::Infallible>(content.unwrap_or_default())
        });
        Ok(Loaded { files, version })
    }

    pub(crate) async fn save(
        &mut self,
        files: &Files,
        expected: &Version,
    ) -> Result<Saved, SecretError> {
        let data =
            files.iter().map(|(name, content)| (name.to_owned(), ByteString(content.into())));
        let secret = v1::Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: expected.0.clone(),
                ..ObjectMeta::default()
            },
            data: Some(data.collect()),
            ..v1::Secret::default()
        };
        match expected.0 {
            None => self.create(secret).await,
            Some(_) => self.change(secret).await,
        }
    }

    async fn create(&mut self, secret: v1::Secret) -> Result<Saved, SecretError> {
        let secret = v1::Secret { type_: Some("kubernetes.io/tls".into()), ..secret };
        match self.api.create(&PostParams::default(), &secret).await {
            Ok(created) => Ok(Saved::Done(Version(created.resource_version()))),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Saved::Conflict),
            Err(source) => {
                Err(SecretError::Create { name: self.name.clone(), source: source.into() })
            }
        }
    }

    /// A merge, so that labels, owners and foreign keys stay.
    async fn change(&mut self, secret: v1::Secret) -> Result<Saved, SecretError> {
        let (params, merge) = (PatchParams::default(), Patch::Merge(secret));
        match self.api.patch(&self.name, &params, &merge).await {
            Ok(changed) => Ok(Saved::Done(Version(changed.resource_version()))),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(Saved::Conflict)
            }
            Err(source) => {
                Err(SecretError::Change { name: self.name.clone(), source: source.into() })
            }
        }
    }

    /// Returns when the Secret may have changed. After a failure the watch starts again, slower
    /// each time.
    pub(crate) async fn changed(&mut self) {
        loop {
            match self.events.next().await {
                Some(Ok(())) => return,
                Some(Err(error)) => {
                    let error = &error as &dyn Error;
                    tracing::debug!(
                        name = self.name,
                        error,
                        "cannot watch the Secret, trying again"
                    );
                }
                // A watch has no end; should it have one, the slow look goes on.
                None => std::future::pending().await,
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}
