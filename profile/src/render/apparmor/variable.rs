//! The variables that a profile may use. Pure.
//!
//! They mean what the distribution's `tunables/global` says, but are defined in the text itself.

/// Numbers from 1 to 9999999, which the id of a process never leaves.
const PID: &str = "[1-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}";

/// Numbers from 0 to 9999999999, which the id of a user never leaves.
const UID: &str =
    "{0,[1-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}}}}}";

/// Each with the values that it stands for.
const VARIABLES: [(&str, &str); 11] = [
    ("HOME", "/home/*/ /root/"),
    ("HOMEDIRS", "/home/"),
    ("PROC", "/proc/"),
    ("multiarch", "*-linux-gnu*"),
    ("pid", PID),
    ("pids", PID),
    ("run", "/run/ /var/run/"),
    ("sys", "/sys/"),
    ("tid", PID),
    ("uid", UID),
    ("uids", UID),
];

/// What the parser itself defines.
const BUILT_IN: &str = "profile_name";

/// Whether a profile may use a variable.
pub(super) fn is_known(name: &str) -> bool {
    name == BUILT_IN || VARIABLES.iter().any(|(known, _)| *known == name)
}

/// The values of a variable, with a space between them.
pub(crate) fn values(name: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, values)| *values)
}

/// All of them, as they are written in a rule.
pub(super) fn known() -> String {
    let names = VARIABLES.iter().map(|(name, _)| *name).chain([BUILT_IN]);
    names.map(|name| format!("@{{{name}}}")).collect::<Vec<_>>().join(", ")
}

/// What stands before a profile, so that its body may use them.
pub(super) fn preamble(body: &str) -> String {
    // Abstractions use more of them than are known here, and come with their definitions.
    let includes = |line: &str| line.trim_start().trim_start_matches('#').starts_with("include");
    if body.lines().any(includes) {
        return "include <tunables/global>\n".to_owned();
    }
    let used = VARIABLES.iter().filter(|(name, _)| body.contains(&format!("@{{{name}}}")));
    used.map(|(name, values)| ["@{", name, "}=", values, "\n"].concat()).collect()
}
