//! Files that are replaced.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use tempfile::TempDir;

use super::*;
use crate::error::chain;

fn folder() -> (TempDir, Folder) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::open(temp.path()).unwrap().unwrap();
    (temp, folder)
}

fn replace(folder: &Folder, name: &str, content: &str) -> Result<(), DiskError> {
    folder.replace(&[(name, content.as_bytes())]).pop().unwrap()
}

fn holds(folder: &Folder, name: &str, content: &str) -> bool {
    folder.read(name).unwrap() == content.as_bytes()
}

#[test]
fn files_are_replaced_and_nothing_else_is_left() {
    // Flushed one by one, the last that are, all at once, many.
    for count in [1, FLUSH_AT_ONCE - 1, FLUSH_AT_ONCE, 1000] {
        let (temp, folder) = folder();
        for text in ["old and longer", "new"] {
            let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
            let files: Vec<_> = names.iter().map(|name| (&**name, text.as_bytes())).collect();
            assert!(folder.replace(&files).iter().all(Result::is_ok));
            assert!(names.iter().all(|name| holds(&folder, name, text)));
            assert_eq!(fs::read_dir(temp.path()).unwrap().count(), count);
        }
    }
}

#[test]
fn a_file_that_cannot_be_replaced_stops_no_other() {
    let (temp, folder) = folder();
    let long = "n".repeat(256);
    let mut files = vec![(&*long, &b"x"[..])];
    let names: Vec<_> = (0..FLUSH_AT_ONCE).map(|number| number.to_string()).collect();
    files.extend(names.iter().map(|name| (&**name, &b"x"[..])));
    let results = folder.replace(&files);
    assert!(results[0].is_err() && results[1..].iter().all(Result::is_ok));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), FLUSH_AT_ONCE, "no temporary is left");
}

#[test]
fn a_reader_has_the_old_file_until_the_new_one_is_whole() {
    let (temp, folder) = folder();
    replace(&folder, "a", "old").unwrap();
    let before = fs::metadata(temp.path().join("a")).unwrap().ino();
    let mut open = fs::File::open(temp.path().join("a")).unwrap();
    replace(&folder, "a", "new").unwrap();
    let mut text = String::new();
    io::Read::read_to_string(&mut open, &mut text).unwrap();
    assert_eq!(text, "old");
    assert_ne!(fs::metadata(temp.path().join("a")).unwrap().ino(), before);
}

#[test]
fn links_are_replaced_and_removed_but_never_followed() {
    let (temp, folder) = folder();
    let target = temp.path().join("target");
    fs::write(&target, "theirs").unwrap();
    symlink(&target, temp.path().join("a")).unwrap();
    assert!(folder.read("a").is_err());
    replace(&folder, "a", "ours").unwrap();
    assert!(holds(&folder, "a", "ours"));
    symlink(&target, temp.path().join("b")).unwrap();
    folder.remove("b").unwrap();
    assert!(folder.stat("b").unwrap().is_none());
    assert_eq!(fs::read_to_string(target).unwrap(), "theirs");
}

#[test]
fn a_folder_that_is_a_link_is_not_opened() {
    let (temp, _folder) = folder();
    fs::create_dir(temp.path().join("real")).unwrap();
    symlink(temp.path().join("real"), temp.path().join("link")).unwrap();
    let error = Folder::open(&temp.path().join("link")).unwrap_err();
    assert_eq!(chain(&error).matches("links are not followed").count(), 1);
    assert!(Folder::make(&temp.path().join("link")).is_err());
    assert!(Folder::open(&temp.path().join("nowhere")).unwrap().is_none());
}

#[test]
fn an_empty_folder_in_the_place_of_a_file_goes_and_a_full_one_stays() {
    let (temp, folder) = folder();
    fs::create_dir(temp.path().join("a")).unwrap();
    replace(&folder, "a", "ours").unwrap();
    assert!(holds(&folder, "a", "ours"));
    fs::create_dir_all(temp.path().join("b/theirs")).unwrap();
    let error = chain(&replace(&folder, "b", "ours").unwrap_err());
    assert!(error.ends_with("a folder is in its place, and it is not empty"), "{error}");
    assert!(folder.remove("b").is_err());
    assert!(temp.path().join("b/theirs").exists());
    fs::create_dir(temp.path().join("c")).unwrap();
    folder.remove("c").unwrap();
    assert_eq!(folder.names().unwrap().len(), 2);
}

#[test]
fn what_a_killed_process_has_left_is_swept_and_nothing_else_is() {
    let (temp, folder) = folder();
    fs::write(temp.path().join(format!("{TEMPORARY}17")), "half").unwrap();
    fs::write(temp.path().join("theirs"), "theirs").unwrap();
    fs::write(temp.path().join(".cinch"), "theirs").unwrap();
    folder.sweep().unwrap();
    let mut names = folder.names().unwrap();
    names.sort();
    assert_eq!(names, [".cinch", "theirs"]);
}

#[test]
fn a_file_that_is_gone_is_removed_without_an_error() {
    let (_temp, folder) = folder();
    folder.remove("a").unwrap();
}

#[test]
fn a_pipe_is_not_waited_for() {
    let (_temp, folder) = folder();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(&folder, "pipe", rustix::fs::FileType::Fifo, mode, 0).unwrap();
    replace(&folder, "pipe", "ours").unwrap();
    assert!(holds(&folder, "pipe", "ours"));
}
