//! The variables that a profile may use. Pure.
//!
//! They mean what the distribution's `tunables/global` says, but are defined in the text itself.

/// A number from 1 to 9999999, which the id of a process never leaves.
const NUMBER: &str = "[1-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}";

/// Each with the values that it stands for; one defined by another comes after it.
const VARIABLES: [(&str, &str); 11] = [
    ("PROC", "/proc/"),
    ("sys", "/sys/"),
    ("run", "/run/ /var/run/"),
    ("HOMEDIRS", "/home/"),
    ("HOME", "/home/*/ /root/"),
    ("multiarch", "*-linux-gnu*"),
    ("pid", NUMBER),
    ("pids", NUMBER),
    ("tid", NUMBER),
    ("uid", "{0,[1-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}}}}}"),
    ("uuid", "[0-9a-fA-F]*-[0-9a-fA-F]*-[0-9a-fA-F]*-[0-9a-fA-F]*-[0-9a-fA-F]*"),
];

/// What the parser itself defines.
const BUILT_IN: &str = "profile_name";

/// Whether a profile may use a variable.
pub(super) fn is_known(name: &str) -> bool {
    name == BUILT_IN || VARIABLES.iter().any(|(known, _)| *known == name)
}

/// All of them, as they are written in a rule.
pub(super) fn known() -> String {
    let names = VARIABLES.iter().map(|(name, _)| *name).chain([BUILT_IN]);
    names.map(|name| format!("@{{{name}}}")).collect::<Vec<_>>().join(", ")
}

/// The definitions of those that a text uses.
pub(super) fn definitions(text: &str) -> impl Iterator<Item = String> {
    let used = VARIABLES.iter().filter(|(name, _)| text.contains(&format!("@{{{name}}}")));
    used.map(|(name, values)| format!("@{{{name}}}={values}"))
}
