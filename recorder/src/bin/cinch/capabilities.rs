//! Which capabilities this process lacks, by name.

/// What recording may need, with their numbers in `linux/capability.h`.
const NAMES: [(&str, u32); 8] = [
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_SYSLOG", 34),
    ("CAP_AUDIT_READ", 37),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// Those of these that this process does not have.
pub(crate) fn missing<'a>(needed: &[&'a str]) -> Vec<&'a str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    missing_of(&status, needed)
}

/// What to say when something was refused for which these are needed.
pub(crate) fn advice(needed: &[&str]) -> String {
    let missing = missing(needed);
    let (missing, all) = (missing.join(" and "), needed.join(" and "));
    if missing.is_empty() {
        // Such as a lockdown, or a container's own filter.
        format!("it has {all}, and something else on this machine forbids it")
    } else {
        format!("this process lacks {missing}: run it as root, or give it {all}")
    }
}

fn missing_of<'a>(status: &str, needed: &[&'a str]) -> Vec<&'a str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        // What cannot be read is not said to be missing.
        .unwrap_or(u64::MAX);
    let number = |name: &str| NAMES.iter().find(|(known, _)| *known == name).map(|(_, bit)| *bit);
    needed
        .iter()
        .copied()
        .filter(|name| number(name).is_some_and(|bit| effective & 1 << bit == 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        let status = |set: u64| format!("Name:\tx\nCapEff:\t{set:016x}\n");
        let needed = ["CAP_BPF", "CAP_PERFMON"];
        assert_eq!(missing_of(&status(0), &needed), needed);
        assert_eq!(missing_of(&status(1 << 39), &needed), ["CAP_PERFMON"]);
        assert_eq!(missing_of(&status(1 << 38 | 1 << 39), &needed), [""; 0]);
        assert_eq!(missing_of("", &needed), [""; 0]);
    }
}
