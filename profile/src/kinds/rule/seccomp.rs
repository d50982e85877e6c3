//! Conditions on arguments, and references to the outside of a seccomp profile. Pure.

use std::collections::BTreeSet;

use super::{Rule, groups};

groups! {
    /// The conditions of one rule.
    ///
    /// Two on one argument would have to hold both (`EQ 1` and `EQ 2`: never), but runc and crun make a rule of its own
    /// of *every* condition then, so that any one suffices: whichever was meant, the filter would be another one.
    args(attach) = vec![Rule::new(
        "self.all(a, self.exists_one(b, b.index == a.index))",
        "two conditions of one rule contradict each other: they are on the same argument, and runtimes let either suffice \
         then; write a rule for each, with the same names and action",
        |value| {
            let mut seen = BTreeSet::new();
            value.as_array().into_iter().flatten().all(|arg| seen.insert(arg["index"].as_u64()))
        },
    )];
    /// One condition.
    arg(attach) = vec![Rule::new(
        "!has(self.valueTwo) || self.op == 'SCMP_CMP_MASKED_EQ' || string(self.valueTwo) == '0'",
        "valueTwo is for op SCMP_CMP_MASKED_EQ alone, which compares (argument AND value) with it: leave it out",
        |value| {
            value.get("valueTwo").is_none_or(|two| two == 0) || value["op"] == "SCMP_CMP_MASKED_EQ"
        },
    )];
    /// A 64-bit value.
    arg_value(attach) = vec![Rule::new(
        "type(self) == int ? self >= 0 : type(self) == string && (self.matches(r'^0[xX][0-9a-fA-F]{1,16}$') || \
         self.matches(r'^[0-9]{1,19}$') || (self.matches(r'^[0-9]{20}$') && self <= '18446744073709551615'))",
        "must be a 64-bit unsigned value: a number up to 9223372036854775807, or a string such as \
         '0xffffffffffffffff' or '18446744073709551615'",
        // The type holds nothing else.
        |_| true,
    )];
    base_profile(attach) = vec![Rule::pattern(
        r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|oci://[A-Za-z0-9][A-Za-z0-9._:/@-]*)$",
        "baseProfileName must be the name of a SeccompProfile, or oci:// and an image reference, such as \
         oci://ghcr.io/acme/profiles/runc:v1.1.5",
    )];
    listener_path(attach) = vec![Rule::pattern(
        r"^/var/run/security-profiles-operator/[a-zA-Z0-9_\-\.]+$",
        "listenerPath must be a socket in /var/run/security-profiles-operator, such as \
         /var/run/security-profiles-operator/agent.sock",
    )];
}
