//! Does everything come up?

use anyhow::{Result, ensure};

use crate::{questions, shared::Shared};

questions![the_api_server_is_the_pinned_one];

async fn the_api_server_is_the_pinned_one(shared: &Shared) -> Result<()> {
    let version = shared.cluster.asker().ask("GET", "/version", None).await?.granted()?;
    let text = version["gitVersion"].as_str().unwrap_or_default();
    ensure!(text.starts_with("v1."), "{version}");
    Ok(())
}
