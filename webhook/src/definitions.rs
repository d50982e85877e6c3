//! Brings the custom resource definitions of a cluster up to those that this program was built with: who installs the chart
//! anew has that done, because Helm leaves the ones that are there as they are.

use std::{io::Write, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    runtime::{conditions::is_crd_established, wait::Condition as _},
};

/// Who writes.
const MANAGER: &str = "cinch-crds";

/// How often is tried to be the last who writes.
const ATTEMPTS: usize = 5;

/// How long a kind takes at most until it is served.
const SERVED: Duration = Duration::from_mins(1);

/// How often is looked whether it is.
const LOOK: Duration = Duration::from_millis(200);

/// What could not be done, to which definition.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    #[error("cannot read the definition {name}")]
    Read { name: String, source: Box<kube::Error> },
    #[error("cannot write the definition {name}")]
    Write { name: String, source: Box<kube::Error> },
    #[error("all definitions are written, but not all that they define is served after {SERVED:?}")]
    NotServed,
    #[error("nobody can be told")]
    Say(#[from] std::io::Error),
}

/// Writes each that is missing or differs, waits until all are served, and says what it did.
///
/// # Errors
/// For the first that cannot be written.
pub async fn apply(client: &Client, out: &mut (impl Write + Send)) -> Result<(), DefinitionsError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let all = profile::crd::all();
    for wanted in &all {
        let done = write(&api, wanted).await?;
        writeln!(out, "{}: {done}", wanted.name_any())?;
    }
    let served = all.iter().map(|wanted| served(&api, wanted.name_any()));
    let served = futures::future::try_join_all(served);
    tokio::time::timeout(SERVED, served)
        .await
        .map_err(|_elapsed| DefinitionsError::NotServed)??;
    Ok(())
}

/// Waits until what is defined is served.
async fn served(api: &Api<CustomResourceDefinition>, name: String) -> Result<(), DefinitionsError> {
    // A watch would take more rights than the look at one.
    loop {
        let there = api.get_opt(&name).await;
        let there = there.map_err(|source| DefinitionsError::Read {
            name: name.clone(),
            source: source.into(),
        })?;
        if is_crd_established().matches_object(there.as_ref()) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn write(
    api: &Api<CustomResourceDefinition>,
    wanted: &CustomResourceDefinition,
) -> Result<&'static str, DefinitionsError> {
    let name = wanted.name_any();
    let failed = |source: kube::Error| DefinitionsError::Write {
        name: name.clone(),
        source: Box::new(source),
    };
    let mut attempt = 1;
    loop {
        let there = api.get_opt(&name).await;
        let there = there.map_err(|source| DefinitionsError::Read {
            name: name.clone(),
            source: Box::new(source),
        })?;
        let Some(mut there) = there else {
            // By name, which is more than who creates may be held to.
            let params = PatchParams::apply(MANAGER).force();
            api.patch(&name, &params, &Patch::Apply(wanted)).await.map_err(failed)?;
            return Ok("created");
        };
        if says_all(&there, wanted) {
            return Ok("as it should be");
        }
        // In full: what an older one said and this one does not must not stay.
        there.spec.clone_from(&wanted.spec);
        let params =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match api.replace(&name, &params, &there).await {
            Ok(_) => return Ok("replaced"),
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {
                attempt += 1;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Whether one is what is wanted, but for what the API server fills in.
fn says_all(there: &CustomResourceDefinition, wanted: &CustomResourceDefinition) -> bool {
    let mut filled = wanted.spec.clone();
    filled.names.list_kind.clone_from(&there.spec.names.list_kind);
    filled.preserve_unknown_fields = there.spec.preserve_unknown_fields;
    filled == there.spec
}
