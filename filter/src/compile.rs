//! Compiles a filter with libseccomp, as runc does when a container starts, so that what it would refuse is known before.

use std::io::{Read as _, Seek as _};

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
    error::SeccompError,
};
use profile::{
    kinds::seccomp::{Action, Arch, Operator},
    render::seccomp::{Condition, Filter},
};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::Program;

/// The kernel takes no longer program (`BPF_MAXINSNS` in its `bpf_common.h`).
const INSTRUCTIONS_MAX: usize = 4096;

/// Why a runtime would not take a filter.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("no OCI seccomp profile")]
    Parse(#[from] serde_json::Error),
    #[error("libseccomp refuses {what}")]
    Refused { what: String, source: SeccompError },
    #[error("cannot compile the filter")]
    Memory(#[from] std::io::Error),
    #[error(
        "the filter has {0} instructions, and the kernel takes {INSTRUCTIONS_MAX}: give it fewer rules with arguments, or \
         fewer architectures"
    )]
    TooLong(usize),
}

/// Whether runtimes and the kernel would take a filter.
pub fn check(text: &str) -> Result<(), CompileError> {
    compile(&serde_json::from_str(text)?).map(drop)
}

/// The program for the kernel, which would take it.
pub fn compile(filter: &Filter) -> Result<Program, CompileError> {
    let default = action(filter.default_action, filter.default_errno_ret);
    let mut context =
        ScmpFilterContext::new(default).map_err(|source| refused("the default action", source))?;
    for arch in &filter.architectures {
        if let Some(arch) = architecture(*arch) {
            context.add_arch(arch).map_err(|source| refused(format!("{arch:?}"), source))?;
        }
    }
    for rule in &filter.syscalls {
        let action = action(rule.action, rule.errno_ret);
        // A runtime passes over what says nothing new; libseccomp would refuse it.
        if action == default {
            continue;
        }
        let conditions: Vec<_> = rule.args.iter().map(condition).collect();
        for name in &rule.names {
            // A name that this node does not know is passed over, as by a runtime.
            let Ok(syscall) = ScmpSyscall::from_name(name) else { continue };
            let added = match &conditions[..] {
                [] => context.add_rule(action, syscall),
                conditions => context.add_rule_conditional(action, syscall, conditions),
            };
            added.map_err(|source| refused(format!("the rule on {name}"), source))?;
        }
    }
    let memory = memfd_create("filter", MemfdFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let mut file = std::fs::File::from(memory);
    context.export_bpf(&mut file).map_err(|source| refused("the filter as a whole", source))?;
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let program = Program::read(&bytes);
    match program.len() {
        0..=INSTRUCTIONS_MAX => Ok(program),
        instructions => Err(CompileError::TooLong(instructions)),
    }
}

fn refused(what: impl Into<String>, source: SeccompError) -> CompileError {
    CompileError::Refused { what: what.into(), source }
}

/// What libseccomp calls an action. Without an error number it is EPERM, as for runtimes.
fn action(action: Action, errno: Option<u32>) -> ScmpAction {
    let errno = errno.unwrap_or(1);
    match action {
        Action::Kill | Action::KillThread => ScmpAction::KillThread,
        Action::KillProcess => ScmpAction::KillProcess,
        Action::Trap => ScmpAction::Trap,
        Action::Errno => ScmpAction::Errno(errno.try_into().unwrap_or(i32::MAX)),
        Action::Trace => ScmpAction::Trace(errno.try_into().unwrap_or(u16::MAX)),
        Action::Allow => ScmpAction::Allow,
        Action::Log => ScmpAction::Log,
        Action::Notify => ScmpAction::Notify,
    }
}

fn condition(arg: &Condition) -> ScmpArgCompare {
    let (datum, operator) = match arg.op {
        Operator::NotEqual => (arg.value, ScmpCompareOp::NotEqual),
        Operator::Less => (arg.value, ScmpCompareOp::Less),
        Operator::LessOrEqual => (arg.value, ScmpCompareOp::LessOrEqual),
        Operator::Equal => (arg.value, ScmpCompareOp::Equal),
        Operator::GreaterOrEqual => (arg.value, ScmpCompareOp::GreaterEqual),
        Operator::Greater => (arg.value, ScmpCompareOp::Greater),
        Operator::MaskedEqual => (arg.value_two, ScmpCompareOp::MaskedEqual(arg.value)),
    };
    ScmpArgCompare::new(arg.index.into(), operator, datum)
}

/// What libseccomp calls an architecture; none for what every filter has anyway.
fn architecture(arch: Arch) -> Option<ScmpArch> {
    Some(match arch {
        Arch::Native => return None,
        Arch::X86 => ScmpArch::X86,
        Arch::X86_64 => ScmpArch::X8664,
        Arch::X32 => ScmpArch::X32,
        Arch::Arm => ScmpArch::Arm,
        Arch::Aarch64 => ScmpArch::Aarch64,
        Arch::Mips => ScmpArch::Mips,
        Arch::Mips64 => ScmpArch::Mips64,
        Arch::Mips64N32 => ScmpArch::Mips64N32,
        Arch::Mipsel => ScmpArch::Mipsel,
        Arch::Mipsel64 => ScmpArch::Mipsel64,
        Arch::Mipsel64N32 => ScmpArch::Mipsel64N32,
        Arch::Ppc => ScmpArch::Ppc,
        Arch::Ppc64 => ScmpArch::Ppc64,
        Arch::Ppc64Le => ScmpArch::Ppc64Le,
        Arch::S390 => ScmpArch::S390,
        Arch::S390X => ScmpArch::S390X,
        Arch::Parisc => ScmpArch::Parisc,
        Arch::Parisc64 => ScmpArch::Parisc64,
        Arch::Riscv64 => ScmpArch::Riscv64,
        Arch::Loongarch64 => ScmpArch::Loongarch64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(json: &str) -> Result<Program, CompileError> {
        compile(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_rule_makes_the_program_longer_and_an_unknown_name_does_not() {
        let bare = program(r#"{"defaultAction":"SCMP_ACT_ERRNO"}"#).unwrap().len();
        let rule = |name: &str| {
            format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["{name}"],"action":"SCMP_ACT_ALLOW"}}]}}"#
            )
        };
        assert!(program(&rule("getppid")).unwrap().len() > bare);
        assert_eq!(program(&rule("no_such_call")).unwrap().len(), bare);
    }

    #[test]
    fn a_program_that_the_kernel_would_not_take_is_refused() {
        // Different upper halves, so that no two comparisons can be shared.
        let conditions = (0..1200_u64)
            .map(|value| value << 32 | value)
            .map(|value| format!(
                r#"{{"names":["personality"],"action":"SCMP_ACT_ALLOW","args":[{{"index":0,"op":"SCMP_CMP_EQ","value":{value}}}]}}"#
            ))
            .collect::<Vec<_>>()
            .join(",");
        let error =
            check(&format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{conditions}]}}"#))
                .unwrap_err();
        assert!(matches!(error, CompileError::TooLong(4097..)), "{error}");
    }
}
