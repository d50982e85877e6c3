//! Is everything recorded that SELinux reports, of each container, by the names that the kernel gives it?

use anyhow::Result;
use tests::{
    built,
    guest::{Guest, Lsm::Selinux, images::Images},
};

use crate::{agent::script, questions, recording};

questions![
    what_is_recorded_is_what_the_kernel_reports,
    what_was_reported_before_is_recorded_once_more,
    of_two_containers_with_one_context_each_has_what_any_of_them_did,
    what_is_granted_or_of_another_type_is_not_recorded,
];

const WORDS: &str = r#"
# begin NAME: records the container of this name; the profile will be in /tmp/NAME.yaml
begin() {
    cinch record --kind selinux --recorder bpf --container $1 -o /tmp/$1.yaml 2>/tmp/$1.said &
    echo $! >/tmp/$1.pid
    within 30 grep -q recording /tmp/$1.said
}
end() { wait $(cat /tmp/$1.pid) || { cat /tmp/$1.said; fail the recorder of $1; }; grep -q 'nothing lost' /tmp/$1.said || fail lost; }

# container NAME LEVEL SCRIPT
container() {
    bundle $1 "\"selinuxLabel\": \"system_u:system_r:selinuxrecording.process:$2\"" '' sh -c "$3"
    chcon -t var_log_t /srv/$1/rootfs/etc/shadow
    chcon -t lost_found_t /srv/$1/rootfs/etc/name
    runc run -b /srv/$1 $1 >/tmp/$1.out 2>&1 || { cat /tmp/$1.out; fail $1 does not work; }
}

# rules FILE: what a profile allows, as TYPE CLASS PERMISSION
rules() {
    perl -ne 'if (/^  allow:/) { $in = 1; next } next unless $in; s/"//g;
        if (/^    (\S+):$/) { $type = $1 } elsif (/^      (\w+):$/) { $class = $1 }
        elsif (/^      - (\w+)$/) { print "$type $class $1\n" }' $1 | sort -u
}

# The same of the kernel's own lines.
reported() {
    dmesg | grep 'avc:  denied' | perl -ne '
        /\{ (.*?) \}.*scontext=\w+:\w+:([\w.]+).*tcontext=\w+:\w+:([\w.]+).*tclass=(\w+)/ or next;
        next unless $2 eq "selinuxrecording.process";
        $type = $3 eq $2 ? "\@self" : $3;
        print "$type $4 $_\n" for split / /, $1' | sort -u
}
"#;

fn guest(images: &Images) -> Result<Guest> {
    recording::guest(images, Selinux, &["selinuxrecording"])?
        .program("/usr/bin/cinch", &built::program("cinch", "CINCH_BIN")?)
}

async fn ask(images: &Images, body: &str) -> Result<()> {
    let body = format!("{WORDS}once || fail no profile to record under\n{body}");
    guest(images)?.run(&script(&body)).await?.success()?;
    Ok(())
}

async fn what_is_recorded_is_what_the_kernel_reports(images: &Images) -> Result<()> {
    ask(
        images,
        r#"begin one
        work='cat /etc/shadow /etc/name; mkdir /tmp/a; busybox mv /tmp/a /tmp/b; busybox mkfifo /tmp/f'
        work="$work; busybox ln -s x /tmp/l; busybox chmod 700 /tmp; busybox nc -w 1 127.0.0.1 9 </dev/null"
        work="$work; busybox nc -w 1 local:/no; busybox chown 0 /tmp/b; busybox ip addr >/dev/null; echo >>/etc/name"
        container one s0 "$work; true"
        end one
        # With what the profile cannot have.
        { rules /tmp/one.yaml; sed -n 's/^not in the profile: \(.*\) of \(.*\) on \([^:]*\): .*/\3 \2 \1/p' /tmp/one.said; } |
            sort -u >/tmp/recorded
        reported >/tmp/reported
        cat /tmp/recorded
        [ $(wc -l </tmp/recorded) -gt 15 ] || fail too few to tell anything
        diff /tmp/recorded /tmp/reported || fail not what the kernel says"#,
    )
    .await
}

async fn what_was_reported_before_is_recorded_once_more(images: &Images) -> Result<()> {
    ask(
        images,
        r"container before s0 'cat /etc/shadow'
        container then s0 'cat /etc/shadow'
        [ $(dmesg | grep -c 'denied  { read }.*selinuxrecording.*var_log_t') = 1 ] || fail reported twice anyway
        begin one
        container one s0 'cat /etc/shadow'
        end one
        rules /tmp/one.yaml
        rules /tmp/one.yaml | grep -x 'var_log_t file read' || fail not recorded",
    )
    .await
}

async fn of_two_containers_with_one_context_each_has_what_any_of_them_did(
    images: &Images,
) -> Result<()> {
    ask(
        images,
        r"begin one
        begin two
        begin far
        container one s0 'cat /etc/shadow /etc/name'
        container two s0 'cat /etc/shadow; busybox ls / >/dev/null'
        container far s0:c1 'cat /etc/shadow; true'
        end one; end two; end far
        # The kernel has reported it of the first of them alone.
        rules /tmp/two.yaml | grep -x 'var_log_t file read' || fail the second one lacks it
        rules /tmp/far.yaml | grep -x 'var_log_t file read' || fail another level is another context
        rules /tmp/far.yaml | grep lost_found_t && fail it has what others did
        true",
    )
    .await
}

async fn what_is_granted_or_of_another_type_is_not_recorded(images: &Images) -> Result<()> {
    ask(
        images,
        r#"cat >/tmp/told.cil <<END
(auditallow selinuxrecording.process etc_t (file (read)))
END
        semodule -X 400 -i /tmp/told.cil || fail not loaded
        begin one
        bundle one '"selinuxLabel": "system_u:system_r:selinuxrecording.process:s0"' '' sh -c 'cat /etc/name'
        chcon -t etc_t /srv/one/rootfs/etc/name
        runc run -b /srv/one one || fail it does not work
        end one
        audit 'avc:  granted  { read }' selinuxrecording.process etc_t || fail not told
        rules /tmp/one.yaml
        rules /tmp/one.yaml | grep -e etc_t -e mounton -e transition && fail recorded
        true"#,
    )
    .await
}
