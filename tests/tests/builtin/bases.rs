//! Are the bases of the runtimes enough for the runtimes?

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::bundle::Runtime;

use crate::{Ground, questions};

questions![a_program_starts_under_the_base_of_its_runtime_alone];

const LIMIT: Duration = Duration::from_secs(30);
/// A runtime in Go does something else each time.
const TIMES: usize = 8;
const CODE: i32 = 42;

async fn a_program_starts_under_the_base_of_its_runtime_alone(ground: &Ground<'_>) -> Result<()> {
    let base = match ground.way.runtime {
        Runtime::Runc => "base-runc",
        Runtime::Crun => "base-crun",
    };
    for _ in 0..TIMES {
        let bundle = ground.under(base)?.program("program", &program())?.user(65534);
        let mut container = bundle.start(&["/work/program"])?;
        let status = container.ended(LIMIT).await?;
        ensure!(status.code() == Some(CODE), "ended with {status}:\n{}", container.log()?);
    }
    Ok(())
}

/// A program that does nothing but end: any other would need more than the runtime does.
fn program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let (machine, code): (u16, &[u8]) = if cfg!(target_arch = "aarch64") {
        // mov x0, #42; mov x8, #94; svc #0
        (183, &[0x40, 0x05, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4])
    } else {
        // mov edi, 42; mov eax, 231; syscall
        (62, &[0xbf, 42, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05])
    };
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, machine].map(u16::to_le_bytes).concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // One segment, to be read and executed.
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(code);
    elf
}
