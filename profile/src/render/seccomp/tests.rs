//! Filters, by what they are rendered from.

use insta::assert_snapshot;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::kinds::seccomp::{ArgValue, Syscall};

fn spec(yaml: &str) -> SeccompProfileSpec {
    serde_saphyr::from_str(yaml).unwrap()
}

/// Renders the first of some profiles.
fn stacked(profiles: &[(&str, &str)]) -> Result<Filter, SeccompError> {
    let find = |name: &str| {
        let (_, yaml) = profiles.iter().find(|(known, _)| *known == name)?;
        Some(Arc::new(spec(yaml)))
    };
    let (name, yaml) = profiles[0];
    render(name, &spec(yaml), &find)
}

/// The rules of a profile for system calls, a line each.
fn rules(filter: &Filter) -> String {
    let condition = |arg: &Condition| format!("{} {} {}", arg.index, arg.op, arg.value);
    let line = |rule: &Rule| {
        let args: Vec<_> = rule.args.iter().map(condition).collect();
        let errno = rule.errno_ret.map(|errno| format!(" {errno}")).unwrap_or_default();
        format!("{}{errno}: {} [{}]", rule.action, rule.names.join(" "), args.join(", "))
    };
    filter.syscalls.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn own(syscalls: &str) -> Result<Filter, SeccompError> {
    stacked(&[("p", &format!("{{ defaultAction: SCMP_ACT_KILL, syscalls: [{syscalls}] }}"))])
}

#[test]
fn a_profile_is_rendered_as_runtimes_read_it() {
    let yaml = "
        defaultAction: SCMP_ACT_ERRNO
        architectures: [SCMP_ARCH_X32, SCMP_ARCH_NATIVE, SCMP_ARCH_X86_64, SCMP_ARCH_X32]
        flags: [SECCOMP_FILTER_FLAG_LOG]
        listenerPath: /var/run/security-profiles-operator/agent.sock
        listenerMetadata: shop
        syscalls:
        - { names: [write, read], action: SCMP_ACT_ALLOW }
        - { names: [mkdir], action: SCMP_ACT_NOTIFY }
        - names: [socket]
          action: SCMP_ACT_ALLOW
          args:
          - { index: 1, op: SCMP_CMP_MASKED_EQ, value: '0xffffffffffffffff', valueTwo: 3 }
          - { index: 0, op: SCMP_CMP_NE }
        - { names: [acct, read], action: SCMP_ACT_ALLOW, errnoRet: 1 }
        - { names: [bpf], action: SCMP_ACT_ERRNO, errnoRet: 38 }";
    assert_snapshot!(stacked(&[("p", yaml)]).unwrap().to_json(), @r#"
    {
      "defaultAction": "SCMP_ACT_ERRNO",
      "architectures": [
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_X32"
      ],
      "flags": [
        "SECCOMP_FILTER_FLAG_LOG"
      ],
      "listenerPath": "/var/run/security-profiles-operator/agent.sock",
      "listenerMetadata": "shop",
      "syscalls": [
        {
          "names": [
            "bpf"
          ],
          "action": "SCMP_ACT_ERRNO",
          "errnoRet": 38
        },
        {
          "names": [
            "acct",
            "read",
            "write"
          ],
          "action": "SCMP_ACT_ALLOW"
        },
        {
          "names": [
            "socket"
          ],
          "action": "SCMP_ACT_ALLOW",
          "args": [
            {
              "index": 0,
              "value": 0,
              "op": "SCMP_CMP_NE"
            },
            {
              "index": 1,
              "value": 18446744073709551615,
              "valueTwo": 3,
              "op": "SCMP_CMP_MASKED_EQ"
            }
          ]
        },
        {
          "names": [
            "mkdir"
          ],
          "action": "SCMP_ACT_NOTIFY"
        }
      ]
    }
    "#);
}

#[test]
fn a_manifest_of_the_wild_is_rendered() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/manifests/seccompprofile-v1beta1.yaml"
    );
    let profile: SeccompProfile =
        serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let filter = render("p", &profile.spec, &|_| None).unwrap();
    let counts: Vec<_> =
        filter.syscalls.iter().map(|rule| (rule.action, rule.names.len())).collect();
    assert_eq!(counts, [(Action::Errno, 50), (Action::Allow, 4)]);
}

#[test]
fn the_rules_of_a_base_are_added_and_the_default_stays() {
    let filter = stacked(&[
        (
            "p",
            "{ defaultAction: SCMP_ACT_ERRNO, baseProfileName: runc, architectures: [SCMP_ARCH_X86_64],
               syscalls: [{ names: [write], action: SCMP_ACT_ALLOW }] }",
        ),
        (
            "runc",
            "{ defaultAction: SCMP_ACT_KILL, state: Disabled, baseProfileName: all, flags: [SECCOMP_FILTER_FLAG_LOG],
               architectures: [SCMP_ARCH_X86], syscalls: [{ names: [execve, write], action: SCMP_ACT_ALLOW }] }",
        ),
        ("all", "{ defaultAction: SCMP_ACT_LOG, syscalls: [{ names: [exit], action: SCMP_ACT_ALLOW }] }"),
    ])
    .unwrap();
    assert_eq!(rules(&filter), "SCMP_ACT_ALLOW: execve exit write []");
    assert_eq!(filter.default_action, Action::Errno);
    assert_eq!(filter.flags, [Flag::Log]);
    assert_eq!(
        filter.architectures,
        [crate::kinds::seccomp::Arch::X86, crate::kinds::seccomp::Arch::X86_64]
    );
}

/// What a profile and its base make together.
fn both(own: &str, base: &str) -> Result<String, String> {
    let of = |syscalls: &str| format!("{{ defaultAction: SCMP_ACT_KILL, syscalls: [{syscalls}]");
    let own = of(own) + ", baseProfileName: b }";
    let base = of(base) + " }";
    let filter = stacked(&[("p", &own), ("b", &base)]).map_err(|error| error.to_string())?;
    Ok(rules(&filter))
}

#[test]
fn a_profiles_own_rule_wins_over_that_of_its_base() {
    let allow = "{ names: [mount, read], action: SCMP_ACT_ALLOW }";
    let refuse = "{ names: [mount], action: SCMP_ACT_ERRNO, errnoRet: 38 }";
    assert_snapshot!(both(refuse, allow).unwrap(), @r"
    SCMP_ACT_ERRNO 38: mount []
    SCMP_ACT_ALLOW: read []
    ");
    assert_snapshot!(both(allow, refuse).unwrap(), @"SCMP_ACT_ALLOW: mount read []");
}

const VSOCK: &str = "args: [{ index: 0, op: SCMP_CMP_EQ, value: 40 }]";

#[test]
fn a_rule_for_some_arguments_holds_beside_one_for_all() {
    let refuse = format!("{{ names: [socket], action: SCMP_ACT_ERRNO, {VSOCK} }}");
    let allow = "{ names: [socket, read], action: SCMP_ACT_ALLOW }";
    assert_snapshot!(both(&refuse, allow).unwrap(), @r"
    SCMP_ACT_ERRNO: socket [0 SCMP_CMP_EQ 40]
    SCMP_ACT_ALLOW: read []
    SCMP_ACT_ALLOW: socket [0 SCMP_CMP_NE 40]
    ");
    assert_snapshot!(both(allow, &refuse).unwrap(), @"SCMP_ACT_ALLOW: read socket []");
    assert_snapshot!(rules(&own(&format!("{refuse}, {allow}")).unwrap()), @r"
    SCMP_ACT_ERRNO: socket [0 SCMP_CMP_EQ 40]
    SCMP_ACT_ALLOW: read []
    SCMP_ACT_ALLOW: socket [0 SCMP_CMP_NE 40]
    ");
}

#[test]
fn rules_for_different_arguments_stay_apart() {
    let other = "{ names: [socket], action: SCMP_ACT_ALLOW, args: [{ index: 0, op: SCMP_CMP_EQ, value: 2 }] }";
    let vsock = format!("{{ names: [socket], action: SCMP_ACT_ALLOW, {VSOCK} }}");
    assert_snapshot!(both(other, &vsock).unwrap(), @r"
    SCMP_ACT_ALLOW: socket [0 SCMP_CMP_EQ 2]
    SCMP_ACT_ALLOW: socket [0 SCMP_CMP_EQ 40]
    ");
}

#[test]
fn a_rule_for_all_arguments_makes_the_same_for_some_needless() {
    let some = format!("{{ names: [socket], action: SCMP_ACT_ALLOW, {VSOCK} }}");
    assert_snapshot!(both(&some, "{ names: [socket], action: SCMP_ACT_ALLOW }").unwrap(), @"SCMP_ACT_ALLOW: socket []");
}

#[test]
fn a_rule_that_runtimes_would_not_heed_is_refused() {
    let two = "
        { names: [socket], action: SCMP_ACT_ERRNO, args: [
            { index: 0, op: SCMP_CMP_EQ, value: 2 }, { index: 1, op: SCMP_CMP_EQ, value: 3 }] }";
    assert_snapshot!(both(two, "{ names: [socket], action: SCMP_ACT_ALLOW }").unwrap_err(), @"a rule for socket says SCMP_ACT_ERRNO for some arguments and another SCMP_ACT_ALLOW for all: runtimes would heed the second alone; write SCMP_ACT_ALLOW for the other arguments only");
    let masked = "
        { names: [clone], action: SCMP_ACT_ERRNO, args: [{ index: 0, op: SCMP_CMP_MASKED_EQ, value: 4 }] }";
    assert!(both(masked, "{ names: [clone], action: SCMP_ACT_ALLOW }").is_err());
    let twice =
        "{ names: [bpf], action: SCMP_ACT_ERRNO }, { names: [bpf], action: SCMP_ACT_ALLOW }";
    assert_snapshot!(own(twice).unwrap_err(), @"two rules for bpf contradict each other: SCMP_ACT_ERRNO and SCMP_ACT_ALLOW for the same arguments; leave one of them out");
    let number = "{ names: [bpf], action: SCMP_ACT_ERRNO }, { names: [bpf], action: SCMP_ACT_ERRNO, errnoRet: 1 }";
    assert_eq!(rules(&own(number).unwrap()), "SCMP_ACT_ERRNO: bpf []");
}

#[test]
fn a_circle_of_bases_is_named() {
    let on = |base: &str| format!("{{ defaultAction: SCMP_ACT_LOG, baseProfileName: {base} }}");
    let error = stacked(&[("a", &on("b")), ("b", &on("c")), ("c", &on("b"))]).unwrap_err();
    assert_snapshot!(error, @"seccomp profiles build on one another in a circle: b -> c -> b");
    let error = stacked(&[("a", &on("a"))]).unwrap_err();
    assert_snapshot!(error, @"seccomp profiles build on one another in a circle: a -> a");
}

#[test]
fn a_base_that_is_not_there_is_named() {
    let on = |base: &str| format!("{{ defaultAction: SCMP_ACT_LOG, baseProfileName: '{base}' }}");
    assert_snapshot!(stacked(&[("a", &on("b")), ("b", &on("c"))]).unwrap_err(), @"the seccomp profile b builds on c, which does not exist");
    assert_snapshot!(stacked(&[("a", &on("oci://ghcr.io/acme/runc:v1"))]).unwrap_err(), @"the seccomp profile a builds on oci://ghcr.io/acme/runc:v1, which nodes do not fetch: create it as a SeccompProfile in the cluster and write that one's name as baseProfileName");
}

#[test]
fn profiles_stand_on_fifteen_others_at_most() {
    let chain = |length: usize| {
        let find = move |name: &str| {
            let n: usize = name.strip_prefix('p')?.parse().ok()?;
            let below = n.checked_sub(1).map(|n| format!(", baseProfileName: p{n}"));
            let below = below.unwrap_or_default();
            Some(Arc::new(spec(&format!("{{ defaultAction: SCMP_ACT_LOG{below} }}"))))
        };
        let name = format!("p{length}");
        bases(&name, &find(&name).unwrap(), &find)
    };
    let names = chain(15).unwrap();
    assert_eq!((names.len(), names[0].as_str(), names[14].as_str()), (15, "p14", "p0"));
    assert_eq!(chain(16), Err(SeccompError::Deep("p16".to_owned())));
}

const LISTENER: &str = "listenerPath: /var/run/security-profiles-operator/a.sock";

#[rstest]
#[case(
    "defaultAction: SCMP_ACT_NOTIFY, listenerPath: /var/run/security-profiles-operator/a.sock",
    "cannot be the default"
)]
#[case(
    "defaultAction: SCMP_ACT_LOG, syscalls: [{ names: [mkdir], action: SCMP_ACT_NOTIFY }]",
    "needs listenerPath"
)]
#[case("defaultAction: SCMP_ACT_LOG, listenerMetadata: x", "listenerMetadata is passed")]
#[case(
    "defaultAction: SCMP_ACT_LOG, flags: [SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV]",
    "FLAG_WAIT_KILLABLE_RECV is for filters with"
)]
#[case(
    "defaultAction: SCMP_ACT_LOG, architectures: [SCMP_ARCH_X86_64, SCMP_ARCH_S390X]",
    "SCMP_ARCH_X86_64 and SCMP_ARCH_S390X"
)]
#[case(
    "defaultAction: SCMP_ACT_LOG, syscalls: [{ names: ['a b'], action: SCMP_ACT_LOG }]",
    "spec.syscalls[0].names[0]"
)]
fn what_runtimes_refuse_is_refused(#[case] fields: &str, #[case] message: &str) {
    let error = stacked(&[("p", &format!("{{ {fields} }}"))]).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[rstest]
#[case("[write, mkdir]", "", Err(SeccompError::NotifyWrite))]
#[case("[mkdir]", "SECCOMP_FILTER_FLAG_TSYNC", Err(SeccompError::FlagWithNotify(Flag::Tsync)))]
#[case("[mkdir]", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", Ok(()))]
fn an_agent_decides_on_calls_that_the_runtime_does_not_need(
    #[case] names: &str,
    #[case] flags: &str,
    #[case] expected: Result<(), SeccompError>,
) {
    let yaml = format!(
        "{{ defaultAction: SCMP_ACT_LOG, {LISTENER}, flags: [{flags}],
            syscalls: [{{ names: {names}, action: SCMP_ACT_NOTIFY }}] }}"
    );
    assert_eq!(stacked(&[("p", &yaml)]).map(drop), expected);
}

#[test]
fn a_base_that_is_wrong_is_named() {
    let error = stacked(&[
        ("p", "{ defaultAction: SCMP_ACT_LOG, baseProfileName: b }"),
        ("b", "{ defaultAction: SCMP_ACT_LOG, syscalls: [{ names: [], action: SCMP_ACT_LOG }] }"),
    ]);
    assert_snapshot!(error.unwrap_err(), @"the seccomp profile b is not valid: spec.syscalls[0].names: must have 1 or more items");
}

fn action() -> impl Strategy<Value = Action> {
    let all = Action::ALL.iter().copied().filter(|action| *action != Action::Notify);
    prop::sample::select(all.collect::<Vec<_>>())
}

fn syscall() -> impl Strategy<Value = Syscall> {
    let value = prop::option::of(any::<u64>().prop_map(ArgValue));
    let arg =
        (prop::sample::select(Operator::ALL), value.clone(), value).prop_map(|(op, value, two)| {
            crate::kinds::seccomp::Arg {
                index: 0,
                op,
                value,
                value_two: two.filter(|_| op == Operator::MaskedEqual),
            }
        });
    let args = prop::collection::vec(arg, 0..6).prop_map(|mut args| {
        (0..).zip(&mut args).for_each(|(index, arg)| arg.index = index);
        args
    });
    let names = prop::collection::btree_set("[a-c]{1,2}", 1..4);
    (names, action(), prop::option::of(0..=65535_u32), args).prop_map(
        |(names, action, errno_ret, args)| Syscall {
            names: names.into_iter().collect(),
            action,
            errno_ret,
            args,
        },
    )
}

/// Rules that meet often: of few names, and with one condition or none.
fn crowded() -> impl Strategy<Value = Vec<Syscall>> {
    let few = syscall().prop_map(|mut rule| {
        rule.args.truncate(1);
        rule.args
            .iter_mut()
            .for_each(|arg| arg.value = arg.value.map(|value| ArgValue(value.0 % 2)));
        rule.errno_ret = rule.errno_ret.map(|errno| errno % 2);
        rule
    });
    prop::collection::vec(few, 0..6)
}

proptest! {
    #[test]
    fn what_is_rendered_is_read_back(
        default_action in action(),
        syscalls in prop::collection::vec(syscall(), 0..8),
        architectures in prop::collection::vec(prop::sample::select(crate::kinds::seccomp::Arch::ALL), 0..3),
    ) {
        let spec = SeccompProfileSpec { default_action, architectures, syscalls, ..spec("{ defaultAction: SCMP_ACT_LOG }") };
        if let Ok(filter) = render("p", &spec, &|_| None) {
            let json = filter.to_json();
            prop_assert_eq!(&serde_json::from_str::<Filter>(&json).unwrap(), &filter);
            prop_assert!(!json.contains("null"));
            // Every rule is there with its arguments, and nothing else is.
            for rule in &spec.syscalls {
                for name in &rule.names {
                    let has = |there: &Rule| there.names.contains(name);
                    prop_assert!(filter.syscalls.iter().any(has), "{} in {}", name, json);
                }
            }
            for name in filter.syscalls.iter().flat_map(|rule| &rule.names) {
                prop_assert!(spec.syscalls.iter().any(|rule| rule.names.contains(name)));
            }
        }
    }

    #[test]
    fn the_order_of_rules_does_not_matter(mut syscalls in crowded()) {
        let with = |syscalls: &[Syscall]| {
            let spec = SeccompProfileSpec { syscalls: syscalls.to_vec(), ..spec("{ defaultAction: SCMP_ACT_LOG }") };
            render("p", &spec, &|_| None).ok()
        };
        let before = with(&syscalls);
        syscalls.reverse();
        prop_assert_eq!(with(&syscalls), before);
    }
}
