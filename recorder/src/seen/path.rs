//! Paths as a profile names them: what is another one each time becomes a glob. Pure.
//!
//! | what                                              | such as                             | becomes                 |
//! |---------------------------------------------------|-------------------------------------|-------------------------|
//! | a process, a task of it, one of its descriptors   | `/proc/17/task/18/fd/3`             | `/proc/@{pid}/task/@{tid}/fd/[0-9]*` |
//! | a UUID, 12 or more hexadecimal digits             | `/v/123e4567-e89b-…`, `cri-4f2a….scope` | `/v/[0-9a-f]*-*-*-*-*`, `cri-[0-9a-f]*.scope` |
//! | the time stamp of a volume of Kubernetes          | `..2026_11_21_10_20_30.123456`      | `..[0-9]*`              |
//! | the end of a pod's name                           | `web-7d4b9c8f6d-x2x9z`              | `web-*-?????`           |
//! | a random part of a name, as `mktemp` makes it     | `tmp.Xk29fQpL0a`, `sedAbC1dE`       | `tmp.??????????`, `sed??????` |
//! | a number that is a part of the name of a file     | `base/16384/2619_fsm`, `x.1234`     | `base/[0-9]*/[0-9]*_fsm`, `x.[0-9]*` |
//! | a processor or the like below `/sys/devices`      | `cpu17`                             | `cpu[0-9]*`             |
//!
//! What comes with an image (below [`OF_IMAGES`]) is the same in every container: there, numbers are versions, and stay;
//! so do the names of shared libraries everywhere. Nothing becomes broader than that: a component stays one component, and
//! keeps all that is before the first random part of it; [`is_alike`] says it for two paths.

use name::Place;
pub(crate) use name::escaped;

mod name;

/// Folders at the top that hold what came with the image.
pub const OF_IMAGES: [&str; 13] = [
    "bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "snap", "srv",
    "usr",
];

/// Folders in which every program makes files with random names.
const TEMPORARY: [&str; 6] = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run", "/run/lock"];

/// The path of a rule.
pub fn general(path: &str) -> String {
    let components: Vec<&str> = path.split('/').collect();
    let named = (0..components.len()).map(|place| component(&components, place));
    named.collect::<Vec<_>>().join("/")
}

/// The address of a unix socket that is in no file system: behind its `@` it is whatever the program likes, and often a
/// path, or five digits that the kernel has chosen.
pub(crate) fn address(address: &str) -> String {
    const CHOSEN: &str = "[0-9a-f]";
    match address.strip_prefix('@') {
        Some(digits) if digits.len() == 5 && digits.bytes().all(is_chosen) => {
            format!("@{}", CHOSEN.repeat(digits.len()))
        }
        // As apparmor.d(5) writes what no glob stands for.
        _ => address.split('\0').map(general).collect::<Vec<_>>().join(r"\000"),
    }
}

fn is_chosen(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'a'..=b'f')
}

/// One component, as what is before it says what it can be.
fn component(components: &[&str], at: usize) -> String {
    let text = components[at];
    let before = &components[..at];
    match (before, text) {
        (["", "proc"], "self") => return "@{pid}".to_owned(),
        (["", "proc"], "thread-self") => return "@{pid}/task/@{tid}".to_owned(),
        (["", "proc"], _) if name::is_number(text) => return "@{pid}".to_owned(),
        (["", "proc", _, "task"], _) if name::is_number(text) => return "@{tid}".to_owned(),
        (["", "proc", .., "fd" | "fdinfo"], _) if name::is_number(text) => {
            return "[0-9]*".to_owned();
        }
        (["", "proc", .., "map_files"], range) if range.contains('-') => {
            return "[0-9a-f]*-[0-9a-f]*".to_owned();
        }
        (["", "proc", ..], _) => return escaped(text),
        _ => {}
    }
    let is_file = at + 1 == components.len();
    let place = match before.get(1) {
        None => Place::OfImage,
        Some(&"sys") => Place::Device,
        Some(top) if OF_IMAGES.contains(top) => Place::OfImage,
        Some(_) if is_below_temporary(before) => Place::Temporary,
        Some(_) => Place::Data,
    };
    name::general(text, place, is_file)
}

fn is_below_temporary(before: &[&str]) -> bool {
    TEMPORARY.iter().any(|folder| {
        let mut parts = before.iter();
        folder.split('/').all(|part| parts.next() == Some(&part))
    })
}

/// Whether a rule for one path may also allow another: both have as many components, and each of the one is that of the
/// other, or begins as it and both go on with digits or with what looks random.
pub fn is_alike(seen: &str, other: &str) -> bool {
    let (seen, other): (Vec<_>, Vec<_>) = (seen.split('/').collect(), other.split('/').collect());
    seen.len() == other.len()
        && seen.iter().zip(&other).all(|(seen, other)| {
            seen == other
                || name::random_at(seen).is_some_and(|end| other.starts_with(&seen[..end]))
        })
}

#[cfg(test)]
mod tests;
