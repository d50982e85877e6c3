//! Is it the cluster that we mean?

use std::env;

use anyhow::Result;
use tests::programs::version;

use crate::{
    questions,
    shared::{Shared, Skipped},
};

questions![the_api_server_is_of_the_pinned_version];

async fn the_api_server_is_of_the_pinned_version(shared: &Shared) -> Result<()> {
    if env::var_os("KUBEBUILDER_ASSETS").is_some() {
        return Err(Skipped("KUBEBUILDER_ASSETS chooses another").into());
    }
    let found = shared.cluster.asker().ask("GET", "/version", None).await?.granted()?;
    assert_eq!(found["gitVersion"], version());
    Ok(())
}
