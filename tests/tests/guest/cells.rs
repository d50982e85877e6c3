//! Of each kind of profile, recorded by each recorder: does a container work under exactly what was recorded of it, as the
//! node installer has put it there, and is it refused what it did not do?

use anyhow::{Context as _, Result};
use tests::{
    built,
    chart::RECORDER,
    guest::{
        Lsm::{self, AppArmor, Selinux},
        images::Images,
    },
};

use crate::{agent::script, questions, recording};

questions![
    seccomp_is_recorded_by_bpf_and_holds,
    seccomp_is_recorded_from_logs_and_holds,
    apparmor_is_recorded_by_bpf_and_holds,
    apparmor_is_recorded_from_logs_and_holds,
    selinux_is_recorded_by_bpf_and_holds,
    selinux_is_recorded_from_logs_and_holds,
];

/// One kind, and one recorder.
struct Cell {
    kind: &'static str,
    recorder: &'static str,
    lsm: Lsm,
    /// The profile that the container runs under while it is recorded.
    recording: Option<&'static str>,
    /// What the container did not do while it was recorded.
    other: &'static str,
    /// A line of the kernel that says that it was refused, as `audit` looks for it; none where there is no line.
    refused: &'static str,
}

/// The shell words for it.
const WORDS: &str = r#"
# A program that reads and writes files, starts others, and uses a capability and a socket.
work='cat /etc/name; ls / >/tmp/list; mkdir /tmp/a; echo x >/tmp/a/b; cat /tmp/a/b /var/log/mine'
work="$work; busybox mv /tmp/a/b /tmp/a/c; busybox rm -r /tmp/a /tmp/list; busybox chroot / /bin/echo inside"
work="$work; busybox nc -w 1 127.0.0.1 9 </dev/null; id -u; echo all done"

# Fields of a bundle for a container under a profile: under KIND NAME.
under() {
    process='"noNewPrivileges": true, "capabilities":
        {"bounding": ["CAP_SYS_CHROOT"], "effective": ["CAP_SYS_CHROOT"], "permitted": ["CAP_SYS_CHROOT"]}'
    linux=
    case $1,$2 in
    *,none) ;;
    seccomp,*) linux="\"seccomp\": $(cat /var/lib/kubelet/seccomp/operator/$2.json)" ;;
    apparmor,*) process="$process, \"apparmorProfile\": \"$2\"" ;;
    selinux,*) process="$process, \"selinuxLabel\": \"system_u:system_r:$2.process:s0\"" ;;
    esac
}

# A container's id as runtimes make them, by which those who read logs know it.
id=$(printf %064d 17)

# Starts a container that does this: container NAME SCRIPT [ID]. What it says is in /tmp/NAME.
container() {
    bundle $1 "$process" "$linux" sh -c "$2"
    mkdir -p /srv/$1/rootfs/var/log
    echo a line >/srv/$1/rootfs/var/log/mine
    if [ -e /sys/fs/selinux/enforce ]; then
        chcon -R -t var_log_t /srv/$1/rootfs/var/log
        chcon -t shadow_t /srv/$1/rootfs/etc/shadow
    fi
    runc run -b /srv/$1 ${3:-$1} >/tmp/$1 2>&1
}

worked() { grep -q '^all done$' /tmp/$1 && grep -q '^inside$' /tmp/$1 && grep -q '^a line$' /tmp/$1 && grep -q '^x$' /tmp/$1; }

# cell KIND RECORDER PROFILE OTHER
cell() {
    # The template of this node gives no capabilities, and no profile may.
    [ $1 != selinux ] || work=$(echo "$work" | sed 's/busybox chroot . /busybox env /')
    [ $3 = none ] || once || fail no profile to record under
    # The node's daemon has no other rights.
    perl /srv/rights cinch record --kind $1 --recorder $2 --container $id --name recorded -o /tmp/recorded.yaml 2>/tmp/said &
    recording() { grep -q recording /tmp/said || { cat /tmp/said; false; }; }
    within 30 recording
    under $1 $3
    container first "$work" $id
    worked first || { cat /tmp/first; fail it does not work while it is recorded; }
    wait $! || { cat /tmp/said; fail the recorder; }
    cat /tmp/said /tmp/recorded.yaml
    grep 'nothing lost' /tmp/said || fail something was lost
    cp /tmp/recorded.yaml /manifests/recorded.yaml
    once || fail what was recorded cannot be installed
    under $1 recorded
    container again "$work"
    worked again || { cat /tmp/again; dmesg | tail -n 30; fail it does not work under what was recorded; }
    under $1 none
    [ $1 = selinux ] || { container free "$4 && echo it can"; grep 'it can' /tmp/free || { cat /tmp/free; fail it cannot anyway; }; }
    under $1 recorded
    container other "$4 && echo it can"
    cat /tmp/other
    ! grep 'it can' /tmp/other || fail it can do more than what was recorded
}
"#;

/// The capabilities of the recorder by their numbers in linux/capability.h.
const NUMBERS: [(&str, u8); 7] = [
    ("DAC_READ_SEARCH", 2),
    ("NET_ADMIN", 12),
    ("SYS_PTRACE", 19),
    ("SYSLOG", 34),
    ("AUDIT_READ", 37),
    ("PERFMON", 38),
    ("BPF", 39),
];

/// What starts a command with the rights that the chart gives the recorder: no more capabilities, and none to be gained.
fn rights() -> Result<String> {
    let number = |name: &&str| NUMBERS.iter().find(|(known, _)| known == name);
    let kept = RECORDER.iter().map(|name| number(name).map(|(_, number)| number.to_string()));
    let kept = kept.collect::<Option<Vec<_>>>().context("a capability without a number")?;
    // prctl: PR_CAPBSET_DROP of the others, PR_SET_NO_NEW_PRIVS.
    Ok(format!(
        "my %kept = map {{ $_ => 1 }} ({});
        $kept{{$_}} or syscall(157, 24, $_, 0, 0, 0) for 0..40;
        syscall(157, 38, 1, 0, 0, 0);
        exec @ARGV;\n",
        kept.join(", ")
    ))
}

impl Cell {
    async fn holds(&self, images: &Images) -> Result<()> {
        let Self { kind, recorder, lsm, recording, other, refused } = self;
        let profiles: Vec<&str> = recording.iter().copied().collect();
        let recording = recording.unwrap_or("none");
        let body = format!("cell {kind} {recorder} {recording} '{other}'\n{refused}");
        recording::guest(images, *lsm, &profiles)?
            .program("/usr/bin/cinch", &built::program("cinch", "CINCH_BIN")?)?
            .text("/srv/rights", &rights()?)?
            .run(&script(&format!("{WORDS}{body}")))
            .await?
            .success()?;
        Ok(())
    }
}

async fn seccomp_is_recorded_by_bpf_and_holds(images: &Images) -> Result<()> {
    let cell = Cell {
        kind: "seccomp",
        recorder: "bpf",
        lsm: AppArmor,
        recording: None,
        other: "busybox ln -s /nowhere /tmp/link",
        refused: "grep 'Operation not permitted' /tmp/other || fail for another reason",
    };
    cell.holds(images).await
}

async fn seccomp_is_recorded_from_logs_and_holds(images: &Images) -> Result<()> {
    let cell = Cell {
        kind: "seccomp",
        recorder: "logs",
        lsm: AppArmor,
        recording: Some("log-enricher-trace"),
        other: "busybox ln -s /nowhere /tmp/link",
        refused: "grep 'Operation not permitted' /tmp/other || fail for another reason",
    };
    cell.holds(images).await
}

const APPARMOR_REFUSED: &str =
    r#"audit 'apparmor="DENIED"' 'profile="recorded"' 'name="/etc/shadow"' || fail no line"#;

async fn apparmor_is_recorded_by_bpf_and_holds(images: &Images) -> Result<()> {
    let cell = Cell {
        kind: "apparmor",
        recorder: "bpf",
        lsm: AppArmor,
        recording: None,
        other: "cat /etc/shadow",
        refused: APPARMOR_REFUSED,
    };
    cell.holds(images).await
}

async fn apparmor_is_recorded_from_logs_and_holds(images: &Images) -> Result<()> {
    let cell = Cell {
        kind: "apparmor",
        recorder: "logs",
        lsm: AppArmor,
        recording: Some("apparmorrecording"),
        other: "cat /etc/shadow",
        refused: APPARMOR_REFUSED,
    };
    cell.holds(images).await
}

const SELINUX_REFUSED: &str =
    "audit 'avc:  denied' recorded.process:s0 shadow_t permissive=0 || fail no line";

async fn selinux_is_recorded_by_bpf_and_holds(images: &Images) -> Result<()> {
    let cell = Cell {
        kind: "selinux",
        recorder: "bpf",
        lsm: Selinux,
        recording: Some("selinuxrecording"),
        other: "cat /etc/shadow",
        refused: SELINUX_REFUSED,
    };
    cell.holds(images).await
}

async fn selinux_is_recorded_from_logs_and_holds(images: &Images) -> Result<()> {
    let cell = Cell {
        kind: "selinux",
        recorder: "logs",
        lsm: Selinux,
        recording: Some("selinuxrecording"),
        other: "cat /etc/shadow",
        refused: SELINUX_REFUSED,
    };
    cell.holds(images).await
}
