//! The rules of an AppArmorProfile that are not written in AppArmor's own language. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::{rule, spelling::spelled};

spelled! {
    /// What one process may do to another through ptrace.
    pub enum PtraceAccess {
        Trace = "Trace",
        Read = "Read",
        TracedBy = "TracedBy",
        ReadBy = "ReadBy",
    }
}

spelled! {
    /// What a process may do with signals.
    pub enum SignalAccess {
        Send = "Send",
        Receive = "Receive",
    }
}

spelled! {
    /// An operation on mounts.
    pub enum MountOperation {
        Mount = "Mount",
        Remount = "Remount",
        Umount = "Umount",
        PivotRoot = "PivotRoot",
    }
}

spelled! {
    /// The type of a unix socket.
    pub enum UnixSocketType {
        Stream = "Stream",
        Dgram = "Dgram",
        Seqpacket = "Seqpacket",
    }
}

/// What a container may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Abstract {
    /// Programs and libraries that may be run and loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<ExecutableRules>,
    /// Files that may be read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<FilesystemRules>,
    /// Sockets that may be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRules>,
    /// Capabilities that may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<CapabilityRules>,
    /// Processes that may be traced, or may trace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub ptrace: Vec<PtraceRule>,
    /// Signals that may be sent and received.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub signal: Vec<SignalRule>,
    /// Mounts that may be made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub mount: Vec<MountRule>,
    /// Unix sockets that may be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub unix: Vec<UnixRule>,
}

/// Programs and libraries that may be run and loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ExecutableRules {
    /// Programs that may be run, by path; AppArmor's globs are understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(min = 1, max = 1024)),
        transform = rule::apparmor::paths
    )]
    pub allowed_executables: Vec<String>,
    /// Libraries that may be loaded, by path; AppArmor's globs are understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(min = 1, max = 1024)),
        transform = rule::apparmor::paths
    )]
    pub allowed_libraries: Vec<String>,
}

/// Files that may be read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct FilesystemRules {
    /// Paths that may be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(min = 1, max = 1024)),
        transform = rule::apparmor::paths
    )]
    pub read_only_paths: Vec<String>,
    /// Paths that may be written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(min = 1, max = 1024)),
        transform = rule::apparmor::paths
    )]
    pub write_only_paths: Vec<String>,
    /// Paths that may be read and written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(min = 1, max = 1024)),
        transform = rule::apparmor::paths
    )]
    pub read_write_paths: Vec<String>,
    /// Paths that may be neither read nor written, whatever the other lists say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(min = 1, max = 1024)),
        transform = rule::apparmor::paths
    )]
    pub denied_paths: Vec<String>,
}

/// Sockets that may be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkRules {
    /// Whether raw sockets may be opened. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_raw: Option<bool>,
    /// Protocols that may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_protocols: Option<AllowedProtocols>,
}

/// Protocols that may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct AllowedProtocols {
    /// Whether TCP sockets may be opened. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_tcp: Option<bool>,
    /// Whether UDP sockets may be opened. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_udp: Option<bool>,
}

/// Capabilities that may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct CapabilityRules {
    /// Capabilities, with or without CAP_, in any case: NET_ADMIN, CAP_NET_ADMIN and net_admin are the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 32)),
        transform = rule::apparmor::capabilities
    )]
    pub allowed_capabilities: Vec<String>,
}

/// Processes that may be traced, or may trace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PtraceRule {
    /// What is allowed: Trace, Read, TracedBy, ReadBy.
    #[schemars(length(min = 1, max = 4))]
    pub access: Vec<PtraceAccess>,
    /// The AppArmor profile of the other process, with globs; @self is this profile. Default: @self.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), transform = rule::apparmor::text)]
    pub peer: Option<String>,
}

/// Signals that may be sent and received.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalRule {
    /// What is allowed: Send, Receive.
    #[schemars(length(min = 1, max = 4))]
    pub access: Vec<SignalAccess>,
    /// The signals, by name, such as term or SIGTERM. Default: every signal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 16)),
        transform = rule::apparmor::signals
    )]
    pub signals: Vec<String>,
    /// The AppArmor profile of the other process, with globs; @self is this profile. Default: @self.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), transform = rule::apparmor::text)]
    pub peer: Option<String>,
}

/// Mounts that may be made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MountRule {
    /// What is allowed: Mount, Remount, Umount or PivotRoot.
    pub operation: MountOperation,
    /// What is mounted, by path. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), transform = rule::apparmor::path)]
    pub source: Option<String>,
    /// Where it is mounted, by path. Default: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), transform = rule::apparmor::path)]
    pub target: Option<String>,
    /// The type of the file system, such as tmpfs. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), transform = rule::apparmor::word)]
    pub fs_type: Option<String>,
    /// Mount options that may be used, such as ro or nosuid. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 64)),
        transform = rule::apparmor::words
    )]
    pub options: Vec<String>,
}

/// Unix sockets that may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct UnixRule {
    /// The type of the socket: Stream, Dgram or Seqpacket. Default: any.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub socket_type: Option<UnixSocketType>,
    /// The address, with globs; that of an abstract socket begins with @. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), transform = rule::apparmor::text)]
    pub address: Option<String>,
    /// The AppArmor profile of the other process, with globs; @self is this profile. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), transform = rule::apparmor::text)]
    pub peer: Option<String>,
}
