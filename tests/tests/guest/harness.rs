//! Can the guest be believed: do its modules deny, and does all of it come back?

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::guest::{
    Guest,
    Lsm::{AppArmor, Selinux},
    images::Images,
};

use crate::questions;

questions![
    code_output_and_files_of_a_script_come_back,
    a_script_that_does_not_end_is_ended_and_shown,
    apparmor_denies_a_file_and_says_so,
    selinux_denies_a_type_derived_from_the_template_and_says_so,
    runc_starts_a_container_under_an_apparmor_profile,
    runc_starts_a_container_under_a_selinux_label,
    runc_starts_a_container_under_a_seccomp_filter,
];

async fn code_output_and_files_of_a_script_come_back(images: &Images) -> Result<()> {
    let outcome = Guest::new(images, AppArmor)?
        .text("/manifests/a.yaml", "kind: A\n")?
        .file("/usr/bin/mine", Path::new("/bin/true"))?
        .keep("/var/lib/kubelet")
        .keep("/not/there")
        .run(
            "mkdir -p /var/lib/kubelet/seccomp
            cp /manifests/a.yaml /var/lib/kubelet/seccomp/
            chmod 640 /var/lib/kubelet/seccomp/a.yaml
            id -u
            mine && echo mine ran >&2
            exit 7",
        )
        .await?;
    ensure!(outcome.code == 7, "the code is {}", outcome.code);
    ensure!(outcome.output == "0\nmine ran\n", "the output is {:?}", outcome.output);
    let file = outcome.file("/var/lib/kubelet/seccomp/a.yaml");
    ensure!(fs::read_to_string(&file)? == "kind: A\n", "another file came back");
    ensure!(fs::metadata(&file)?.permissions().mode() & 0o777 == 0o640, "the mode is lost");
    ensure!(!outcome.file("/not/there").exists());
    ensure!(outcome.kernel.contains("Linux version"), "no kernel log: {}", outcome.kernel);
    Ok(())
}

async fn a_script_that_does_not_end_is_ended_and_shown(images: &Images) -> Result<()> {
    let error = Guest::new(images, AppArmor)?
        .limit(Duration::from_secs(15))
        .run("echo waiting for nobody; sleep 1000")
        .await
        .err()
        .context("it ended")?;
    let error = format!("{error:#}");
    ensure!(error.contains("the guest was ended, as its script had not"), "{error}");
    ensure!(error.contains("waiting for nobody"), "what it printed is not shown: {error}");
    Ok(())
}

async fn apparmor_denies_a_file_and_says_so(images: &Images) -> Result<()> {
    let profile = "profile by-hand {\n  file,\n  deny /etc/shadow r,\n}\n";
    let outcome = Guest::new(images, AppArmor)?
        .text("/etc/apparmor.d/by-hand", profile)?
        .run(
            "apparmor_parser -r /etc/apparmor.d/by-hand || fail not loaded
            grep '^by-hand (enforce)' /sys/kernel/security/apparmor/profiles || fail not listed
            cat /etc/shadow >/dev/null || fail not readable without
            aa-exec -p by-hand -- cat /etc/passwd >/dev/null || fail passwd
            ! aa-exec -p by-hand -- cat /etc/shadow || fail shadow
            sed -i 's/deny/audit deny/' /etc/apparmor.d/by-hand
            apparmor_parser -r /etc/apparmor.d/by-hand
            ! aa-exec -p by-hand -- cat /etc/shadow || fail shadow
            audit 'apparmor=\"DENIED\"' 'profile=\"by-hand\"' 'name=\"/etc/shadow\"' || fail no line",
        )
        .await?
        .success()?;
    ensure!(outcome.kernel.contains("profile=\"by-hand\" name=\"/etc/shadow\""));
    Ok(())
}

async fn selinux_denies_a_type_derived_from_the_template_and_says_so(
    images: &Images,
) -> Result<()> {
    Guest::new(images, Selinux)?
        .text("/tmp/by-hand.cil", "(block by-hand (blockinherit container))\n")?
        .run(
            "[ \"$(getenforce)\" = Enforcing ] || fail permissive
            semodule -X 400 -i /tmp/by-hand.cil || fail not loaded
            semodule -l | grep by-hand || fail not listed
            cat /etc/shadow >/dev/null || fail not readable without
            runcon -t by-hand.process cat /proc/self/attr/current /etc/passwd || fail passwd
            ! runcon -t by-hand.process cat /etc/shadow || fail shadow
            audit 'avc:  denied' by-hand.process:s0 shadow_t permissive=0 || fail no line
            semodule -X 400 -r by-hand || fail not removed
            ! runcon -t by-hand.process cat /etc/passwd || fail still there",
        )
        .await?
        .success()?;
    Ok(())
}

async fn runc_starts_a_container_under_an_apparmor_profile(images: &Images) -> Result<()> {
    Guest::new(images, AppArmor)?
        .text(
            "/etc/apparmor.d/by-hand",
            "profile by-hand flags=(attach_disconnected) {\n  file,\n  audit deny /etc/shadow r,\n}\n",
        )?
        .run(
            r#"apparmor_parser -r /etc/apparmor.d/by-hand || fail not loaded
            bundle one '"apparmorProfile": "by-hand"' '' \
                sh -c 'cat /proc/self/attr/current /etc/name; cat /etc/shadow'
            runc run -b /srv/one one
            [ $? = 1 ] || fail another code
            audit 'apparmor="DENIED"' 'profile="by-hand"' 'name="/etc/shadow"' || fail no line"#,
        )
        .await?
        .success()
        .and_then(|outcome| {
            ensure!(outcome.output.starts_with("by-hand (enforce)\na name\n"), outcome.output);
            Ok(())
        })
}

async fn runc_starts_a_container_under_a_selinux_label(images: &Images) -> Result<()> {
    Guest::new(images, Selinux)?
        .text("/tmp/by-hand.cil", "(block by-hand (blockinherit container))\n")?
        .run(
            r#"semodule -X 400 -i /tmp/by-hand.cil || fail not loaded
            bundle one '"selinuxLabel": "system_u:system_r:by-hand.process:s0"' '' \
                sh -c 'cat /proc/self/attr/current /etc/name; cat /etc/shadow'
            chcon -t shadow_t /srv/one/rootfs/etc/shadow
            runc run -b /srv/one one
            [ $? = 1 ] || fail another code
            audit 'avc:  denied' by-hand.process:s0 shadow_t permissive=0 || fail no line"#,
        )
        .await?
        .success()
        .and_then(|outcome| {
            let shown = outcome.output.replace('\0', "");
            ensure!(shown.contains("system_u:system_r:by-hand.process:s0a name\n"), shown);
            Ok(())
        })
}

async fn runc_starts_a_container_under_a_seccomp_filter(images: &Images) -> Result<()> {
    Guest::new(images, AppArmor)?
        .run(
            r#"bundle one '' '"seccomp": {
                    "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                    "syscalls": [
                        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"},
                        {"names": ["getuid"], "action": "SCMP_ACT_LOG"}
                    ]}' \
                sh -c 'cat /etc/name; id -u; mkdir /tmp/a'
            runc run -b /srv/one one
            [ $? = 1 ] || fail another code
            audit type=1326 'comm="id"' syscall=102 code=0x7ffc0000 || fail no line"#,
        )
        .await?
        .success()
        .and_then(|outcome| {
            ensure!(outcome.output.starts_with("a name\n0\n"), "not started: {}", outcome.output);
            ensure!(outcome.output.contains("mkdir: can't create directory"), outcome.output);
            Ok(())
        })
}
