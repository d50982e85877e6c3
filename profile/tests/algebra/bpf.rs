//! A machine for classic BPF, as far as libseccomp uses it.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
};

/// Reads an exported filter from its beginning.
pub(crate) fn read(mut file: File) -> Vec<u8> {
    let mut filter = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut filter).unwrap();
    filter
}

/// What a filter returns for a call.
pub(crate) fn run(filter: &[u8], number: u32, arch: u32, args: [u64; 6]) -> u32 {
    let mut data = Vec::with_capacity(64);
    data.extend(number.to_ne_bytes());
    data.extend(arch.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    data.extend(args.iter().flat_map(|arg| arg.to_ne_bytes()));

    let (mut next, mut accumulator) = (0, 0_u32);
    loop {
        let step = &filter[next * 8..next * 8 + 8];
        let code = u16::from_ne_bytes([step[0], step[1]]);
        let (if_true, if_false) = (usize::from(step[2]), usize::from(step[3]));
        let k = u32::from_ne_bytes([step[4], step[5], step[6], step[7]]);
        let at = usize::try_from(k).unwrap();
        next += 1;
        let jump = |holds| if holds { if_true } else { if_false };
        match code {
            0x06 => return k,
            0x20 => accumulator = u32::from_ne_bytes(data[at..at + 4].try_into().unwrap()),
            0x54 => accumulator &= k,
            0x05 => next += at,
            0x15 => next += jump(accumulator == k),
            0x25 => next += jump(accumulator > k),
            0x35 => next += jump(accumulator >= k),
            0x45 => next += jump(accumulator & k != 0),
            other => unreachable!("libseccomp makes no use of {other:#x}"),
        }
    }
}
