//! Are the bases of the runtimes enough for the runtimes?

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::bundle::Runtime;

use crate::{Ground, elf, questions};

questions![a_program_starts_under_the_base_of_its_runtime_alone];

const LIMIT: Duration = Duration::from_secs(30);
/// A runtime in Go does something else each time.
const TIMES: usize = 8;
const CODE: u8 = 42;

async fn a_program_starts_under_the_base_of_its_runtime_alone(ground: &Ground<'_>) -> Result<()> {
    let base = match ground.way.runtime {
        Runtime::Runc => "base-runc",
        Runtime::Crun => "base-crun",
    };
    for _ in 0..TIMES {
        let bundle = ground
            .under(base)?
            .program("program", &elf::program(&elf::end_with(CODE)))?
            .user(65534);
        let mut container = bundle.start(&["/srv/program"])?;
        let status = container.ended(LIMIT).await?;
        ensure!(status.code() == Some(CODE.into()), "ended with {status}:\n{}", container.log()?);
    }
    Ok(())
}
