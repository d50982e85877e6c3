//! Stands in for the auditd of a machine: writes the kernel's audit records down as that does. The kernel sends them to its
//! first network only, which is not the one inside.

use std::{fs::File, io::Write as _, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};
use recorder::logs::netlink::{Netlink, Told};

const PATIENCE: Duration = Duration::from_secs(1);

/// Begins to write, as long as this process lives. Where nobody may listen there are no records.
pub(super) fn start(log: &Path) -> Result<()> {
    let mut log = File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
    let Ok(mut netlink) = Netlink::listen() else { return Ok(()) };
    thread::spawn(move || {
        let mut lines = String::new();
        while netlink.read(PATIENCE, &mut |told| lines.push_str(&line(&told))).is_ok() {
            if log.write_all(lines.as_bytes()).is_err() {
                break;
            }
            lines.clear();
        }
    });
    Ok(())
}

fn line(told: &Told<'_>) -> String {
    match told {
        Told::Message(message) => {
            let kind = match message.kind {
                1326 => "SECCOMP".to_owned(),
                1400 => "AVC".to_owned(),
                other => format!("UNKNOWN[{other}]"),
            };
            format!("type={kind} msg={}\n", message.text)
        }
        Told::Lost(_) => "type=DAEMON_ERR msg=audit(0.0:0): records were lost\n".to_owned(),
    }
}
