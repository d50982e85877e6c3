//! A guest with the node installer in it, and the shell words for what it does.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tests::guest::{Guest, Lsm, images::Images};

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
    let program = program("cinch-node-installer", "CINCH_NODE_INSTALLER_BIN")?;
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

/// What a variable of the environment says, or what cargo built beside the folder of this test.
pub(crate) fn program(name: &str, variable: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    let test = env::current_exe()?;
    let folder =
        test.parent().and_then(Path::parent).context("a test lives in target/debug/deps")?;
    let path = folder.join(name);
    ensure!(path.is_file(), "no {}: cargo build --workspace --bins makes it", path.display());
    Ok(path)
}
