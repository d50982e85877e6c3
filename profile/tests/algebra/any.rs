//! Any seccomp profile and any call, from a universe so small that they meet.

use profile::{
    algebra::seccomp::{Abi, Call},
    kinds::{
        ProfileState,
        seccomp::{Action, Arch, Arg, ArgValue, Operator, SeccompProfileSpec, Syscall},
    },
};
use proptest::{prelude::*, sample::select};

/// System calls that every architecture has under its own number.
pub(crate) const NAMES: [&str; 4] = ["openat", "ioctl", "prctl", "getpid"];

pub(crate) const VALUES: [u64; 12] =
    [0, 1, 2, 3, 5, 8, u32::MAX as u64, 1 << 32, (1 << 32) + 1, 5 << 32, u64::MAX - 1, u64::MAX];

pub(crate) fn arg() -> impl Strategy<Value = Arg> {
    let value = || select(&VALUES[..]).prop_map(|value| Some(ArgValue(value)));
    (0..3_u8, select(Operator::ALL), value(), value()).prop_map(|(index, op, value, two)| {
        let value_two = two.filter(|_| op == Operator::MaskedEqual);
        Arg { index, op, value, value_two }
    })
}

fn rule(actions: &'static [Action]) -> impl Strategy<Value = Syscall> {
    (
        prop::sample::subsequence(&NAMES[..], 1..3),
        select(actions),
        prop::option::weighted(0.2, select(&[1_u32, 2, 38][..])),
        prop::collection::vec(arg(), 0..4),
    )
        .prop_map(|(names, action, errno_ret, args)| Syscall {
            names: names.into_iter().map(str::to_owned).collect(),
            action,
            errno_ret,
            args,
        })
}

/// Any profile.
pub(crate) fn profile() -> impl Strategy<Value = SeccompProfileSpec> {
    const FEW: &[Action] = &[Action::Allow, Action::Allow, Action::Allow, Action::Errno];
    let actions = prop_oneof![3 => Just(FEW), 1 => Just(Action::ALL)];
    actions.prop_flat_map(|actions| {
        let default = prop_oneof![
            3 => Just(Action::Errno),
            1 => Just(Action::Allow),
            1 => select(actions),
        ];
        (
            default,
            prop::collection::vec(rule(actions), 0..6),
            prop::sample::subsequence(&[Arch::X86_64, Arch::X86][..], 0..3),
        )
            .prop_map(|(default_action, syscalls, architectures)| SeccompProfileSpec {
                state: ProfileState::Enabled,
                disabled: None,
                default_action,
                base_profile_name: None,
                architectures,
                flags: Vec::new(),
                listener_path: None,
                listener_metadata: None,
                syscalls,
            })
    })
}

/// So many calls with values at a boundary or beside it, the same for the same seed.
pub(crate) fn calls(mut seed: u64, count: usize) -> impl Iterator<Item = Call> {
    // Not of proptest: hundreds of calls would be shrunk and printed with each failure.
    let mut draw = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    std::iter::repeat_with(move || {
        let abi = [Abi::Own, Abi::Other(Arch::X86)][draw(2)];
        let syscall = NAMES[draw(NAMES.len())].to_owned();
        let mut value = || VALUES[draw(VALUES.len())].wrapping_add([0, 0, 1, u64::MAX][draw(4)]);
        Call { abi, syscall, args: [value(), value(), value(), 0, 7, u64::MAX] }
    })
    .take(count)
}
