//! Compiles the kernel's programs with clang. Where there is none, an empty object is embedded, so that everything can be
//! checked, and a recording says what is missing.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, bail};

/// The programs that record, the one that knows processes that have ended, and for measurements those that do nothing, and one that does it as others do.
const SOURCES: [&str; 4] = ["recorder", "processes", "empty", "ring"];

fn main() -> anyhow::Result<()> {
    let say = |line: &str| {
        use std::io::Write as _;
        writeln!(std::io::stdout(), "cargo::{line}").context("cargo does not listen")
    };
    say("rerun-if-changed=bpf")?;
    say("rerun-if-env-changed=CLANG")?;
    let machine = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        "riscv64" => "riscv",
        other => bail!("no programs for the kernel of {other} yet"),
    };
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    for source in SOURCES {
        let object = folder.join(format!("{source}.bpf.o"));
        let source = format!("bpf/{source}.bpf.c");
        let compiled = Command::new(&clang)
            .args(["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3"])
            .arg(format!("-D__TARGET_ARCH_{machine}"))
            .args(["-c", &source, "-o"])
            .arg(&object)
            .status();
        match compiled {
            Ok(status) if status.success() => {
                // Debugging information is not loaded; what is left says where structures are.
                let _as_large_as_it_is = Command::new("llvm-strip").arg("-g").arg(&object).status();
            }
            Ok(status) => bail!("{clang} {source}: {status}"),
            Err(error) => {
                say(&format!("warning=no {clang} ({error}): nothing can be recorded by eBPF"))?;
                std::fs::write(&object, b"").context("cannot write an empty object")?;
            }
        }
    }
    Ok(())
}
