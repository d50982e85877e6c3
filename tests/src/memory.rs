//! How much memory a process has.

use std::fs;

use anyhow::{Context as _, Result};

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    pub now: f64,
    /// The most that it ever was.
    pub peak: f64,
}

/// Asks the kernel.
pub fn of(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let line = line.with_context(|| format!("process {pid} has no {name}"))?;
        let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    };
    Ok(Memory { now: field("VmRSS")?, peak: field("VmHWM")? })
}
