//! Processes that have ended, as `bpf/processes.bpf.c` keeps them.

use std::{sync::Arc, time::Duration};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{HashMap, MapData},
    programs::{ProgramError, RawTracePoint},
};

use super::{KernelError, error::is_refusal};
use crate::logs::{Ended, Processes};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/processes.bpf.o"));

/// `NAME` of `bpf/processes.bpf.c`.
const NAME: usize = 120;

/// `struct ended`: three numbers and two names, in words of the machine.
const WORDS: usize = 3 + 2 * NAME / 8;

/// A program that notes where processes were that end, until this is dropped.
#[derive(Debug)]
pub struct EndedProcesses {
    table: HashMap<MapData, u32, [u64; WORDS]>,
    /// The program ends with it.
    _object: Ebpf,
}

impl EndedProcesses {
    /// Loads the program and attaches it.
    pub fn start() -> Result<Self, KernelError> {
        if OBJECT.is_empty() {
            return Err(KernelError::Empty);
        }
        let mut object = EbpfLoader::new().load(OBJECT).map_err(|error| {
            if is_refusal(&error) {
                KernelError::Refused(Box::new(error))
            } else {
                KernelError::Load(Box::new(error))
            }
        })?;
        attach(&mut object)?;
        let map = object.take_map("ended").ok_or(KernelError::Different("ended"))?;
        let table = map.try_into().map_err(|_other| KernelError::Different("ended"))?;
        Ok(Self { table, _object: object })
    }

    /// The same for whoever follows records.
    pub fn shared() -> Result<Arc<dyn Processes>, KernelError> {
        Ok(Arc::new(Self::start()?))
    }
}

fn attach(object: &mut Ebpf) -> Result<(), KernelError> {
    const PROGRAM: &str = "process_ended";
    let program = object.program_mut(PROGRAM).ok_or(KernelError::Different(PROGRAM))?;
    let mut attach = || -> Result<(), ProgramError> {
        let program: &mut RawTracePoint = program.try_into()?;
        program.load()?;
        program.attach("sched_process_exit").map(drop)
    };
    attach().map_err(|error| {
        if is_refusal(&error) {
            KernelError::Refused(Box::new(error))
        } else {
            KernelError::Attach { program: PROGRAM, source: Box::new(error) }
        }
    })
}

impl Processes for EndedProcesses {
    fn ended(&self, process: u32) -> Option<Ended> {
        // One that is not there, or of which the kernel does not tell, is not known.
        self.table.get(&process, 0).ok().map(|words| of_words(&words))
    }
}

fn of_words(words: &[u64; WORDS]) -> Ended {
    let [start, end, inode, names @ ..] = words;
    let (leaf, parent) = names.split_at(NAME / 8);
    Ended {
        start: Duration::from_nanos(*start),
        end: Duration::from_nanos(*end),
        namespace: Some(*inode).filter(|inode| *inode != 0),
        leaf: text(leaf),
        parent: text(parent),
    }
}

fn text(words: &[u64]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
    let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read_as_they_lie_in_memory() {
        let mut words = [0; WORDS];
        words[..3].copy_from_slice(&[5, 7, 0]);
        words[3] = u64::from_ne_bytes(*b"leaf of ");
        words[4] = u64::from_ne_bytes(*b"it\0\0\0\0\0\0");
        words[3 + NAME / 8] = u64::from_ne_bytes(*b"above\0\0\0");
        let ended = of_words(&words);
        assert_eq!((ended.start.as_nanos(), ended.end.as_nanos(), ended.namespace), (5, 7, None));
        assert_eq!((&*ended.leaf, &*ended.parent), ("leaf of it", "above"));
        words[2] = 9;
        assert_eq!(of_words(&words).namespace, Some(9));
    }
}
