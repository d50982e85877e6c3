//! Puts paths of a folder together when they are many. Pure.
//!
//! 1. Of a folder in which more than [`MANY`] files were used in the same way, every file: `/srv/www/*`, but not those of
//!    folders below. Not where the files were written in a folder that came with the image, or is the kernel's
//!    ([`KEPT`]): there, each stays a rule of its own.
//! 2. Only where more paths are left than a list can have: of a folder with more than [`MANY`] entries, all that is below
//!    it, `/srv/www/**`; the deepest such folders first, and no more of them than are needed. Where that is not enough,
//!    folders with more than half as many entries, and so on. Not where files of the kernel were written.
//!
//! Neither is done to the root folder, nor to one directly below it that every system has ([`OF_SYSTEMS`]): `/etc/*` is
//! nothing that follows from files that were used.

use std::collections::{BTreeMap, BTreeSet};

/// So many files of a folder are named one by one.
pub const MANY: usize = 16;

/// Folders that every system has: they are never put together as a whole.
pub const OF_SYSTEMS: [&str; 20] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt",
    "proc", "root", "run", "sbin", "srv", "sys", "usr", "var",
];

/// Folders of which files that were written are named one by one.
pub const KEPT: [&str; 13] = [
    "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "sbin", "sys",
    "usr",
];

/// The folders of the kernel.
const KERNEL: [&str; 3] = ["dev", "proc", "sys"];

/// What the paths are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Read,
    /// Written, or run.
    Changed,
}

/// The paths, files of one folder together where they are many.
pub fn by_folder(patterns: BTreeSet<String>, used: Use) -> BTreeSet<String> {
    let mut files = BTreeMap::<String, usize>::new();
    for folder in patterns.iter().filter_map(|pattern| folder_of_file(pattern)) {
        *files.entry(folder.to_owned()).or_default() += 1;
    }
    let many = |pattern: &str| {
        let folder = folder_of_file(pattern)?;
        let kept = used == Use::Changed && is_below(folder, &KEPT);
        (files.get(folder)? > &MANY && may_be_whole(folder) && !kept).then(|| format!("{folder}/*"))
    };
    patterns.into_iter().map(|pattern| many(&pattern).unwrap_or(pattern)).collect()
}

/// The paths, put together until they are no more than `most`, or as few as the rules above allow.
pub fn folded(patterns: BTreeSet<String>, used: Use, most: usize) -> BTreeSet<String> {
    let mut patterns = by_folder(patterns, used);
    let mut entries = MANY;
    while patterns.len() > most && entries > 0 {
        let deepest = patterns.iter().map(|pattern| depth(pattern)).max().unwrap_or_default();
        for depth in (1..=deepest).rev() {
            if patterns.len() <= most {
                break;
            }
            patterns = below(patterns, used, depth, entries);
        }
        entries /= 2;
    }
    patterns
}

/// All below each folder of this depth that has more entries than that.
fn below(patterns: BTreeSet<String>, used: Use, depth: usize, entries: usize) -> BTreeSet<String> {
    let mut folders = BTreeMap::<&str, BTreeSet<&str>>::new();
    for pattern in &patterns {
        if let Some((folder, rest)) = split(pattern, depth) {
            let entry = rest.split('/').next().unwrap_or(rest);
            folders.entry(folder).or_default().insert(entry);
        }
    }
    let kept = |folder: &str| used == Use::Changed && is_below(folder, &KERNEL);
    let many: BTreeSet<_> = folders
        .into_iter()
        .filter(|(folder, of_it)| of_it.len() > entries && may_be_whole(folder) && !kept(folder))
        .map(|(folder, _)| folder.to_owned())
        .collect();
    let whole = |pattern: String| match split(&pattern, depth) {
        Some((folder, _)) if many.contains(folder) => format!("{folder}/**"),
        _ => pattern,
    };
    patterns.into_iter().map(whole).collect()
}

/// Whether all that is in a folder may become one entry.
pub fn may_be_whole(folder: &str) -> bool {
    let mut parts = folder.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (None | Some(""), _) => false,
        (Some(first), None) => !OF_SYSTEMS.contains(&first) && is_literal(first),
        (Some(first), Some(_)) => is_literal(first),
    }
}

fn is_below(folder: &str, tops: &[&str]) -> bool {
    folder.split('/').nth(1).is_some_and(|top| tops.contains(&top))
}

fn is_literal(component: &str) -> bool {
    !component.contains(['*', '?', '[', '{', '@'])
}

/// How many folders are above what a path names.
fn depth(pattern: &str) -> usize {
    pattern.trim_end_matches('/').matches('/').count()
}

/// The folder of this depth, and what of the path is below; none where the path is that of the folder, or above.
fn split(pattern: &str, depth: usize) -> Option<(&str, &str)> {
    let (place, _) = pattern.match_indices('/').nth(depth)?;
    let (folder, rest) = pattern.split_at(place);
    let rest = &rest[1..];
    (!rest.is_empty()).then_some((folder, rest))
}

/// The folder of a file; none for a folder.
fn folder_of_file(pattern: &str) -> Option<&str> {
    let (folder, file) = pattern.rsplit_once('/')?;
    (!file.is_empty() && file != "**").then_some(folder)
}

/// The entries that this path would be part of.
pub fn ancestors(pattern: &str) -> impl Iterator<Item = String> {
    let one = folder_of_file(pattern).map(|folder| format!("{folder}/*"));
    let all = (1..depth(pattern).max(1))
        .filter_map(|depth| split(pattern, depth))
        .map(|(folder, _)| format!("{folder}/**"));
    let last = split(pattern, depth(pattern)).map(|(folder, _)| format!("{folder}/**"));
    one.into_iter().chain(all).chain(last).filter(move |above| above != pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn many_files_of_one_folder_become_one_entry_and_others_stay() {
        let many = (0..=MANY).map(|n| format!("/srv/www/{n}.html"));
        let paths = many.chain(["/etc/passwd".into(), "/srv/www/a/b".into(), "/srv/www/a/".into()]);
        let together = by_folder(paths.collect(), Use::Read);
        assert_eq!(together, set(&["/etc/passwd", "/srv/www/*", "/srv/www/a/", "/srv/www/a/b"]));
    }

    #[test]
    fn files_at_the_top_are_never_all_files() {
        let paths: BTreeSet<_> = (0..100).map(|n| format!("/{n}")).collect();
        assert_eq!(folded(paths.clone(), Use::Read, 10), paths);
    }

    #[test]
    fn what_does_not_fit_is_put_together_as_deep_as_that_helps() {
        let modules = (0..40).flat_map(|module| {
            (0..5).map(move |file| format!("/app/node_modules/m{module}/lib/{file}.js"))
        });
        let paths: BTreeSet<_> = modules.chain(["/app/index.js".to_owned()]).collect();
        assert_eq!(folded(paths.clone(), Use::Read, 300), paths, "it fits");
        assert_eq!(folded(paths, Use::Read, 100), set(&["/app/index.js", "/app/node_modules/**"]));
    }

    #[test]
    fn folders_of_every_system_are_never_whole() {
        let paths: BTreeSet<_> = (0..100).map(|n| format!("/etc/{n}/x")).collect();
        assert_eq!(folded(paths, Use::Read, 10).len(), 100);
        assert!(!may_be_whole("/usr") && may_be_whole("/usr/share") && may_be_whole("/data"));
        assert!(!may_be_whole("") && !may_be_whole("/*"));
    }

    #[test]
    fn what_was_written_where_the_image_is_stays_apart_as_long_as_it_fits() {
        let paths = |top: &str| (0..50).map(|n| format!("{top}/a/{n}")).collect::<BTreeSet<_>>();
        assert_eq!(by_folder(paths("/data"), Use::Changed), set(&["/data/a/*"]));
        assert_eq!(by_folder(paths("/usr"), Use::Changed), paths("/usr"));
        assert_eq!(by_folder(paths("/usr"), Use::Read), set(&["/usr/a/*"]));
        assert_eq!(folded(paths("/usr"), Use::Changed, 10), set(&["/usr/a/**"]));
        assert_eq!(folded(paths("/proc"), Use::Changed, 10), paths("/proc"), "never");
    }

    #[test]
    fn a_path_is_part_of_what_was_put_together() {
        let above: Vec<_> = ancestors("/a/b/c").collect();
        assert_eq!(above, ["/a/b/*", "/a/**", "/a/b/**"]);
        assert_eq!(ancestors("/a/b/").collect::<Vec<_>>(), ["/a/**"]);
        assert_eq!(ancestors("/a/b/*").collect::<Vec<_>>(), ["/a/**", "/a/b/**"]);
    }
}
