//! A guest with the node installer in it, and the shell words for what it does.

use anyhow::Result;
use tests::{
    built,
    guest::{Guest, Lsm, images::Images},
};

/// What every script with the node installer may say.
pub(crate) const WORDS: &str = r#"
mkdir -p /manifests
ip link set lo up

# Installs what /manifests holds, once.
once() { cinch-node-installer run --manifests /manifests --once; }

# Starts the daemon; what it logged is shown if the script fails.
agent() {
    cinch-node-installer run --manifests /manifests >/tmp/agent.log 2>&1 &
    agent=$!
    trap '[ $? = 0 ] || tail -n 40 /tmp/agent.log' EXIT
}

loaded() { grep -q "^$1 (" /sys/kernel/security/apparmor/profiles; }
module() { semodule --list-modules=full | grep -q "^400 *$1 "; }
present() { [ -e "$1" ]; }
gone() { ! "$@"; }
"#;

/// A guest with the node installer, and with these objects in `/manifests/NAME.yaml`.
pub(crate) fn guest(images: &Images, lsm: Lsm, objects: &[(&str, &str)]) -> Result<Guest> {
    let program = built::program("cinch-node-installer", "CINCH_NODE_INSTALLER_BIN")?;
    let guest = Guest::new(images, lsm)?.program("/usr/bin/cinch-node-installer", &program)?;
    objects.iter().try_fold(guest, |guest, (name, object)| {
        let object = format!("apiVersion: security-profiles-operator.x-k8s.io/v1\n{object}");
        guest.text(&format!("/manifests/{name}.yaml"), &object)
    })
}

/// A script with the words before it.
pub(crate) fn script(script: &str) -> String {
    format!("{WORDS}{script}")
}
