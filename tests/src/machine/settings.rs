//! Settings of the kernel that a kubelet changes for the whole machine, and that are put back after it.

use std::{fs, path::Path};

const ALL: &[&str] = &[
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// How they were.
#[derive(Debug)]
pub(super) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    pub(super) fn read() -> Self {
        let read = |name| Some((name, fs::read_to_string(path(name)).ok()?));
        Self(ALL.iter().copied().filter_map(read).collect())
    }

    /// Puts them back, as far as anybody changed them.
    pub(super) fn restore(&self) {
        for (name, value) in &self.0 {
            let now = fs::read_to_string(path(name)).ok();
            if now.as_ref() != Some(value) {
                // What could be changed can be changed back, and there is nobody to tell.
                fs::write(path(name), value).unwrap_or_default();
            }
        }
    }
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new("/proc/sys").join(name)
}
