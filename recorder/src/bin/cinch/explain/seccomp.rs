//! What a seccomp profile lets happen. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use profile::{
    algebra::seccomp::{Case, Reach, Verdict},
    kinds::{
        SeccompProfileSpec,
        seccomp::{Action, Arch, Arg, Operator, Syscall},
    },
    syscall,
};
use recorder::{base::Base, learned};

use super::{
    Explanation, Group, PARTLY,
    group::{self, Group as Sort},
    risk::{CALLS, Level, Risk},
};

/// Flags of clone and unshare that make namespaces (`CLONE_NEW…` in the kernel's `linux/sched.h`, without `CLONE_NEWTIME`).
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Allowed,
    /// With some arguments.
    Partly,
    Refused,
}

pub(super) fn explanation(spec: &SeccompProfileSpec) -> Explanation {
    let open = reaches(spec.default_action);
    let names = names(spec);
    let fates: BTreeMap<_, _> = names.iter().map(|name| (*name, fate(spec, name))).collect();
    let count = |wanted| fates.values().filter(|fate| **fate == wanted).count();
    let (allowed, partly, refused) =
        (count(Fate::Allowed), count(Fate::Partly), count(Fate::Refused));
    let mut summary = Vec::new();
    let default = happens(Verdict::new(spec.default_action, None));
    if open {
        summary.push(format!(
            "Every system call is allowed but {refused}; {partly} are with some arguments only."
        ));
        if spec.default_action == Action::Log {
            summary.push(format!("A call that no rule names {default}."));
        }
    } else {
        summary.push(match partly {
            0 => format!("{allowed} system calls are allowed."),
            _ => format!(
                "{allowed} system calls are allowed, {partly} more with some arguments only."
            ),
        });
        summary.push(format!("Any other call {default}."));
    }
    summary.push(architectures(spec));
    let listed = |name: &str, fate: Fate| match (open, fate) {
        (false, Fate::Allowed) | (true, Fate::Refused) => Some(name.to_owned()),
        (_, Fate::Partly) => Some(format!("{name}{PARTLY}")),
        _ => None,
    };
    let mut groups = Vec::new();
    for sort in Sort::ALL {
        let of_it = fates.iter().filter(|(name, _)| Sort::of(name) == sort);
        let entries: Vec<_> = of_it.filter_map(|(name, fate)| listed(name, *fate)).collect();
        if !entries.is_empty() {
            let title = sort.title();
            let name = if open { format!("refused: {title}") } else { title.to_owned() };
            groups.push(Group { name, entries });
        }
    }
    groups.extend(of_runtimes(spec, &fates, open));
    Explanation {
        enforced: !open || refused + partly > 0,
        summary,
        risks: risks(spec, open),
        groups,
        warnings: warnings(spec, open),
        ..Explanation::default()
    }
}

/// What a runtime needs itself: it is no sign of what the workload does.
fn of_runtimes(
    spec: &SeccompProfileSpec,
    fates: &BTreeMap<&str, Fate>,
    open: bool,
) -> Option<Group> {
    if open {
        return None;
    }
    [Base::Runc, Base::Crun].into_iter().find_map(|base| {
        let needed: BTreeSet<_> = base.rules().into_iter().flat_map(|rule| rule.names).collect();
        let has = |name: &String| fates.get(&**name).is_some_and(|fate| *fate != Fate::Refused);
        // A recorder writes what only the runtime needs into rules of their own, behind the first.
        let own: BTreeSet<_> =
            spec.syscalls.first().map(|rule| &rule.names).into_iter().flatten().collect();
        let entries: Vec<_> = needed.iter().filter(|name| !own.contains(name)).cloned().collect();
        let all = needed.iter().filter(|name| is_native(name)).all(has);
        let more = fates.keys().any(|name| !needed.contains(*name));
        (all && more && !entries.is_empty() && spec.syscalls.len() > 1)
            .then(|| Group { name: format!("{} itself needs", base.as_str()), entries })
    })
}

/// Whether the machine at hand has a call.
fn is_native(name: &str) -> bool {
    syscall::number(learned::machine(), name).is_some()
}

fn architectures(spec: &SeccompProfileSpec) -> String {
    let named: Vec<_> = spec
        .architectures
        .iter()
        .filter(|arch| **arch != Arch::Native)
        .map(|arch| shown(*arch))
        .collect();
    match named.len() {
        0 => "It serves programs of the node's own architecture; whoever makes calls of another one is ended.".to_owned(),
        _ => format!("It serves programs of {}, and of the node's own architecture; whoever makes calls of another one is ended.", listed(&named)),
    }
}

fn shown(arch: Arch) -> String {
    match arch {
        Arch::X86 => "x86 (32 bits)".to_owned(),
        Arch::X86_64 => "x86_64".to_owned(),
        Arch::X32 => "x32 (64 bits with short pointers)".to_owned(),
        Arch::Arm => "arm (32 bits)".to_owned(),
        other => other.as_str().trim_start_matches("SCMP_ARCH_").to_ascii_lowercase(),
    }
}

fn listed(words: &[String]) -> String {
    match words {
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
        [] => String::new(),
    }
}

/// All names that matter: those of rules, and where the rest is allowed, those of the machine.
fn names(spec: &SeccompProfileSpec) -> BTreeSet<&str> {
    spec.syscalls.iter().flat_map(|rule| &rule.names).map(String::as_str).collect()
}

fn reaches(action: Action) -> bool {
    Verdict::new(action, None).reach() != Reach::Denied
}

fn fate(spec: &SeccompProfileSpec, name: &str) -> Fate {
    let of_it: Vec<_> = rules_of(spec, name).map(|(_, rule)| rule).collect();
    let always = of_it.iter().find(|rule| rule.args.is_empty());
    let otherwise = always.map_or(spec.default_action, |rule| rule.action);
    let conditional = of_it.iter().filter(|rule| !rule.args.is_empty());
    let differs = conditional.clone().any(|rule| reaches(rule.action) != reaches(otherwise));
    match (differs, reaches(otherwise)) {
        (true, _) => Fate::Partly,
        (false, true) => Fate::Allowed,
        (false, false) => Fate::Refused,
    }
}

fn rules_of<'s>(
    spec: &'s SeccompProfileSpec,
    name: &str,
) -> impl Iterator<Item = (usize, &'s Syscall)> {
    (1..).zip(&spec.syscalls).filter(move |(_, rule)| rule.names.iter().any(|known| known == name))
}

fn risks(spec: &SeccompProfileSpec, open: bool) -> Vec<Risk> {
    let mut risks = Vec::new();
    if open {
        risks.push(Risk::new(
            Level::High,
            "everything that no rule names",
            "calls that future kernels add are allowed, too",
        ));
    }
    for (level, calls, why) in CALLS {
        let what: Vec<_> = calls
            .iter()
            .filter(|call| is_native(call) || !open)
            .filter_map(|call| match fate(spec, call) {
                Fate::Allowed => Some((*call).to_owned()),
                Fate::Partly if only_without_namespaces(spec, call) || only_reads(spec, call) => {
                    None
                }
                Fate::Partly => Some(format!("{call}{PARTLY}")),
                Fate::Refused => None,
            })
            .collect();
        if !what.is_empty() {
            risks.push(Risk { level: *level, what, why: (*why).to_owned() });
        }
    }
    if ["clone", "clone3"].iter().any(|call| fate(spec, call) == Fate::Allowed) {
        let what = ["clone", "clone3"].into_iter().filter(|call| fate(spec, call) == Fate::Allowed);
        risks.push(Risk {
            level: Level::Medium,
            what: what.map(str::to_owned).collect(),
            why: "nearly every program needs one of them, but without conditions they make user namespaces as unshare does; \
                  allow clone with arg 0 & 0x7e020000 == 0 only, and answer clone3 with ENOSYS (38), if that matters"
                .to_owned(),
        });
    }
    if fate(spec, "socket") == Fate::Allowed {
        risks.push(Risk::new(
            Level::Medium,
            "socket",
            "of any family, of which some (vsock, alg, packet) reach beyond the container's network or into rare code of the kernel",
        ));
    }
    risks
}

/// Whether a call is allowed only with flags that make no namespaces.
fn only_without_namespaces(spec: &SeccompProfileSpec, call: &str) -> bool {
    rules_of(spec, call).filter(|(_, rule)| reaches(rule.action)).all(|(_, rule)| {
        rule.args.iter().any(|arg| {
            arg.op == Operator::MaskedEqual
                && arg.value.unwrap_or_default().0 & NEW_NAMESPACES == NEW_NAMESPACES
                && arg.value_two.unwrap_or_default().0 == 0
        })
    })
}

/// personality with certain values: those of programs that ask which one they have.
fn only_reads(spec: &SeccompProfileSpec, call: &str) -> bool {
    call == "personality" && rules_of(spec, call).all(|(_, rule)| !rule.args.is_empty())
}

fn warnings(spec: &SeccompProfileSpec, open: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let refused = |call: &str| fate(spec, call) == Fate::Refused;
    if refused("execve") {
        warnings.push("execve is refused: no container can start under it".to_owned());
    }
    if !open && refused("clone3") && !refused("clone") && answer_of(spec, "clone3") != Some(38) {
        warnings.push(
            "clone3 is refused, and not with ENOSYS (38): a C library that asks for it first takes no other answer as a reason \
             to use clone, and cannot make threads or processes"
                .to_owned(),
        );
    }
    if !open && refused("exit_group") {
        warnings.push("exit_group is refused: programs cannot end as they want to".to_owned());
    }
    warnings
}

/// The error number that a refused call fails with; none where it does something else.
fn answer_of(spec: &SeccompProfileSpec, call: &str) -> Option<u32> {
    let rule = rules_of(spec, call).map(|(_, rule)| rule).find(|rule| rule.args.is_empty());
    let (action, errno) =
        rule.map_or((spec.default_action, None), |rule| (rule.action, rule.errno_ret));
    (action == Action::Errno).then(|| errno.unwrap_or(1))
}

/// What becomes of a call, to be put behind its name.
fn happens(verdict: Verdict) -> String {
    match verdict.action() {
        Action::Allow => "is allowed".to_owned(),
        Action::Log => "is allowed, and logged".to_owned(),
        Action::Errno => format!("fails with {}", error(verdict.errno_ret().unwrap_or(1))),
        Action::Trace => "is left to a tracer, and fails where there is none".to_owned(),
        Action::Notify => "is left to the agent at listenerPath".to_owned(),
        Action::Trap => {
            "sends the program SIGSYS, which ends it unless it has a handler".to_owned()
        }
        Action::Kill | Action::KillThread => "ends the thread that made it".to_owned(),
        Action::KillProcess => "ends the program".to_owned(),
    }
}

fn error(number: u32) -> String {
    let known = [
        (1, "EPERM (operation not permitted)"),
        (2, "ENOENT (no such file)"),
        (13, "EACCES (permission denied)"),
        (22, "EINVAL (invalid argument)"),
        (38, "ENOSYS (not implemented)"),
        (95, "EOPNOTSUPP (not supported)"),
        (97, "EAFNOSUPPORT (no such family of addresses)"),
    ];
    let known = known.iter().find(|(of, _)| *of == number);
    known.map_or_else(|| format!("error {number}"), |(_, text)| (*text).to_owned())
}

/// Whether a call is allowed, and by which rules.
pub(super) fn answer(spec: &SeccompProfileSpec, call: &str) -> anyhow::Result<(bool, Vec<String>)> {
    if !group::is_call(call) {
        bail!("{call} is no system call that is known here{}", close(call));
    }
    let mut because = Vec::new();
    let rules: Vec<_> = rules_of(spec, call).collect();
    let always = rules.iter().any(|(_, rule)| rule.args.is_empty());
    for (number, rule) in &rules {
        let verdict = Verdict::new(rule.action, rule.errno_ret);
        let case = Case { conditions: Some(rule.args.clone()), verdict };
        let condition = case.to_string();
        let condition = condition.split_once(" if ").map(|(_, condition)| condition);
        let meaning: Vec<_> = rule.args.iter().filter_map(|arg| meaning(call, arg)).collect();
        let meaning =
            if meaning.is_empty() { String::new() } else { format!(" ({})", meaning.join(", ")) };
        let when =
            condition.map(|condition| format!(" if {condition}{meaning}")).unwrap_or_default();
        because.push(format!(
            "rule {number} of {}: it {}{when}",
            spec.syscalls.len(),
            happens(verdict)
        ));
    }
    if !always {
        let default = happens(Verdict::new(spec.default_action, None));
        because.push(match rules.len() {
            0 => format!("no rule names it: it {default}"),
            _ => format!("otherwise it {default}"),
        });
    }
    Ok((fate(spec, call) != Fate::Refused, because))
}

/// What a condition comes down to, where that is known.
fn meaning(call: &str, arg: &Arg) -> Option<&'static str> {
    let (value, two) = (arg.value.unwrap_or_default().0, arg.value_two.unwrap_or_default().0);
    match (call, arg.index, arg.op, value) {
        ("clone" | "unshare", 0, Operator::MaskedEqual, mask)
            if mask & NEW_NAMESPACES == NEW_NAMESPACES && two == 0 =>
        {
            Some("no new namespaces")
        }
        ("socket", 0, op, family) => {
            let name = match family {
                1 => "unix",
                2 => "IPv4",
                10 => "IPv6",
                16 => "netlink",
                17 => "packet",
                38 => "alg",
                40 => "vsock",
                _ => return None,
            };
            matches!(op, Operator::Equal | Operator::NotEqual).then_some(name)
        }
        ("personality", 0, Operator::Equal, 0xffff_ffff) => Some("asks for the present one"),
        _ => None,
    }
}

/// Names that were perhaps meant.
fn close(call: &str) -> String {
    let all: BTreeSet<_> = syscall::architectures().flat_map(syscall::names).collect();
    let near: Vec<_> = all
        .into_iter()
        .filter(|name| {
            call.len() > 2 && (name.contains(call) || call.contains(name) && name.len() > 2)
        })
        .take(5)
        .collect();
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
}
