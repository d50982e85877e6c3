//! From a name that a program has given to the path that AppArmor sees: through links, while somebody is still there to
//! see the same files; else as it was given.

use std::{
    fs::File,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::event::Name;

/// A path, and whether it is a folder's; unknown counts as no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub path: Vec<u8>,
    pub folder: bool,
}

/// The path of a name, as a process sees files.
pub(super) fn resolve(process: Option<u32>, name: &Name<'_>) -> Resolved {
    process.and_then(|process| View::of(process)?.resolve(name)).unwrap_or_else(|| Resolved {
        path: plain(&joined(name.from, name.given)),
        folder: name.folder || name.given.ends_with(b"/"),
    })
}

/// Where a process is, if it still is there.
pub(super) fn current_folder(process: u32) -> Option<Vec<u8>> {
    let folder = std::fs::read_link(format!("/proc/{process}/cwd")).ok()?;
    Some(folder.into_os_string().into_encoded_bytes())
}

/// Files as a process sees them.
struct View {
    root: File,
    /// Where its root is in its mount namespace.
    at: PathBuf,
}

impl View {
    fn of(process: u32) -> Option<Self> {
        let root = format!("/proc/{process}/root");
        Some(Self { at: std::fs::read_link(&root).ok()?, root: File::open(root).ok()? })
    }

    fn resolve(&self, name: &Name<'_>) -> Option<Resolved> {
        let inside = joined(self.below(name.from)?, name.given);
        if name.followed
            && let Some(found) = self.find(&inside)
        {
            return Some(found);
        }
        let folder = inside.ends_with(b"/");
        let trimmed = inside.trim_ascii_end_matches(b'/');
        let (above, last) = match trimmed.iter().rposition(|byte| *byte == b'/') {
            Some(at) => trimmed.split_at(at + 1),
            None => (&b"/"[..], trimmed),
        };
        if matches!(last, b"" | b"." | b"..") {
            return self.find(&inside);
        }
        let path = joined(&self.find(above)?.path, last);
        let from = if name.now_from.is_empty() { name.from } else { name.now_from };
        let now = match name.now {
            b"" => Some(inside),
            absolute if absolute.starts_with(b"/") => Some(absolute.to_vec()),
            now => self.below(from).map(|from| joined(from, now)),
        };
        let folder = folder || name.folder || now.is_some_and(|now| self.is_folder(&now));
        Some(Resolved { path, folder })
    }

    /// A path of the mount namespace as it is below this root; none where it is not.
    fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let at = self.at.as_os_str().as_bytes();
        match path {
            b"" => Some(path),
            path => path.strip_prefix(at.strip_suffix(b"/").unwrap_or(at)),
        }
    }

    /// The path of what is there now, through all links.
    fn find(&self, path: &[u8]) -> Option<Resolved> {
        let found = openat2(
            &self.root,
            Path::new(std::ffi::OsStr::from_bytes(path)),
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
        .ok()?;
        let folder = rustix::fs::fstat(&found).is_ok_and(|about| is_folder(about.st_mode));
        let found = found.as_fd().as_raw_fd();
        let path = std::fs::read_link(format!("/proc/self/fd/{found}")).ok()?;
        let path = path.into_os_string().into_encoded_bytes();
        path.starts_with(b"/").then_some(Resolved { path, folder })
    }

    /// Whether there is a folder, and not only a link to one.
    fn is_folder(&self, path: &[u8]) -> bool {
        openat2(
            &self.root,
            Path::new(std::ffi::OsStr::from_bytes(path)),
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
        .and_then(rustix::fs::fstat)
        .is_ok_and(|about| is_folder(about.st_mode))
    }
}

fn is_folder(mode: u32) -> bool {
    rustix::fs::FileType::from_raw_mode(mode).is_dir()
}

/// A name behind the path that it begins at.
fn joined(from: &[u8], name: &[u8]) -> Vec<u8> {
    let from = from.strip_suffix(b"/").unwrap_or(from);
    let name = name.iter().position(|byte| *byte != b'/').map_or(&b""[..], |at| &name[at..]);
    [from, b"/", name].concat()
}

/// A path without `.`, `..` and empty names, as it is where there are no links.
fn plain(path: &[u8]) -> Vec<u8> {
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    [b"/", &*names.join(&b'/')].concat()
}

/// `trim_end_matches` of text, for bytes.
trait TrimEnd {
    fn trim_ascii_end_matches(&self, byte: u8) -> &Self;
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_matches(&self, byte: u8) -> &Self {
        let end = self.iter().rposition(|other| *other != byte).map_or(0, |at| at + 1);
        &self[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_joined_to_where_it_begins_without_detours() {
        let text = |from: &str, name: &str| {
            String::from_utf8(plain(&joined(from.as_bytes(), name.as_bytes()))).unwrap()
        };
        assert_eq!(text("/", "/etc/passwd"), "/etc/passwd");
        assert_eq!(text("/srv/root", "/etc/passwd"), "/srv/root/etc/passwd");
        assert_eq!(text("/home/me", "a/./../b//c/"), "/home/me/b/c");
        assert_eq!(text("/home", "../../../../x"), "/x");
        assert_eq!(text("", "."), "/");
    }
}
