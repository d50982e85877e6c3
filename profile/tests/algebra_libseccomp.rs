//! What the algebra says a profile does is what the filter does that libseccomp makes of it.

#![expect(clippy::unwrap_used, reason = "as in a test")]

#[path = "algebra/any.rs"]
mod any;
#[path = "algebra/bpf.rs"]
mod bpf;

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
    error::SeccompError,
};
use profile::{
    algebra::seccomp::{Abi, Call, Verdict, ambiguities, evaluate},
    kinds::seccomp::{Action, Arch, Arg, Operator, SeccompProfileSpec},
};
use proptest::prelude::*;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;

fn action(verdict: Verdict) -> ScmpAction {
    let errno = i32::try_from(verdict.errno_ret().unwrap_or(1)).unwrap();
    match verdict.action() {
        Action::Kill | Action::KillThread => ScmpAction::KillThread,
        Action::KillProcess => ScmpAction::KillProcess,
        Action::Trap => ScmpAction::Trap,
        Action::Errno => ScmpAction::Errno(errno),
        Action::Trace => ScmpAction::Trace(u16::try_from(errno).unwrap()),
        Action::Allow => ScmpAction::Allow,
        Action::Log => ScmpAction::Log,
        Action::Notify => ScmpAction::Notify,
    }
}

/// What the kernel's filter returns for a verdict.
fn returned(verdict: Verdict) -> u32 {
    let errno = verdict.errno_ret().unwrap_or(1);
    match verdict.action() {
        Action::KillProcess => 0x8000_0000,
        Action::Kill | Action::KillThread => 0,
        Action::Trap => 0x0003_0000,
        Action::Errno => 0x0005_0000 | errno,
        Action::Notify => 0x7fc0_0000,
        Action::Trace => 0x7ff0_0000 | errno,
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
    }
}

fn comparison(arg: &Arg) -> ScmpArgCompare {
    let value = arg.value.unwrap_or_default().0;
    let two = arg.value_two.unwrap_or_default().0;
    let (op, datum) = match arg.op {
        Operator::NotEqual => (ScmpCompareOp::NotEqual, value),
        Operator::Less => (ScmpCompareOp::Less, value),
        Operator::LessOrEqual => (ScmpCompareOp::LessOrEqual, value),
        Operator::Equal => (ScmpCompareOp::Equal, value),
        Operator::GreaterOrEqual => (ScmpCompareOp::GreaterEqual, value),
        Operator::Greater => (ScmpCompareOp::Greater, value),
        Operator::MaskedEqual => (ScmpCompareOp::MaskedEqual(value), two),
    };
    ScmpArgCompare::new(arg.index.into(), op, datum)
}

/// Makes a filter as runtimes do.
fn compile(spec: &SeccompProfileSpec) -> Result<Vec<u8>, SeccompError> {
    let default = Verdict::new(spec.default_action, None);
    let mut filter = ScmpFilterContext::new(action(default))?;
    for arch in &spec.architectures {
        match arch {
            Arch::X86 => filter.add_arch(ScmpArch::X86)?,
            _ => filter.add_arch(ScmpArch::Native)?,
        };
    }
    for rule in &spec.syscalls {
        let verdict = Verdict::new(rule.action, rule.errno_ret);
        if verdict == default {
            continue;
        }
        for name in &rule.names {
            let syscall = ScmpSyscall::from_name(name).unwrap();
            let comparisons: Vec<_> = rule.args.iter().map(comparison).collect();
            let twice = (0..6).any(|n| rule.args.iter().filter(|arg| arg.index == n).count() > 1);
            if twice {
                for comparison in comparisons {
                    filter.add_rule_conditional(action(verdict), syscall, &[comparison])?;
                }
            } else if comparisons.is_empty() {
                filter.add_rule(action(verdict), syscall)?;
            } else {
                filter.add_rule_conditional(action(verdict), syscall, &comparisons)?;
            }
        }
    }
    let mut file = tempfile::tempfile().unwrap();
    filter.export_bpf(&mut file)?;
    Ok(bpf::read(file))
}

fn numbers(abi: Abi, syscall: &str) -> Option<(u32, u32)> {
    let (arch, token) = match abi {
        Abi::Own => (ScmpArch::X8664, X86_64),
        Abi::Other(Arch::X86) => (ScmpArch::X86, I386),
        _ => return None,
    };
    let number = ScmpSyscall::from_name_by_arch(syscall, arch).unwrap();
    Some((u32::try_from(i32::from(number)).unwrap(), token))
}

/// What the filter does with a call, next to what the algebra says.
fn both(spec: &SeccompProfileSpec, filter: &[u8], call: &Call) -> (u32, u32) {
    let (number, token) = numbers(call.abi, &call.syscall).unwrap();
    let args = match call.abi {
        Abi::Own => call.args,
        // The kernel hands on what 32-bit registers hold.
        _ => call.args.map(|arg| arg & u64::from(u32::MAX)),
    };
    let outcome = evaluate(spec, call).unwrap();
    (returned(outcome.most), bpf::run(filter, number, token, args))
}

#[cfg(target_arch = "x86_64")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_profile_without_ambiguities_does_what_its_filter_does(
        spec in any::profile(), seed: u64,
    ) {
        prop_assume!(ambiguities(&spec).unwrap().is_empty());
        let filter = compile(&spec).unwrap();
        for call in any::calls(seed, 300) {
            let (said, done) = both(&spec, &filter, &call);
            prop_assert_eq!(said, done, "{} {:x} {:x}", call, said, done);
        }
    }
}
