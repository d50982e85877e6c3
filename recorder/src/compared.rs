//! Programs that recording is compared with where its cost is measured.

use aya::{
    Ebpf, EbpfError, EbpfLoader, include_bytes_aligned,
    maps::{Array, MapError, RingBuf},
    programs::{ProgramError, RawTracePoint},
};

static EMPTY: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/empty.bpf.o"));
static RING: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ring.bpf.o"));

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("cannot load the programs to compare with: is clang there when this is built?")]
    Load(#[from] EbpfError),
    #[error("cannot attach a program to compare with")]
    Attach(#[from] ProgramError),
    #[error("cannot use a map of a program to compare with")]
    Map(#[from] MapError),
    #[error("a program to compare with has no {0}")]
    Different(&'static str),
}

/// Programs that do nothing, until this is dropped.
#[derive(Debug)]
pub struct Empty {
    _programs: Ebpf,
}

impl Empty {
    /// At these raw tracepoints: `sys_enter`, `sys_exit`.
    pub fn start(tracepoints: &[&'static str]) -> Result<Self, CompareError> {
        Ok(Self { _programs: attached(EMPTY, tracepoints)? })
    }
}

/// A program that sends an event for each system call in mount namespaces other than one, until this is dropped.
#[derive(Debug)]
pub struct Ring {
    programs: Ebpf,
}

impl Ring {
    /// Sends nothing of the namespace with this inode.
    pub fn start(but: u64) -> Result<Self, CompareError> {
        let mut programs = attached(RING, &["sys_enter"])?;
        let map = programs.map_mut("host").ok_or(CompareError::Different("host"))?;
        Array::try_from(map)?.set(0, but, 0)?;
        Ok(Self { programs })
    }

    /// Takes the events that are there, and tells how many that were.
    pub fn read(&mut self) -> Result<u64, CompareError> {
        let map = self.programs.map_mut("events").ok_or(CompareError::Different("events"))?;
        let mut events = RingBuf::try_from(map)?;
        let mut count = 0;
        while events.next().is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// How many events found no room.
    pub fn lost(&self) -> Result<u64, CompareError> {
        let map = self.programs.map("lost").ok_or(CompareError::Different("lost"))?;
        Ok(Array::try_from(map)?.get(&0, 0)?)
    }
}

fn attached(object: &[u8], tracepoints: &[&'static str]) -> Result<Ebpf, CompareError> {
    let mut loaded = EbpfLoader::new().load(object)?;
    for name in tracepoints {
        let program = loaded.program_mut(name).ok_or(CompareError::Different(name))?;
        let program: &mut RawTracePoint = program.try_into()?;
        program.load()?;
        program.attach(name)?;
    }
    Ok(loaded)
}
