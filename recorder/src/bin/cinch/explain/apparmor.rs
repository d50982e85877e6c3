//! What an AppArmor profile lets happen. Pure.

use std::collections::BTreeMap;

use anyhow::bail;
use profile::{
    algebra::apparmor::{Permission, matches, meet, permissions},
    kinds::{
        AppArmorProfileSpec,
        apparmor::{Abstract, AppArmorMode, MountRule, PtraceRule, SignalRule, UnixRule},
    },
    render,
};

use super::{
    Explanation, Group,
    risk::{CAPABILITIES, Level, Risk},
};

/// Places of which writing matters, and why.
const WRITTEN: &[(&str, &str)] = &[
    ("/etc/passwd", "names the users"),
    ("/etc/shadow", "holds the passwords"),
    ("/etc/ld.so.preload", "names code that every program loads"),
    ("/usr/bin/x", "holds programs"),
    ("/usr/lib/x", "holds libraries"),
    ("/proc/sys/kernel/core_pattern", "names a program that the host starts"),
    ("/proc/sysrq-trigger", "commands the host's kernel"),
    ("/sys/kernel/x", "sets the host's kernel"),
    ("/dev/mem", "is the memory of the host"),
    ("/dev/sda", "is a disk of the host"),
    ("/var/run/docker.sock", "commands the container runtime: as good as root on the host"),
    ("/run/docker.sock", "commands the container runtime: as good as root on the host"),
    (
        "/run/containerd/containerd.sock",
        "commands the container runtime: as good as root on the host",
    ),
    ("/run/crio/crio.sock", "commands the container runtime: as good as root on the host"),
];

pub(super) fn explanation(spec: &AppArmorProfileSpec) -> Explanation {
    let complains = spec.effective_mode() == AppArmorMode::Complain;
    let mut summary = Vec::new();
    if complains {
        summary.push(
            "It only complains: what it does not allow happens, and is logged. What it denies outright is refused even so."
                .to_owned(),
        );
    }
    if let Some(policy) = &spec.policy {
        let rules = policy.lines().filter(|line| line.trim_end().ends_with(',')).count();
        summary.push(format!(
            "It is written in AppArmor's own language, about {rules} rules, which are not explained here."
        ));
        return Explanation { enforced: !complains, summary, ..Explanation::default() };
    }
    summary.push(
        "What is not listed is refused, but for what any program needs to start: libraries below /lib and /usr/lib, devices \
         such as /dev/null, signals among its own processes and from the runtime."
            .to_owned(),
    );
    let all = permissions(spec);
    let rules = spec.abstract_.clone().unwrap_or_default();
    let mut groups = files(&all, &rules);
    groups.extend(others(&rules));
    Explanation {
        enforced: !complains,
        summary,
        risks: risks(&all, &rules),
        groups,
        ..Explanation::default()
    }
}

fn files(all: &std::collections::BTreeSet<Permission>, rules: &Abstract) -> Vec<Group> {
    let list = |name: &str, pick: &dyn Fn(&Permission) -> Option<&String>| {
        let entries: Vec<_> = all.iter().filter_map(pick).cloned().collect();
        (!entries.is_empty()).then(|| Group { name: name.to_owned(), entries })
    };
    let denied: Vec<_> =
        rules.filesystem.iter().flat_map(|files| &files.denied_paths).cloned().collect();
    let denied = (!denied.is_empty())
        .then(|| Group { name: "never, whatever is listed".to_owned(), entries: denied });
    [
        list("runs", &|permission| match permission {
            Permission::Execute(path) => Some(path),
            _ => None,
        }),
        list("loads as a library", &|permission| match permission {
            Permission::Load(path) => Some(path),
            _ => None,
        }),
        list("writes", &|permission| match permission {
            Permission::Write(path) => Some(path),
            _ => None,
        }),
        list("reads", &|permission| match permission {
            Permission::Read(path) => Some(path),
            _ => None,
        }),
        denied,
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn others(rules: &Abstract) -> Vec<Group> {
    let group = |name: &str, entries: Vec<String>| {
        (!entries.is_empty()).then(|| Group { name: name.to_owned(), entries })
    };
    let network = rules.network.clone().unwrap_or_default();
    let protocols = network.allowed_protocols.unwrap_or_default();
    let sockets =
        [(protocols.allow_tcp, "TCP"), (protocols.allow_udp, "UDP"), (network.allow_raw, "raw")];
    let sockets =
        sockets.iter().filter(|(is, _)| *is == Some(true)).map(|(_, name)| (*name).to_owned());
    let capabilities = rules.capability.iter().flat_map(|rules| &rules.allowed_capabilities);
    [
        group("network", sockets.collect()),
        group("capabilities", capabilities.map(|name| plain(name)).collect()),
        group("mounts", rules.mount.iter().map(mount).collect()),
        group("traces", rules.ptrace.iter().map(ptrace).collect()),
        group("signals", rules.signal.iter().map(signal).collect()),
        group("abstract unix sockets", rules.unix.iter().map(unix).collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn plain(capability: &str) -> String {
    let name = capability.to_ascii_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}

fn mount(rule: &MountRule) -> String {
    let mut words = vec![rule.operation.as_str().to_ascii_lowercase()];
    words.extend(rule.fs_type.iter().map(|kind| format!("a {kind}")));
    words.extend(rule.source.iter().map(|source| format!("from {source}")));
    words.push(
        rule.target.as_ref().map_or_else(|| "anywhere".to_owned(), |target| format!("at {target}")),
    );
    if !rule.options.is_empty() {
        words.push(format!("with {}", rule.options.join(", ")));
    }
    words.join(" ")
}

fn whom(peer: Option<&str>) -> String {
    match peer {
        None | Some("@self") => "processes of the same profile".to_owned(),
        Some("**") => "any process that it reaches".to_owned(),
        Some(peer) => format!("processes of {peer}"),
    }
}

fn ptrace(rule: &PtraceRule) -> String {
    let access: Vec<_> =
        rule.access.iter().map(|access| access.as_str().to_ascii_lowercase()).collect();
    format!("{} {}", access.join(", "), whom(rule.peer.as_deref()))
}

fn signal(rule: &SignalRule) -> String {
    let access: Vec<_> =
        rule.access.iter().map(|access| access.as_str().to_ascii_lowercase()).collect();
    let which =
        if rule.signals.is_empty() { "any signal".to_owned() } else { rule.signals.join(", ") };
    format!("{} {which}: {}", access.join(", "), whom(rule.peer.as_deref()))
}

fn unix(rule: &UnixRule) -> String {
    let kind = rule.socket_type.map_or("any type", |kind| kind.as_str());
    format!("{kind} {}", rule.address.as_deref().unwrap_or("of any address"))
}

fn risks(all: &std::collections::BTreeSet<Permission>, rules: &Abstract) -> Vec<Risk> {
    let mut risks = Vec::new();
    for permission in all {
        match permission {
            Permission::Capability(name) => {
                let known = CAPABILITIES.iter().find(|(_, known, _)| known == name);
                risks.extend(known.map(|(level, name, why)| Risk::new(*level, *name, *why)));
            }
            Permission::Write(glob) => {
                let reasons: BTreeMap<_, _> = WRITTEN
                    .iter()
                    .filter(|(path, _)| matches(glob, path) == Some(true))
                    .map(|(path, why)| (*why, *path))
                    .collect();
                for (why, path) in reasons {
                    let folder = path.trim_end_matches("/x");
                    risks.push(Risk::new(Level::High, format!("write {glob}"), format!("{folder} {why}")));
                }
                if matches(glob, "/x/y") == Some(true) {
                    risks.push(Risk::new(Level::High, format!("write {glob}"), "nearly every file"));
                }
            }
            Permission::Execute(glob) if matches(glob, "/x/y") == Some(true) => {
                risks.push(Risk::new(Level::High, format!("run {glob}"), "nearly every file, what was just written too"));
            }
            Permission::Raw => risks.push(Risk::new(
                Level::Medium,
                "raw sockets",
                "forges packets, and listens to those of others in the same network (with CAP_NET_RAW)",
            )),
            _ => {}
        }
    }
    for (run, written) in run_what_is_written(all) {
        risks.push(Risk::new(
            Level::High,
            format!("run {run}"),
            format!("may write the same files ({written}): whatever gets there runs"),
        ));
    }
    if !rules.mount.is_empty() {
        risks.push(Risk::new(
            Level::High,
            "mounts",
            "a rule about paths ends where something else is mounted there",
        ));
    }
    let outside = |peer: &Option<String>| peer.as_deref().is_some_and(|peer| peer != "@self");
    if rules.ptrace.iter().any(|rule| outside(&rule.peer)) {
        risks.push(Risk::new(
            Level::High,
            "traces",
            "reads or changes processes of other profiles",
        ));
    }
    if rules.signal.iter().any(|rule| outside(&rule.peer)) {
        risks.push(Risk::new(
            Level::Medium,
            "signals",
            "ends or disturbs processes of other profiles, where it sees them",
        ));
    }
    risks
}

/// Globs of programs and of files that are written, which have a file in common.
fn run_what_is_written(all: &std::collections::BTreeSet<Permission>) -> Vec<(&String, &String)> {
    /// Comparing each with each takes long where there are more.
    const MOST: usize = 20_000;
    let run = all.iter().filter_map(|permission| match permission {
        Permission::Execute(path) | Permission::Load(path) => Some(path),
        _ => None,
    });
    let written = || {
        all.iter().filter_map(|permission| match permission {
            Permission::Write(path) => Some(path),
            _ => None,
        })
    };
    let pairs = run.flat_map(|run| written().map(move |written| (run, written)));
    pairs
        .take(MOST)
        .filter(|(run, written)| run == written || meet(run, written) == Some(true))
        .collect()
}

/// Whether a path or a capability is allowed, and by which rules of the profile as nodes are given it.
pub(super) fn answer(
    name: &str,
    spec: &AppArmorProfileSpec,
    what: &str,
) -> anyhow::Result<(bool, Vec<String>)> {
    if spec.policy.is_some() {
        bail!(
            "{name} is written in AppArmor's own language: one thing in it cannot be asked about"
        );
    }
    let text = render::apparmor::render(name, spec)?;
    if !what.starts_with('/') {
        let line = format!("capability {},", plain(what).to_ascii_lowercase());
        let allowed = text.lines().any(|known| known.trim() == line);
        let because = if allowed {
            format!("the rule {line}")
        } else {
            "no rule names the capability".to_owned()
        };
        return Ok((allowed, vec![because]));
    }
    let (mut given, mut taken, mut because) = (String::new(), String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        let Some((before, glob, rights)) = file_rule(line) else { continue };
        if matches(glob, what) != Some(true) {
            continue;
        }
        let list = if before.contains("deny") { &mut taken } else { &mut given };
        list.push_str(rights);
        because.push(format!(
            "{}{glob}: {}",
            if before.contains("deny") { "denied by " } else { "by " },
            words(rights)
        ));
    }
    given.retain(|right| !taken.contains(right));
    because.insert(
        0,
        if given.is_empty() {
            "no right is left".to_owned()
        } else {
            format!("it may {}", words(&given))
        },
    );
    if because.len() == 1 {
        because = vec!["no rule names it".to_owned()];
    }
    Ok((!given.is_empty(), because))
}

/// `[audit ][deny ]"GLOB" RIGHTS,`
fn file_rule(line: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = line.split_once('"')?;
    let (glob, rights) = rest.split_once('"')?;
    let rights = rights.trim().strip_suffix(',')?;
    let plain = ["", "deny ", "audit deny "].contains(&before);
    (plain && rights.chars().all(|c| "rwlkmix".contains(c))).then_some((before, glob, rights))
}

fn words(rights: &str) -> String {
    let all = [
        ('r', "read it"),
        ('w', "write it"),
        ('x', "run it"),
        ('m', "load it"),
        ('l', "link it"),
        ('k', "lock it"),
    ];
    let words: Vec<_> =
        all.iter().filter(|(letter, _)| rights.contains(*letter)).map(|(_, word)| *word).collect();
    words.join(", ")
}
