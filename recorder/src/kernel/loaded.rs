//! The object in the kernel: its maps, and those of its programs that were asked for.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData},
    programs::{Program, ProgramError, RawTracePoint},
};

use super::{KernelError, OBJECT, is_refusal};

/// Ends the programs when it is dropped.
#[derive(Debug)]
pub(super) struct Loaded {
    object: Ebpf,
}

impl Loaded {
    /// Makes the maps. No program runs yet.
    pub(super) fn new() -> Result<Self, KernelError> {
        if OBJECT.is_empty() {
            return Err(KernelError::Empty);
        }
        let object = EbpfLoader::new().load(OBJECT).map_err(|error| {
            if is_refusal(&error) {
                KernelError::Refused(Box::new(error))
            } else {
                KernelError::Load(Box::new(error))
            }
        })?;
        Ok(Self { object })
    }

    /// A map, to be used as long as one likes.
    pub(super) fn map(&self, name: &'static str) -> Result<OwnedFd, KernelError> {
        let (Map::Array(map) | Map::HashMap(map)) =
            self.object.map(name).ok_or(KernelError::Different(name))?
        else {
            return Err(KernelError::Different(name));
        };
        let map: &MapData = map;
        map.fd().as_fd().try_clone_to_owned().map_err(KernelError::Read)
    }

    /// Runs a program at a raw tracepoint.
    pub(super) fn raw_tracepoint(
        &mut self,
        name: &'static str,
        tracepoint: &str,
    ) -> Result<(), KernelError> {
        self.attach(name, |program| {
            let program: &mut RawTracePoint = program.try_into()?;
            program.load()?;
            program.attach(tracepoint).map(drop)
        })
    }

    fn attach(
        &mut self,
        name: &'static str,
        attach: impl FnOnce(&mut Program) -> Result<(), ProgramError>,
    ) -> Result<(), KernelError> {
        let program = self.object.program_mut(name).ok_or(KernelError::Different(name))?;
        attach(program).map_err(|error| {
            if is_refusal(&error) {
                KernelError::Refused(Box::new(error))
            } else {
                KernelError::Attach { program: name, source: Box::new(error) }
            }
        })
    }
}
