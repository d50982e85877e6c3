//! Does what is recorded on this kernel let a container work, and nothing more?

use anyhow::Result;
use tests::{
    built,
    guest::{Guest, Lsm::AppArmor, images::Images},
};

use crate::questions;

questions![
    a_command_is_recorded,
    accesses_are_recorded_where_no_hook_is_called,
    a_container_works_under_what_was_recorded_and_cannot_do_more,
    a_container_is_recorded_by_its_id_from_its_first_call,
    what_a_filter_refuses_is_told,
    whoever_may_not_record_is_told_what_is_missing,
];

fn guest(images: &Images) -> Result<Guest> {
    Guest::new(images, AppArmor)?.program("/usr/bin/cinch", &built::program("cinch", "CINCH_BIN")?)
}

async fn a_command_is_recorded(images: &Images) -> Result<()> {
    guest(images)?
        .run(
            r"cinch record --base none -o /tmp/p.yaml -- sh -c 'mkdir /tmp/a; exit 3' 2>/tmp/said
            [ $? = 3 ] || { cat /tmp/said; fail another code; }
            grep 'nothing lost' /tmp/said || fail lost
            grep -w mkdir /tmp/p.yaml || fail not recorded
            grep -w unshare /tmp/p.yaml && fail recorded what nobody called
            true",
        )
        .await?
        .success()?;
    Ok(())
}

async fn accesses_are_recorded_where_no_hook_is_called(images: &Images) -> Result<()> {
    guest(images)?
        .without_hooks()
        .run(
            r"cinch record --kind apparmor --format raw -o /tmp/p -- cat /etc/passwd >/dev/null 2>/tmp/said ||
                { cat /tmp/said; fail not recorded; }
            cat /tmp/said
            grep 'by tracepoints: files' /tmp/said || fail told by something else
            grep -w '/etc/passwd' /tmp/p || { cat /tmp/p; fail the file is missing; }",
        )
        .await?
        .success()?;
    Ok(())
}

async fn a_container_works_under_what_was_recorded_and_cannot_do_more(
    images: &Images,
) -> Result<()> {
    guest(images)?
        .run(
            r#"work='cat /etc/name; ls /tmp; id -u'
            bundle plain '' '' sh -c "$work"
            cd /srv/plain/rootfs
            cinch record --format raw -o /tmp/p.json -- \
                /usr/sbin/chroot /srv/plain/rootfs /bin/sh -c "$work" || fail not recorded
            cd /
            bundle one '"noNewPrivileges": true' "\"seccomp\": $(cat /tmp/p.json)" sh -c "$work"
            runc run -b /srv/one one >/tmp/said 2>&1 || { cat /tmp/said /tmp/p.json; fail it cannot start; }
            grep 'a name' /tmp/said || { cat /tmp/said; fail it does not work; }
            bundle two '"noNewPrivileges": true' "\"seccomp\": $(cat /tmp/p.json)" sh -c 'mkdir /tmp/a'
            runc run -b /srv/two two >/tmp/said 2>&1 && fail it can do more
            grep 'Operation not permitted' /tmp/said || { cat /tmp/said; fail for another reason; }"#,
        )
        .await?
        .success()?;
    Ok(())
}

async fn a_container_is_recorded_by_its_id_from_its_first_call(images: &Images) -> Result<()> {
    guest(images)?
        .run(
            r#"cinch record --container work-17 --format raw -o /tmp/p.json 2>/tmp/said &
            within 30 grep -q recording /tmp/said
            bundle one '"noNewPrivileges": true' '' sh -c 'mkdir /tmp/a; echo done'
            runc run -b /srv/one work-17 || fail not started
            wait $! || { cat /tmp/said; fail it does not end; }
            cat /tmp/said
            grep -w mkdir /tmp/p.json || fail not recorded
            grep -w -e unshare -e mount -e pivot_root /tmp/p.json && fail recorded what the runtime did
            bundle two '"noNewPrivileges": true' "\"seccomp\": $(cat /tmp/p.json)" \
                sh -c 'mkdir /tmp/a; echo done'
            runc run -b /srv/two again | grep done || fail it does not work under it"#,
        )
        .await?
        .success()?;
    Ok(())
}

async fn what_a_filter_refuses_is_told(images: &Images) -> Result<()> {
    let filter = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
        [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"#;
    guest(images)?
        .text("/filter.json", filter)?
        .run(
            r#"cinch record --container work-17 -o /tmp/p.yaml 2>/tmp/said &
            within 30 grep -q recording /tmp/said
            bundle one '"noNewPrivileges": true' "\"seccomp\": $(cat /filter.json)" \
                sh -c 'mkdir /tmp/a; rmdir /tmp/no; cat /tmp/no; echo done'
            runc run -b /srv/one work-17
            wait $! || fail it does not end
            cat /tmp/said
            grep 'refused by the filter .*: mkdir$' /tmp/said || fail not told
            grep -w mkdir /tmp/p.yaml && fail taken for what it may do
            true"#,
        )
        .await?
        .success()?;
    Ok(())
}

async fn whoever_may_not_record_is_told_what_is_missing(images: &Images) -> Result<()> {
    guest(images)?
        .run(
            r#"perl -e '($(, $)) = (65534, "65534 65534"); ($<, $>) = (65534, 65534); exec @ARGV' \
                cinch record -- true 2>/tmp/said && fail recorded without the right to
            cat /tmp/said
            grep CAP_BPF /tmp/said || fail not told"#,
        )
        .await?
        .success()?;
    Ok(())
}
