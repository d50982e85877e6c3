//! The certificates in a Kubernetes Secret, shared by all replicas.

use std::fmt;

use kube::Client;

use crate::{
    files::Files,
    store::{Loaded, Saved, Version},
};

/// A Secret that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read the Secret {name}")]
    Read { name: String, source: kube::Error },
}

pub(crate) struct Secret {
    name: String,
}

impl Secret {
    pub(crate) fn new(_client: Client, _namespace: &str, name: String) -> Self {
        Self { name }
    }

    pub(crate) async fn load(&mut self) -> Result<Loaded, SecretError> {
        unimplemented!()
    }

    pub(crate) async fn save(&mut self, _: Files, _: Version) -> Result<Saved, SecretError> {
        unimplemented!()
    }

    pub(crate) async fn changed(&mut self) {
        std::future::pending().await
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}
