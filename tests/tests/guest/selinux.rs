//! Do profiles of types, written by field or raw, hold, and go when nobody asks for them?

use anyhow::Result;
use tests::guest::{Lsm::Selinux, images::Images};

use crate::{
    agent::{guest, script},
    questions,
};

questions![
    a_selinux_profile_is_installed_denies_and_is_removed,
    a_raw_selinux_profile_is_installed_denies_and_is_removed,
    a_permissive_selinux_profile_lets_all_pass_and_says_so,
    a_profile_that_the_compiler_refuses_stops_no_other,
    a_selinux_profile_that_a_process_runs_under_stays_until_it_ends,
    a_selinux_module_of_somebody_else_stays,
];

const PROFILE: &str = "kind: SelinuxProfile
metadata: {name: logreader}
spec:
  inherit: [{kind: System, name: container}]
  allow:
    var_log_t:
      dir: [getattr, search, open, read]
      file: [getattr, open, read]
";

const RAW: &str = "kind: RawSelinuxProfile
metadata: {name: logreader}
spec:
  policy: |
    (blockinherit container)
    (allow process var_log_t (dir (getattr search open read)))
    (allow process var_log_t (file (getattr open read)))
";

/// The two kinds mean the same here.
const SCRIPT: &str = r#"
    mkdir -p /var/log
    echo a line >/var/log/mine
    restorecon -R /var/log
    once || fail not installed
    module logreader || fail not in the store
    runcon -t container.process cat /var/log/mine && fail the template reads logs
    runcon -t logreader.process cat /var/log/mine || fail the log
    ! runcon -t logreader.process cat /etc/shadow || fail shadow
    audit 'avc:  denied' logreader.process:s0 shadow_t 'comm="cat"' permissive=0 || fail no line

    bundle one '"selinuxLabel": "system_u:system_r:logreader.process:s0"' '' sh -c 'cat /etc/name; cat /etc/shadow'
    chcon -t security_t /srv/one/rootfs/etc/shadow
    runc run -b /srv/one one >/tmp/said 2>&1
    [ $? = 1 ] || { cat /tmp/said; fail another code; }
    grep 'a name' /tmp/said || { cat /tmp/said; fail not started; }
    audit 'avc:  denied' logreader.process:s0 security_t permissive=0 || fail no line of the container

    rm /manifests/logreader.yaml
    once || fail not removed
    gone module logreader || fail still in the store
    runcon -t logreader.process cat /etc/passwd && fail still in the kernel
    [ -z "$(find /etc /var -name '*logreader*')" ] || fail left over"#;

async fn a_selinux_profile_is_installed_denies_and_is_removed(images: &Images) -> Result<()> {
    guest(images, Selinux, &[("logreader", PROFILE)])?.run(&script(SCRIPT)).await?.success()?;
    Ok(())
}

async fn a_raw_selinux_profile_is_installed_denies_and_is_removed(images: &Images) -> Result<()> {
    guest(images, Selinux, &[("logreader", RAW)])?.run(&script(SCRIPT)).await?.success()?;
    Ok(())
}

async fn a_permissive_selinux_profile_lets_all_pass_and_says_so(images: &Images) -> Result<()> {
    let object = "kind: SelinuxProfile\nmetadata: {name: watched}\nspec: {mode: Permissive}\n";
    guest(images, Selinux, &[("watched", object)])?
        .run(&script(
            r"once || fail not installed
            runcon -t watched.process cat /etc/shadow || fail shadow
            audit 'avc:  denied' watched.process:s0 shadow_t permissive=1 || fail no line",
        ))
        .await?
        .success()?;
    Ok(())
}

async fn a_profile_that_the_compiler_refuses_stops_no_other(images: &Images) -> Result<()> {
    let bad = "kind: SelinuxProfile\nmetadata: {name: bad}\n\
               spec: {allow: {no_such_type_t: {file: [read]}}}\n";
    guest(images, Selinux, &[("bad", bad), ("logreader", PROFILE)])?
        .run(&script(
            r"once >/tmp/said 2>&1 && fail it says that all is well
            cat /tmp/said
            grep 'bad.*Failed to resolve allow statement' /tmp/said || fail it does not say why
            runcon -t logreader.process cat /etc/passwd >/dev/null || fail the good one is not there
            gone module bad || fail the bad one is there",
        ))
        .await?
        .success()?;
    Ok(())
}

async fn a_selinux_profile_that_a_process_runs_under_stays_until_it_ends(
    images: &Images,
) -> Result<()> {
    guest(images, Selinux, &[("logreader", PROFILE)])?
        .run(&script(
            r"once || fail not installed
            runcon -t logreader.process sleep 1000 &
            confined() { grep -q logreader.process /proc/$!/attr/current; }
            within 10 confined
            rm /manifests/logreader.yaml
            once | grep logreader || fail it does not say that the profile stays
            module logreader || fail taken away from a process
            kill $!
            wait $!
            once || fail not removed
            gone module logreader || fail still in the store",
        ))
        .await?
        .success()?;
    Ok(())
}

async fn a_selinux_module_of_somebody_else_stays(images: &Images) -> Result<()> {
    guest(images, Selinux, &[("logreader", PROFILE)])?
        .text("/tmp/logreader.cil", "(block logreader (blockinherit container))\n")?
        .run(&script(
            r#"semodule -X 400 -i /tmp/logreader.cil || fail not loaded by hand
            store() { sha256sum /var/lib/selinux/default/active/modules/400/logreader/*; }
            before=$(store)
            once && fail it says that all is well
            [ "$(store)" = "$before" ] || fail replaced
            rm /manifests/logreader.yaml
            once || fail removal
            [ "$(store)" = "$before" ] || fail removed
            runcon -t logreader.process cat /etc/passwd >/dev/null || fail another module"#,
        ))
        .await?
        .success()?;
    Ok(())
}
