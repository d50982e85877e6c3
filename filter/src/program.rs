//! The program of a filter: an array of `struct sock_filter`, as the kernel takes it. Pure.

use std::collections::BTreeSet;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD,
    BPF_RET, BPF_W, SECCOMP_RET_ACTION_FULL, SECCOMP_RET_DATA, SECCOMP_RET_ERRNO,
    SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_USER_NOTIF,
};

/// Bytes of an instruction.
const INSTRUCTION: usize = 8;

/// The greatest error number: the kernel answers with it where a filter names a greater one (`MAX_ERRNO` in its
/// `linux/err.h`).
const MAX_ERRNO: u32 = 4095;

/// The program of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// One instruction, as `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

/// What a filter is asked about, as `struct seccomp_data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub number: u32,
    /// `AUDIT_ARCH_…` of `linux/audit.h`.
    pub arch: u32,
    pub instruction_pointer: u64,
    pub args: [u64; 6],
}

impl Program {
    /// Of its bytes, in the machine's order.
    pub fn read(bytes: &[u8]) -> Self {
        let (instructions, _) = bytes.as_chunks::<INSTRUCTION>();
        Self(instructions.iter().copied().map(Instruction::read).collect())
    }

    /// Its bytes, in the machine's order.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().copied().flat_map(Instruction::bytes).collect()
    }

    /// How many instructions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, which the kernel does not take.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it returns for a call, `SECCOMP_RET_…` of `linux/seccomp.h`. What libseccomp makes no use of counts as the
    /// end of the process, as with the kernel where it meets something that it does not know.
    pub fn verdict(&self, call: &Call) -> u32 {
        let (mut next, mut accumulator) = (0_usize, 0_u32);
        // Jumps go forward only: every round is a later instruction.
        while let Some(step) = self.0.get(next) {
            next += 1;
            let k = step.k;
            let jump = |holds| usize::from(if holds { step.if_true } else { step.if_false });
            match step.code {
                RETURN => return k,
                LOAD => accumulator = call.word(k),
                MASK => accumulator &= k,
                JUMP => next += usize::try_from(k).unwrap_or(usize::MAX - next),
                IF_EQUAL => next += jump(accumulator == k),
                IF_GREATER => next += jump(accumulator > k),
                IF_GREATER_OR_EQUAL => next += jump(accumulator >= k),
                IF_BITS => next += jump(accumulator & k != 0),
                _ => break,
            }
        }
        SECCOMP_RET_KILL_PROCESS
    }

    /// The error number that a call is answered with instead of being made; none where it is not.
    pub fn errno(&self, call: &Call) -> Option<u32> {
        let verdict = self.verdict(call);
        let answered = verdict & SECCOMP_RET_ACTION_FULL == SECCOMP_RET_ERRNO;
        answered.then(|| (verdict & SECCOMP_RET_DATA).min(MAX_ERRNO))
    }

    /// The same program, but that it asks a listener (`SECCOMP_RET_USER_NOTIF`) where this one answers with an error
    /// number. A listener that answers with [`Self::errno`] makes the two the same for whoever runs under them.
    #[must_use]
    pub fn asking(&self) -> Self {
        let ask = |step: &Instruction| match step {
            Instruction { code: RETURN, k, .. }
                if k & SECCOMP_RET_ACTION_FULL == SECCOMP_RET_ERRNO =>
            {
                Instruction { k: SECCOMP_RET_USER_NOTIF, ..*step }
            }
            step => *step,
        };
        Self(self.0.iter().map(ask).collect())
    }

    /// Whether a call with this number is answered with this action, `SECCOMP_RET_…`, whatever its arguments are: false
    /// when none can be.
    pub fn may_answer(&self, arch: u32, number: u32, action: u32) -> bool {
        let call = Call { number, arch, ..Call::default() };
        // Places to go on at, with what is in the accumulator where that is known.
        let mut places = vec![(0, Some(0))];
        let mut been = BTreeSet::new();
        while let Some((at, accumulator)) = places.pop() {
            let Some(step) = self.0.get(at).filter(|_| been.insert((at, accumulator))) else {
                continue;
            };
            let (next, k) = (at + 1, step.k);
            let mut branch = |holds: Option<bool>| {
                let ways = [(true, step.if_true), (false, step.if_false)];
                let open = ways.into_iter().filter(|(way, _)| holds.is_none_or(|it| it == *way));
                places.extend(open.map(|(_, by)| (next + usize::from(by), accumulator)));
            };
            match step.code {
                RETURN if k & SECCOMP_RET_ACTION_FULL == action => return true,
                // Number and architecture come first in it; the rest is not known.
                LOAD => places.push((next, (k < 8).then(|| call.word(k)))),
                MASK => places.push((next, accumulator.map(|it: u32| it & k))),
                JUMP => places.extend(
                    usize::try_from(k)
                        .ok()
                        .and_then(|k| next.checked_add(k))
                        .map(|to| (to, accumulator)),
                ),
                IF_EQUAL => branch(accumulator.map(|it| it == k)),
                IF_GREATER => branch(accumulator.map(|it| it > k)),
                IF_GREATER_OR_EQUAL => branch(accumulator.map(|it| it >= k)),
                IF_BITS => branch(accumulator.map(|it| it & k != 0)),
                _ => {}
            }
        }
        false
    }

    /// Whether some call is answered with an action, `SECCOMP_RET_…`.
    pub fn has(&self, action: u32) -> bool {
        self.0.iter().any(|step| step.code == RETURN && step.k & SECCOMP_RET_ACTION_FULL == action)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "all of them have less than 16 bits")]
const fn code(parts: u32) -> u16 {
    parts as u16
}

const RETURN: u16 = code(BPF_RET | BPF_K);
const LOAD: u16 = code(BPF_LD | BPF_W | BPF_ABS);
const MASK: u16 = code(BPF_ALU | BPF_AND | BPF_K);
const JUMP: u16 = code(BPF_JMP | BPF_JA);
const IF_EQUAL: u16 = code(BPF_JMP | BPF_JEQ | BPF_K);
const IF_GREATER: u16 = code(BPF_JMP | BPF_JGT | BPF_K);
const IF_GREATER_OR_EQUAL: u16 = code(BPF_JMP | BPF_JGE | BPF_K);
const IF_BITS: u16 = code(BPF_JMP | BPF_JSET | BPF_K);

impl Instruction {
    fn read(bytes: [u8; INSTRUCTION]) -> Self {
        let [a, b, if_true, if_false, k @ ..] = bytes;
        Self { code: u16::from_ne_bytes([a, b]), if_true, if_false, k: u32::from_ne_bytes(k) }
    }

    fn bytes(self) -> [u8; INSTRUCTION] {
        let ([a, b], k) = (self.code.to_ne_bytes(), self.k.to_ne_bytes());
        [a, b, self.if_true, self.if_false, k[0], k[1], k[2], k[3]]
    }
}

impl Call {
    /// The 32 bits at an offset of `struct seccomp_data`.
    fn word(&self, at: u32) -> u32 {
        let wide = |of: u64, at: u32| {
            let bytes = of.to_ne_bytes();
            let half = if at & 4 == 0 { [0, 1, 2, 3] } else { [4, 5, 6, 7] };
            u32::from_ne_bytes(half.map(|place: usize| bytes[place]))
        };
        match at {
            0 => self.number,
            4 => self.arch,
            8 | 12 => wide(self.instruction_pointer, at),
            _ => {
                let arg = usize::try_from(at / 8).ok().and_then(|at| self.args.get(at - 2));
                wide(arg.copied().unwrap_or_default(), at)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_LOG, SECCOMP_RET_TRAP};

    use super::*;
    use crate::compile;

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;

    const FILTER: &str = r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"syscalls":[
        {"names":["read"],"action":"SCMP_ACT_ALLOW"},
        {"names":["getppid"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
        {"names":["getuid"],"action":"SCMP_ACT_ERRNO","errnoRet":0},
        {"names":["geteuid"],"action":"SCMP_ACT_TRAP"},
        {"names":["getegid"],"action":"SCMP_ACT_LOG"},
        {"names":["getpgrp"],"action":"SCMP_ACT_KILL_PROCESS"},
        {"names":["personality"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"op":"SCMP_CMP_EQ","value":4294967296}]},
        {"names":["socket"],"action":"SCMP_ACT_ALLOW",
         "args":[{"index":1,"op":"SCMP_CMP_MASKED_EQ","value":15,"valueTwo":2}]},
        {"names":["lseek"],"action":"SCMP_ACT_ALLOW","args":[{"index":5,"op":"SCMP_CMP_GE","value":7}]}]}"#;

    fn program() -> Program {
        compile(&serde_json::from_str(FILTER).unwrap()).unwrap()
    }

    fn call(name: &str, args: [u64; 6]) -> Call {
        let number = profile::syscall::number(profile::kinds::seccomp::Arch::X86_64, name).unwrap();
        Call { number, arch: X86_64, instruction_pointer: 0, args }
    }

    fn bare(name: &str) -> Call {
        call(name, [0; 6])
    }

    #[test]
    fn a_call_gets_what_its_rule_says() {
        let verdicts = [
            ("read", SECCOMP_RET_ALLOW),
            ("write", SECCOMP_RET_ERRNO + 1),
            ("getppid", SECCOMP_RET_ERRNO + 38),
            ("geteuid", SECCOMP_RET_TRAP),
            ("getegid", SECCOMP_RET_LOG),
            ("getpgrp", SECCOMP_RET_KILL_PROCESS),
        ];
        for (name, verdict) in verdicts {
            assert_eq!(program().verdict(&bare(name)), verdict, "{name}");
        }
        let foreign = Call { arch: I386, ..bare("read") };
        assert_eq!(program().verdict(&foreign), SECCOMP_RET_KILL_THREAD, "no rule is for it");
    }

    #[test]
    fn arguments_are_compared_in_all_their_bits() {
        let program = program();
        let errno = |name, args| program.errno(&call(name, args));
        assert_eq!(errno("personality", [1 << 32, 0, 0, 0, 0, 0]), None);
        assert_eq!(errno("personality", [0; 6]), Some(1));
        assert_eq!(errno("socket", [0, 0x802, 0, 0, 0, 0]), None);
        assert_eq!(errno("socket", [0, 0x803, 0, 0, 0, 0]), Some(1));
        assert_eq!(errno("lseek", [0, 0, 0, 0, 0, 7]), None);
        assert_eq!(errno("lseek", [0, 0, 0, 0, 9, 6]), Some(1));
    }

    #[test]
    fn what_a_call_may_be_answered_with_depends_on_its_arguments() {
        let may = |name, action| {
            let Call { arch, number, .. } = bare(name);
            program().may_answer(arch, number, action)
        };
        let actions = [
            SECCOMP_RET_ALLOW,
            SECCOMP_RET_ERRNO,
            SECCOMP_RET_TRAP,
            SECCOMP_RET_LOG,
            SECCOMP_RET_KILL_THREAD,
            SECCOMP_RET_KILL_PROCESS,
        ];
        for (name, expected) in [
            ("read", &[SECCOMP_RET_ALLOW][..]),
            ("write", &[SECCOMP_RET_ERRNO]),
            ("geteuid", &[SECCOMP_RET_TRAP]),
            ("getpgrp", &[SECCOMP_RET_KILL_PROCESS]),
            ("personality", &[SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO]),
            ("socket", &[SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO]),
            ("lseek", &[SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO]),
        ] {
            let told: Vec<_> = actions.into_iter().filter(|action| may(name, *action)).collect();
            assert_eq!(told, expected, "{name}");
        }
        let foreign = |action| program().may_answer(I386, bare("read").number, action);
        assert!(foreign(SECCOMP_RET_KILL_THREAD) && !foreign(SECCOMP_RET_ALLOW));
    }

    #[test]
    fn an_error_number_is_what_the_kernel_would_answer_with() {
        let errno = |name| program().errno(&bare(name));
        assert_eq!(errno("getuid"), Some(0), "the call seems to succeed");
        assert_eq!(errno("geteuid"), None);
        let k = SECCOMP_RET_ERRNO + 5000;
        let beyond = Program(vec![Instruction { code: RETURN, if_true: 0, if_false: 0, k }]);
        assert_eq!(beyond.errno(&bare("read")), Some(4095));
    }

    #[test]
    fn what_asks_differs_in_what_was_answered_with_an_error_number_alone() {
        let (plain, asking) = (program(), program().asking());
        assert!(plain.has(SECCOMP_RET_ERRNO) && !plain.has(SECCOMP_RET_USER_NOTIF));
        assert!(asking.has(SECCOMP_RET_USER_NOTIF) && !asking.has(SECCOMP_RET_ERRNO));
        for number in 0..500 {
            let call = Call { number, ..bare("read") };
            let expected = match plain.errno(&call) {
                Some(_) => SECCOMP_RET_USER_NOTIF,
                None => plain.verdict(&call),
            };
            assert_eq!(asking.verdict(&call), expected, "{number}");
        }
    }

    #[test]
    fn a_program_is_its_bytes() {
        let program = program();
        assert_eq!(Program::read(&program.bytes()), program);
        assert_eq!(program.bytes().len(), program.len() * INSTRUCTION);
    }

    #[test]
    fn a_program_that_does_not_end_in_an_answer_ends_the_process() {
        let jump = |k| Instruction { code: JUMP, if_true: 0, if_false: 0, k };
        assert_eq!(Program(vec![jump(7)]).verdict(&bare("read")), SECCOMP_RET_KILL_PROCESS);
        assert_eq!(Program(vec![jump(u32::MAX)]).verdict(&bare("read")), SECCOMP_RET_KILL_PROCESS);
    }
}
