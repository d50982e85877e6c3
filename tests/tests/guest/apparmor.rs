//! Does a profile of files hold, and go when nobody asks for it?

use anyhow::Result;
use tests::guest::{Lsm::AppArmor, images::Images};

use crate::{
    agent::{guest, script},
    questions,
};

questions![
    an_apparmor_profile_is_installed_denies_and_is_removed,
    network_and_capabilities_that_no_field_allows_are_denied,
    an_apparmor_profile_that_only_complains_lets_all_pass_and_says_so,
    an_apparmor_profile_that_the_kernel_has_lost_is_loaded_at_the_next_start,
    an_apparmor_profile_of_somebody_else_stays,
    an_apparmor_profile_that_a_process_runs_under_stays_until_it_ends,
];

const PROFILE: &str = "kind: AppArmorProfile
metadata: {name: only-reads}
spec:
  abstract:
    executable: {allowedExecutables: [/usr/bin/cat, /usr/bin/sleep, /bin/busybox]}
    filesystem: {readOnlyPaths: [/etc/passwd, /etc/name], deniedPaths: [/etc/shadow]}
";

async fn an_apparmor_profile_is_installed_denies_and_is_removed(images: &Images) -> Result<()> {
    guest(images, AppArmor, &[("only-reads", PROFILE)])?
        .run(&script(
            r#"once || fail not installed
            grep '^only-reads (enforce)' /sys/kernel/security/apparmor/profiles || fail not loaded
            aa-exec -p only-reads -- cat /etc/passwd >/dev/null || fail passwd
            ! aa-exec -p only-reads -- cat /etc/hostname || fail a file that no rule names
            ! aa-exec -p only-reads -- cat /etc/shadow || fail shadow
            audit 'apparmor="DENIED"' 'profile="only-reads"' 'name="/etc/shadow"' || fail no line

            bundle one '"apparmorProfile": "only-reads"' '' sh -c 'cat /etc/name; echo >/etc/name'
            runc run -b /srv/one one >/tmp/said 2>&1
            [ $? = 1 ] || { cat /tmp/said; fail another code; }
            grep 'a name' /tmp/said || { cat /tmp/said; fail not started; }
            audit 'apparmor="DENIED"' 'profile="only-reads"' 'name="/etc/name"' 'denied_mask="w' ||
                fail no line of the container

            rm /manifests/only-reads.yaml
            once || fail not removed
            gone loaded only-reads || fail still loaded
            ! aa-exec -p only-reads -- cat /etc/passwd || fail still there
            [ -z "$(find /etc /var -name '*only-reads*')" ] || fail left over"#,
        ))
        .await?
        .success()?;
    Ok(())
}

/// Rules on networks are left out in silence by a compiler that is not told what this kernel can do.
async fn network_and_capabilities_that_no_field_allows_are_denied(images: &Images) -> Result<()> {
    let object = "kind: AppArmorProfile
metadata: {name: talker}
spec:
  abstract:
    executable: {allowedExecutables: [/usr/bin/perl]}
    network: {allowedProtocols: {allowUdp: true}}
    capability: {allowedCapabilities: [CAP_SYS_CHROOT]}
";
    guest(images, AppArmor, &[("talker", object)])?
        .run(&script(
            r#"once || fail not installed
            confined() { aa-exec -p talker -- perl -MSocket -e "$1 or die \$!"; }
            confined 'socket(S, PF_INET, SOCK_DGRAM, 0)' || fail udp
            ! confined 'socket(S, PF_INET, SOCK_STREAM, 0)' || fail tcp
            audit 'apparmor="DENIED"' 'profile="talker"' 'sock_type="stream"' || fail no line of tcp
            confined 'chroot("/")' || fail chroot
            ! confined 'my $name = "me"; syscall(170, $name, 2) == 0' || fail hostname
            audit 'apparmor="DENIED"' 'profile="talker"' 'capname="sys_admin"' || fail no line of sys_admin"#,
        ))
        .await?
        .success()?;
    Ok(())
}

async fn an_apparmor_profile_that_only_complains_lets_all_pass_and_says_so(
    images: &Images,
) -> Result<()> {
    let object = "kind: AppArmorProfile\nmetadata: {name: watched}\nspec: {mode: Complain}\n";
    guest(images, AppArmor, &[("watched", object)])?
        .run(&script(
            r#"once || fail not installed
            grep '^watched (complain)' /sys/kernel/security/apparmor/profiles || fail not loaded
            aa-exec -p watched -- cat /etc/shadow || fail shadow
            audit 'apparmor="ALLOWED"' 'profile="watched"' 'name="/etc/shadow"' || fail no line"#,
        ))
        .await?
        .success()?;
    Ok(())
}

async fn an_apparmor_profile_that_the_kernel_has_lost_is_loaded_at_the_next_start(
    images: &Images,
) -> Result<()> {
    guest(images, AppArmor, &[("only-reads", PROFILE)])?
        .run(&script(
            r"once || fail not installed
            printf only-reads >/sys/kernel/security/apparmor/.remove
            gone loaded only-reads || fail still loaded
            once || fail not installed again
            aa-exec -p only-reads -- cat /etc/passwd >/dev/null || fail passwd",
        ))
        .await?
        .success()?;
    Ok(())
}

async fn an_apparmor_profile_of_somebody_else_stays(images: &Images) -> Result<()> {
    guest(images, AppArmor, &[("only-reads", PROFILE)])?
        .text("/etc/apparmor.d/theirs", "profile only-reads {\n  file,\n}\n")?
        .run(&script(
            r#"apparmor_parser -r /etc/apparmor.d/theirs || fail not loaded by hand
            digest() { cat /sys/kernel/security/apparmor/policy/profiles/only-reads.*/sha1; }
            before=$(digest)
            once && fail it says that all is well
            [ "$(digest)" = "$before" ] || fail replaced
            rm /manifests/only-reads.yaml
            once || fail removal
            [ "$(digest)" = "$before" ] || fail removed
            cinch-node-installer purge || fail purge
            [ "$(digest)" = "$before" ] || fail purged
            aa-exec -p only-reads -- cat /etc/shadow || fail another profile"#,
        ))
        .await?
        .success()?;
    Ok(())
}

async fn an_apparmor_profile_that_a_process_runs_under_stays_until_it_ends(
    images: &Images,
) -> Result<()> {
    guest(images, AppArmor, &[("only-reads", PROFILE)])?
        .run(&script(
            r"once || fail not installed
            aa-exec -p only-reads -- sleep 1000 &
            confined() { grep -q '^only-reads' /proc/$!/attr/current; }
            within 10 confined
            rm /manifests/only-reads.yaml
            once | grep only-reads || fail it does not say that the profile stays
            loaded only-reads || fail taken away from a process
            kill $!
            wait $!
            once || fail not removed
            gone loaded only-reads || fail still loaded",
        ))
        .await?
        .success()?;
    Ok(())
}
