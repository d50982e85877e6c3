//! Can a container run under the profiles that recordings need, by the names that recordings use?

use std::path::Path;

use anyhow::Result;
use tests::{
    guest::{
        Guest,
        Lsm::{self, AppArmor, Selinux},
        images::Images,
    },
    programs::repository,
};

use crate::{agent, agent::script, questions};

questions![
    under_the_recording_profile_of_apparmor_all_happens_and_is_logged,
    under_the_recording_profile_of_selinux_all_happens_and_is_logged,
    under_the_recording_profile_of_seccomp_all_happens_and_is_logged,
];

/// A guest with the node installer, and with these of the chart's profiles to install.
pub(crate) fn guest(images: &Images, lsm: Lsm, profiles: &[&str]) -> Result<Guest> {
    let folder = Path::new(repository()).join("charts/cinch/profiles");
    profiles.iter().try_fold(agent::guest(images, lsm, &[])?, |guest, name| {
        guest.file(&format!("/manifests/{name}.yaml"), &folder.join(format!("{name}.yaml")))
    })
}

async fn under_the_recording_profile_of_apparmor_all_happens_and_is_logged(
    images: &Images,
) -> Result<()> {
    guest(images, AppArmor, &["apparmorrecording"])?
        .run(&script(
            r#"once || fail not installed
            grep '^apparmorrecording (complain)' /sys/kernel/security/apparmor/profiles || fail not loaded
            bundle one '"apparmorProfile": "apparmorrecording"' '' \
                sh -c 'cat /etc/shadow && mkdir /tmp/a && echo done'
            runc run -b /srv/one one | grep done || fail it does not work
            audit 'apparmor="ALLOWED"' 'profile="apparmorrecording' 'name="/etc/shadow"' || fail no line"#,
        ))
        .await?
        .success()?;
    Ok(())
}

async fn under_the_recording_profile_of_selinux_all_happens_and_is_logged(
    images: &Images,
) -> Result<()> {
    guest(images, Selinux, &["selinuxrecording"])?
        .run(&script(
            r#"once || fail not installed
            [ "$(getenforce)" = Enforcing ] || fail permissive
            bundle one '"selinuxLabel": "system_u:system_r:selinuxrecording.process:s0"' '' \
                sh -c 'cat /etc/shadow && mkdir /tmp/a && echo done'
            chcon -t shadow_t /srv/one/rootfs/etc/shadow
            runc run -b /srv/one one | grep done || fail it does not work
            audit 'avc:  denied' selinuxrecording.process:s0 shadow_t permissive=1 || fail no line"#,
        ))
        .await?
        .success()?;
    Ok(())
}

async fn under_the_recording_profile_of_seccomp_all_happens_and_is_logged(
    images: &Images,
) -> Result<()> {
    guest(images, AppArmor, &["log-enricher-trace"])?
        .run(&script(
            r#"once || fail not installed
            file=/var/lib/kubelet/seccomp/operator/log-enricher-trace.json
            bundle one '"noNewPrivileges": true' "\"seccomp\": $(cat $file)" sh -c 'mkdir /tmp/a && echo done'
            runc run -b /srv/one one | grep done || fail it does not work
            audit type=1326 'comm="mkdir"' syscall=83 code=0x7ffc0000 || fail no line"#,
        ))
        .await?
        .success()?;
    Ok(())
}
