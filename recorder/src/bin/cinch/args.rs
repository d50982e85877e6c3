//! The command line, as typed.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use recorder::base::Base;

/// Records what commands do, and works on security profiles.
#[derive(Debug, Parser)]
#[command(name = "cinch", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the profile of what a command and its children do, or a container
    Record(RecordFlags),
    /// Run a command under a seccomp profile, and tell which calls the profile denies it
    Run(RunFlags),
    /// Write the profile that allows what any of several profiles of one kind allows
    Merge(MergeFlags),
    /// Tell how two profiles of one kind differ; the exit code is 1 when they do, and 2 when that cannot be told
    Diff(DiffFlags),
    /// Tell whether a profile stays within a baseline; the exit code is 1 when it does not, and 2 when that cannot be told
    Check(CheckFlags),
    /// Write a profile in the language that nodes are given (JSON, AppArmor's, CIL), or such a text as an object for a
    /// cluster
    Convert(ConvertFlags),
    /// Tell which system calls programs can make at most, from their files alone
    ///
    /// With --unseen, the exit code is 1 when the profile allows what cannot be reached.
    Scan(ScanFlags),
    /// Tell in words what a profile lets happen; or whether one thing is allowed: then the exit code is 1 when it is not,
    /// and 2 when that cannot be told
    Explain(ExplainFlags),
    /// Tell which workloads of a cluster run Disabled, Recording or Applying, what is being recorded, and what was denied
    Report(ReportFlags),
    /// Tell how far profiles are on nodes, and what bindings and recordings do; the exit code is 1 when something has failed
    Status(StatusFlags),
    /// Print what a shell needs to complete commands
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a command, or write those of all
    Man(ManFlags),
}

#[derive(Debug, Args)]
pub(crate) struct ManFlags {
    /// Write the pages of all commands into this folder: cinch.1, cinch-record.1 and so on
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
    /// The command, such as record; without it, the page of all
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertFlags {
    /// Write this
    #[arg(long, value_enum)]
    pub(crate) to: Format,
    /// Call the profile by this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The profile, - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) profile: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainFlags {
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// A file with profiles that the profile builds on
    #[arg(long, value_name = "FILE")]
    pub(crate) with: Vec<PathBuf>,
    /// The profile, - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) profile: PathBuf,
    /// Tell only whether this is allowed, and by what: a system call, a path or capability, or a type with class and
    /// permission, as the kind of the profile has it
    #[arg(value_name = "WHAT")]
    pub(crate) about: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MergeFlags {
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Also tell of how many of the profiles each permission is; kept in an annotation, and added up when such profiles
    /// are merged
    #[arg(long)]
    pub(crate) counts: bool,
    /// Files with profiles, - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffFlags {
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The one, - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) left: PathBuf,
    /// The other
    #[arg(value_name = "FILE")]
    pub(crate) right: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckFlags {
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// The profile that allows all that may be allowed
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: PathBuf,
    /// The profile, - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) profile: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ScanFlags {
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// A program that is started, by its path in the root; without any, all programs there are
    #[arg(long = "entrypoint", value_name = "PATH")]
    pub(crate) entrypoints: Vec<String>,
    /// A library that is loaded by name, or a folder with such, by its path in the root, besides those that are expected
    #[arg(long = "plugins", value_name = "PATH")]
    pub(crate) plugins: Vec<String>,
    /// Look for the program, and for its libraries, in this folder and not on this machine
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Compare with what this seccomp profile allows
    #[arg(long, value_name = "PROFILE")]
    pub(crate) unseen: Option<PathBuf>,
    /// The root file system of an image, or a program
    #[arg(value_name = "IMAGE_ROOTFS|ELF")]
    pub(crate) path: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportOutput {
    #[default]
    Text,
    Json,
    /// One page that needs nothing else
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct ReportFlags {
    /// Print text, JSON for scripts, or a page to look at
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: ReportOutput,
    /// Report on this namespace only; can be given several times
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// Find the cluster by this file; without it by $KUBECONFIG, the one in the home folder, or the pod's service account
    #[arg(long, value_name = "FILE", env = "CINCH_KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Report on the objects in the files of this folder (kubectl get -o yaml) and not on a cluster
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    pub(crate) manifests: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusFlags {
    /// Print text, or JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Look at the bindings and recordings of this namespace only; can be given several times
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// Find the cluster by this file; without it by $KUBECONFIG, the one in the home folder, or the pod's service account
    #[arg(long, value_name = "FILE", env = "CINCH_KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Wait until all is as it should be, but no longer than this, such as 30s or 5m; the exit code is 1 when it is not by
    /// then
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct RecordFlags {
    /// Write a profile of this kind
    #[arg(long, value_enum, default_value_t)]
    pub(crate) kind: KindFlag,
    /// Record by programs in the kernel, or by what the kernel logs of profiles that only complain
    #[arg(long, value_enum, default_value_t)]
    pub(crate) recorder: RecorderFlag,
    /// Write the profile as an object for a cluster, or as the JSON that runtimes read
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Add what this runtime needs to start a container
    #[arg(long, value_enum, default_value_t)]
    pub(crate) base: BaseFlag,
    /// Call the profile by this name; without it, it has that of the command
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Stop after this, such as 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Write to this file and not to standard output; without it, what the command prints goes to standard error
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Record the container that this process is in, and not a command; until it ends
    #[arg(long, value_name = "PID", conflicts_with = "command")]
    pub(crate) pid: Option<u32>,
    /// Record the container with this id, or the beginning of it, whether it runs already or not; or with this name, which
    /// the container runtime knows
    #[arg(
        long,
        value_name = "ID|[[NAMESPACE/]POD/]NAME",
        conflicts_with_all = ["command", "pid"],
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub(crate) container: Option<String>,
    /// Ask the container runtime behind this socket for names
    #[arg(
        long,
        env = "CINCH_CRI",
        value_name = "SOCKET",
        default_value = "/run/containerd/containerd.sock"
    )]
    pub(crate) cri: PathBuf,
    /// Run the command as this user, by name or number; environment and folder stay as they are
    #[arg(long, value_name = "USER", requires = "command")]
    pub(crate) user: Option<String>,
    /// The command
    #[arg(last = true, required_unless_present_any = ["pid", "container"], value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag, and none excludes another")]
#[expect(clippy::doc_markdown, reason = "clap prints it as it stands")]
pub(crate) struct RunFlags {
    /// The profile: a SeccompProfile, or the JSON that runtimes read; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: PathBuf,
    /// Take the profile with this name, where the file has several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Look for the profiles that it builds on in this file too; can be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) base_profile: Vec<PathBuf>,
    /// At the end, report what was denied as text, or as JSON for scripts
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Report to this file and not to standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Do not tell of a denied call when it is made for the first time
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// End when the command ends; do not wait for other processes that it has started
    #[arg(long)]
    pub(crate) leave: bool,
    /// Let programs gain privileges (no no_new_privs); needs CAP_SYS_ADMIN
    #[arg(long)]
    pub(crate) privileges: bool,
    /// Have the kernel write denied calls to the audit log as well (SECCOMP_FILTER_FLAG_LOG)
    #[arg(long)]
    pub(crate) log: bool,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Crd,
    Raw,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecorderFlag {
    /// Programs in the kernel
    #[default]
    Bpf,
    /// Audit records: what is recorded must run under profiles that log what they do not allow
    Logs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindFlag {
    #[default]
    Seccomp,
    Apparmor,
    Selinux,
    /// One of each kind that there is on this machine
    All,
}

impl KindFlag {
    /// The kinds that are meant.
    pub(crate) fn kinds(self) -> Vec<Self> {
        match self {
            Self::All => {
                let mut all = vec![Self::Seccomp, Self::Apparmor];
                all.extend(recorder::selinuxfs::is_on().then_some(Self::Selinux));
                all
            }
            one => vec![one],
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaseFlag {
    #[default]
    Runc,
    Crun,
    None,
}

impl From<BaseFlag> for Base {
    fn from(flag: BaseFlag) -> Self {
        match flag {
            BaseFlag::Runc => Self::Runc,
            BaseFlag::Crun => Self::Crun,
            BaseFlag::None => Self::None,
        }
    }
}

fn duration(text: &str) -> Result<Duration, profile::duration::DurationError> {
    profile::duration::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_the_command_alone() {
        let command = ["cinch", "record", "--base", "crun", "--", "ls", "--name", "x"];
        let Command::Record(flags) = Cli::try_parse_from(command).unwrap().command else {
            unreachable!()
        };
        assert_eq!(flags.command, ["ls", "--name", "x"]);
        assert_eq!((flags.base, flags.name), (BaseFlag::Crun, None));
    }
}
