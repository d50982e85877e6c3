//! The programs in the kernel: loading them, attaching them, reading what they have recorded.

use aya::{
    Ebpf, EbpfError, EbpfLoader, include_bytes_aligned,
    maps::{Array, MapError},
    programs::{ProgramError, RawTracePoint},
};

pub use slot::{Calls, SLOT, Slot};

mod slot;

/// How many namespaces can be told apart at once.
pub const SLOTS: u32 = 16_384;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/recorder.bpf.o"));

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("this program was built without clang, and so without what records in the kernel")]
    Empty,
    #[error(
        "recording needs the capabilities CAP_BPF and CAP_PERFMON, or to be root: the kernel refused to load the programs"
    )]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot load the programs into the kernel")]
    Load(#[source] Box<EbpfError>),
    #[error("cannot attach {program}")]
    Attach { program: &'static str, source: Box<ProgramError> },
    #[error("the programs have no {0}: they and this program are of different versions")]
    Different(&'static str),
    #[error("cannot read what was recorded")]
    Read(#[source] Box<MapError>),
}

/// What to look at: each costs every process on the machine a little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Also which calls a filter refuses.
    pub denials: bool,
}

/// Programs that run until this is dropped.
#[derive(Debug)]
pub struct Recording {
    loaded: Ebpf,
}

/// What could not be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Calls in namespaces for which there was no slot.
    pub namespaces: u64,
}

impl Recording {
    /// Loads the programs and attaches them.
    pub fn start(watch: Watch) -> Result<Self, KernelError> {
        if OBJECT.is_empty() {
            return Err(KernelError::Empty);
        }
        let mut loaded = EbpfLoader::new().load(OBJECT).map_err(|error| {
            if is_refusal(&error) {
                KernelError::Refused(Box::new(error))
            } else {
                KernelError::Load(Box::new(error))
            }
        })?;
        attach(&mut loaded, "sys_enter")?;
        if watch.denials {
            // After the other: what has begun before this one runs was seen to begin.
            attach(&mut loaded, "sys_exit")?;
        }
        Ok(Self { loaded })
    }

    /// What is in a slot; none while nothing has claimed it.
    pub fn slot(&self, place: u32) -> Result<Option<Slot>, KernelError> {
        let read = |error| KernelError::Read(Box::new(error));
        let map = self.loaded.map("slots").ok_or(KernelError::Different("slots"))?;
        let slots: Array<_, [u8; SLOT]> = Array::try_from(map).map_err(read)?;
        Ok(Slot::read(&slots.get(&place, 0).map_err(read)?))
    }

    /// Finds a slot.
    pub fn find(&self, is_it: impl Fn(&Slot) -> bool) -> Result<Option<u32>, KernelError> {
        for place in 0..SLOTS {
            if self.slot(place)?.is_some_and(|slot| is_it(&slot)) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// What could not be recorded.
    pub fn lost(&self) -> Result<Lost, KernelError> {
        let read = |error| KernelError::Read(Box::new(error));
        let map = self.loaded.map("losses").ok_or(KernelError::Different("losses"))?;
        let losses: Array<_, u64> = Array::try_from(map).map_err(read)?;
        Ok(Lost { namespaces: losses.get(&0, 0).map_err(read)? })
    }
}

fn attach(loaded: &mut Ebpf, name: &'static str) -> Result<(), KernelError> {
    let attach = |source| KernelError::Attach { program: name, source: Box::new(source) };
    let program = loaded.program_mut(name).ok_or(KernelError::Different(name))?;
    let program: &mut RawTracePoint = program.try_into().map_err(attach)?;
    program.load().map_err(|error| {
        if is_refusal(&error) { KernelError::Refused(Box::new(error)) } else { attach(error) }
    })?;
    program.attach(name).map_err(attach)?;
    Ok(())
}

/// Whether the kernel said no for want of a capability.
fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            return true;
        }
        next = error.source();
    }
    false
}
