//! Does a profile of system calls hold in a container, and go when nobody asks for it?

use anyhow::Result;
use tests::guest::{Lsm::AppArmor, images::Images};

use crate::{
    agent::{guest, script},
    questions,
};

questions![
    a_seccomp_profile_is_installed_refuses_and_is_removed,
    a_seccomp_file_of_somebody_else_stays,
];

const PROFILE: &str = "kind: SeccompProfile
metadata: {name: no-mkdir}
spec:
  defaultAction: SCMP_ACT_ALLOW
  architectures: [SCMP_ARCH_X86_64]
  syscalls:
    - {names: [mkdir, mkdirat], action: SCMP_ACT_ERRNO, errnoRet: 1}
    - {names: [getuid], action: SCMP_ACT_LOG}
";

async fn a_seccomp_profile_is_installed_refuses_and_is_removed(images: &Images) -> Result<()> {
    guest(images, AppArmor, &[("no-mkdir", PROFILE)])?
        .run(&script(
            r#"file=/var/lib/kubelet/seccomp/operator/no-mkdir.json
            once || fail not installed
            bundle one '' "\"seccomp\": $(cat $file)" sh -c 'cat /etc/name; id -u; mkdir /tmp/a'
            runc run -b /srv/one one >/tmp/said 2>&1
            [ $? = 1 ] || { cat /tmp/said; fail another code; }
            grep 'a name' /tmp/said || fail not started
            grep "mkdir: can't create directory '/tmp/a': Operation not permitted" /tmp/said || fail made
            audit type=1326 'comm="id"' syscall=102 code=0x7ffc0000 || fail no line

            rm /manifests/no-mkdir.yaml
            once || fail not removed
            gone present $file || fail still there
            [ -z "$(find / -xdev -name '*no-mkdir*')" ] || fail left over"#,
        ))
        .await?
        .success()?;
    Ok(())
}

async fn a_seccomp_file_of_somebody_else_stays(images: &Images) -> Result<()> {
    guest(images, AppArmor, &[("no-mkdir", PROFILE)])?
        .run(&script(
            r#"folder=/var/lib/kubelet/seccomp/operator
            mkdir -p $folder
            echo '{"defaultAction": "SCMP_ACT_LOG"}' >$folder/no-mkdir.json
            cp $folder/no-mkdir.json /tmp/before
            once && fail it says that all is well
            cmp $folder/no-mkdir.json /tmp/before || fail replaced
            rm /manifests/no-mkdir.yaml
            once || fail removal
            cmp $folder/no-mkdir.json /tmp/before || fail removed"#,
        ))
        .await?
        .success()?;
    Ok(())
}
