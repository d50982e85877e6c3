//! What labels processes run under.

use std::collections::BTreeSet;

use crate::layout::Layout;

/// The label of every process on the node, as an LSM shows it in this file below `/proc/PID`.
pub(super) fn labels(layout: &Layout, attribute: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(layout.at("/proc")).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|entry| std::fs::read_to_string(entry.path().join(attribute)).ok())
        .map(|label| label.trim_end_matches(['\0', '\n']).to_owned())
        .collect()
}
