//! Is what somebody takes away put back by the running daemon, and is all gone after a purge?

use anyhow::Result;
use tests::guest::{
    Lsm::{AppArmor, Selinux},
    images::Images,
};

use crate::{
    agent::{guest, script},
    questions,
};

questions![
    what_is_taken_away_by_hand_is_put_back_and_counted,
    a_selinux_module_taken_away_by_hand_is_put_back,
    a_clock_that_jumps_a_year_stops_no_repair,
    a_purge_leaves_the_node_as_it_was,
];

const APPARMOR: &str = "kind: AppArmorProfile\nmetadata: {name: a}\nspec: {mode: Complain}\n";
const SECCOMP: &str =
    "kind: SeccompProfile\nmetadata: {name: s}\nspec: {defaultAction: SCMP_ACT_LOG}\n";
const SELINUX: &str = "kind: SelinuxProfile\nmetadata: {name: m}\nspec: {}\n";

/// Both profiles come, are taken away, and come back: within five seconds of the guest's clock, if the machine below
/// has a free processor for it at least once.
const COME_AND_COME_BACK: &str = "
    file=/var/lib/kubelet/seccomp/operator/s.json
    best=1000
    seconds() { cut -d. -f1 /proc/uptime; }
    repaired() {
        begin=$(seconds)
        printf a >/sys/kernel/security/apparmor/.remove
        rm $file
        within 30 loaded a
        within 30 present $file
        took=$(($(seconds) - begin))
        echo repaired in $took s
        [ $took -ge $best ] || best=$took
    }
    agent
    within 60 loaded a
    within 60 present $file
";

async fn what_is_taken_away_by_hand_is_put_back_and_counted(images: &Images) -> Result<()> {
    let text = format!(
        "{COME_AND_COME_BACK}
        repaired
        echo edited >$file
        edited() {{ grep -q edited $file; }}
        within 30 gone edited
        repaired
        [ $best -le 5 ] || fail too slow
        wget -q -O - http://127.0.0.1:8085/metrics >/tmp/metrics || fail no metrics
        grep -i drift /tmp/metrics || fail no metric of drifts
        [ $(grep -v '^#' /tmp/metrics | grep -i drift | awk '{{ n += $NF }} END {{ print n }}') -ge 5 ] ||
            fail not all drifts are counted
        kill $agent
        wait $agent || fail the agent did not end well"
    );
    guest(images, AppArmor, &[("a", APPARMOR), ("s", SECCOMP)])?
        .run(&script(&text))
        .await?
        .success()?;
    Ok(())
}

async fn a_selinux_module_taken_away_by_hand_is_put_back(images: &Images) -> Result<()> {
    guest(images, Selinux, &[("m", SELINUX)])?
        .run(&script(
            // A commit of policy takes seconds where it is emulated, and this needs one after the other.
            "known() { runcon -t m.process true 2>/dev/null; }
            agent
            within 90 known
            semodule -X 400 -r m || fail not removed by hand
            gone known || fail still in the kernel
            within 90 known
            module m || fail not in the store",
        ))
        .await?
        .success()?;
    Ok(())
}

async fn a_clock_that_jumps_a_year_stops_no_repair(images: &Images) -> Result<()> {
    let text = format!(
        "{COME_AND_COME_BACK}
        now=$(date +%s)
        date -s @$((now + 31536000))
        repaired
        date -s @$((now - 31536000))
        repaired
        date -s @$now
        repaired
        [ $best -le 5 ] || fail too slow"
    );
    guest(images, AppArmor, &[("a", APPARMOR), ("s", SECCOMP)])?
        .run(&script(&text))
        .await?
        .success()?;
    Ok(())
}

async fn a_purge_leaves_the_node_as_it_was(images: &Images) -> Result<()> {
    let text = "
        state() {
            find /etc /var /usr -xdev ! -path '/var/lib/selinux/*' ! -path '/etc/selinux/*'
            semodule --list-modules=full 2>/dev/null
            cat /sys/kernel/security/apparmor/profiles 2>/dev/null
        }
        state >/tmp/before
        once || fail not installed
        state | cmp -s /tmp/before - && fail nothing was installed
        cinch-node-installer purge || fail purge
        state >/tmp/after
        diff /tmp/before /tmp/after || fail another node";
    let objects = [("s", SECCOMP), ("a", APPARMOR)];
    guest(images, AppArmor, &objects)?.run(&script(text)).await?.success()?;
    let objects = [("s", SECCOMP), ("m", SELINUX)];
    guest(images, Selinux, &objects)?.run(&script(text)).await?.success()?;
    Ok(())
}
