//! The rules of a profile that are not about files. Pure.

use std::collections::{BTreeMap, BTreeSet};

use profile::kinds::{
    AppArmorProfile, AppArmorProfileSpec, Validate as _,
    apparmor::{
        Abstract, AllowedProtocols, CapabilityRules, MountOperation, MountRule, NetworkRules,
        PtraceAccess, PtraceRule, SignalAccess, SignalRule, UnixRule, UnixSocketType,
    },
};

use crate::seen::{Access, MountOperation as Done};

/// The profile of a process outside of the container is not known: it may have any.
const ANY: &str = "**";

/// The options of one remount that AppArmor can tell apart.
const REMOUNT_MAX: usize = 5;

/// The rules, field by field.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) network: Option<NetworkRules>,
    pub(super) capabilities: Option<CapabilityRules>,
    pub(super) ptrace: Vec<PtraceRule>,
    pub(super) signal: Vec<SignalRule>,
    pub(super) mount: Vec<MountRule>,
    pub(super) unix: Vec<UnixRule>,
}

/// What was asked for.
#[derive(Debug, Default)]
struct Asked<'a> {
    capabilities: BTreeSet<&'a str>,
    tcp: bool,
    udp: bool,
    raw: bool,
    /// Signals to processes outside of the container.
    signals: BTreeSet<&'a str>,
    /// Whether others were traced or read, inside and outside.
    traced: BTreeSet<(bool, PtraceAccess)>,
    mounts: BTreeMap<Mount<'a>, BTreeSet<&'a str>>,
    sockets: BTreeSet<(&'a str, &'a str)>,
}

/// Operation, source, target, type of file system: what a rule about mounts has one of.
type Mount<'a> = (Done, Option<&'a str>, &'a str, Option<&'a str>);

impl Rules {
    pub(super) fn new<'a>(
        accesses: impl Iterator<Item = &'a Access>,
        left: &mut BTreeSet<String>,
    ) -> Self {
        let mut asked = Asked::default();
        for access in accesses {
            if let Err(why) = asked.take(access) {
                left.insert(why);
            }
        }
        asked.rules()
    }
}

impl<'a> Asked<'a> {
    /// Takes in an access, or says why there is no rule for it.
    fn take(&mut self, access: &'a Access) -> Result<(), String> {
        match access {
            Access::Capability(name) if is_capability(name) => {
                self.capabilities.insert(name);
            }
            Access::Capability(name) => {
                return Err(format!("capability {name}: AppArmorProfiles know no such capability"));
            }
            Access::Socket { family, kind, .. } => return self.take_socket(family, kind),
            Access::Unix { kind, address } => {
                self.sockets.insert((kind, address));
            }
            Access::Mount { operation, source, target, fstype, options } => {
                // A word such as none, or a device of another namespace.
                let source = source.as_deref().filter(|source| source.starts_with('/'));
                let key = (*operation, source, target.as_str(), fstype.as_deref());
                self.mounts.entry(key).or_default().extend(options.iter().map(String::as_str));
            }
            // A container's processes may send each other any signal, and look at each other.
            Access::Signal { inside: true, .. }
            | Access::Ptrace { read: true, inside: true }
            | Access::File { .. } => {}
            Access::Signal { signal, .. } if is_signal(signal) => {
                self.signals.insert(signal);
            }
            Access::Signal { signal, .. } => {
                return Err(format!("signal {signal}: AppArmorProfiles know no such signal"));
            }
            Access::Ptrace { read, inside } => {
                let access = if *read { PtraceAccess::Read } else { PtraceAccess::Trace };
                self.traced.insert((*inside, access));
            }
        }
        Ok(())
    }

    fn take_socket(&mut self, family: &str, kind: &str) -> Result<(), String> {
        match (family, kind) {
            // A socket of its own is nothing to allow: whom it speaks to is asked again.
            ("unix", _) => {}
            ("inet" | "inet6", "stream") => self.tcp = true,
            ("inet" | "inet6", "dgram") => self.udp = true,
            (_, "raw") => self.raw = true,
            _ => {
                return Err(format!(
                    "socket {family} {kind}: AppArmorProfiles have fields for TCP, UDP and raw sockets; write policy for \
                     others"
                ));
            }
        }
        Ok(())
    }

    fn rules(self) -> Rules {
        let Self { capabilities, tcp, udp, raw, signals, traced, mounts, sockets } = self;
        // With TCP or UDP comes the netlink socket by which a C library learns which addresses there are.
        let network = tcp || udp || raw;
        let signal = (!signals.is_empty()).then(|| sent(signals));
        let ptrace = [true, false].into_iter().filter_map(|inside| {
            let access: Vec<_> =
                traced.iter().filter(|(of, _)| *of == inside).map(|(_, access)| *access).collect();
            let peer = (!inside).then(|| ANY.to_owned());
            (!access.is_empty()).then_some(PtraceRule { access, peer })
        });
        Rules {
            network: network.then(|| NetworkRules {
                allow_raw: raw.then_some(true),
                allowed_protocols: (tcp || udp).then(|| AllowedProtocols {
                    allow_tcp: tcp.then_some(true),
                    allow_udp: udp.then_some(true),
                }),
            }),
            capabilities: (!capabilities.is_empty()).then(|| CapabilityRules {
                allowed_capabilities: capabilities.into_iter().map(str::to_owned).collect(),
            }),
            ptrace: ptrace.collect(),
            signal: signal.into_iter().collect(),
            mount: mounts.into_iter().map(|(mount, options)| mount_rule(mount, options)).collect(),
            unix: sockets.into_iter().map(unix_rule).collect(),
        }
    }
}

fn mount_rule(mount: Mount<'_>, mut options: BTreeSet<&str>) -> MountRule {
    let (done, source, target, fstype) = mount;
    let operation = match done {
        Done::Mount => MountOperation::Mount,
        Done::Remount => MountOperation::Remount,
        Done::Umount => MountOperation::Umount,
        Done::PivotRoot => MountOperation::PivotRoot,
    };
    // A rule without options would allow any.
    if options.is_empty() && matches!(done, Done::Mount | Done::Remount) {
        options.insert("rw");
    }
    match done {
        Done::Remount => {
            options.remove("remount");
            if options.len() > REMOUNT_MAX {
                options.remove("silent");
                options.remove("rw");
            }
        }
        Done::Umount | Done::PivotRoot => options.clear(),
        Done::Mount => {}
    }
    let named = matches!(done, Done::Mount);
    let from = named || matches!(done, Done::PivotRoot);
    MountRule {
        operation,
        source: source.filter(|_| from).map(str::to_owned),
        target: Some(target.to_owned()),
        fs_type: fstype.filter(|_| named).map(str::to_owned),
        options: options.into_iter().map(str::to_owned).collect(),
    }
}

fn unix_rule((kind, address): (&str, &str)) -> UnixRule {
    let socket_type = match kind {
        "stream" => Some(UnixSocketType::Stream),
        "dgram" => Some(UnixSocketType::Dgram),
        "seqpacket" => Some(UnixSocketType::Seqpacket),
        _ => None,
    };
    UnixRule { socket_type, address: Some(address.to_owned()), peer: None }
}

/// Whether the kind knows a capability.
fn is_capability(name: &str) -> bool {
    is_valid(Abstract {
        capability: Some(CapabilityRules { allowed_capabilities: vec![name.to_owned()] }),
        ..Abstract::default()
    })
}

/// Whether the kind knows a signal.
fn is_signal(name: &str) -> bool {
    is_valid(Abstract { signal: vec![sent([name])], ..Abstract::default() })
}

fn is_valid(rules: Abstract) -> bool {
    let spec = AppArmorProfileSpec { abstract_: Some(rules), ..AppArmorProfileSpec::default() };
    AppArmorProfile::new("x", spec).validate().is_empty()
}

/// Signals to processes of any profile.
fn sent<'a>(signals: impl IntoIterator<Item = &'a str>) -> SignalRule {
    SignalRule {
        access: vec![SignalAccess::Send],
        signals: signals.into_iter().map(str::to_owned).collect(),
        peer: Some(ANY.to_owned()),
    }
}
