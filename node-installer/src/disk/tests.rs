//! Files that are replaced, and what is remembered of them.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use proptest::prelude::*;
use rstest::rstest;
use tempfile::TempDir;

use super::*;

fn folder() -> (TempDir, Folder) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::open(temp.path()).unwrap().unwrap();
    (temp, folder)
}

fn replace(folder: &Folder, name: &str, content: &str) -> Result<(), DiskError> {
    folder.replace(&[(name, content.as_bytes())]).pop().unwrap()
}

fn look(folder: &Folder, name: &str) -> File {
    folder.look(name, &mut Seen::default()).unwrap()
}

fn content(text: &str) -> File {
    File::Content(Digest::of(text.as_bytes()))
}

#[rstest]
#[case::flushed_one_by_one(1)]
#[case::just_below_the_bound(FLUSH_AT_ONCE - 1)]
#[case::flushed_at_once(FLUSH_AT_ONCE)]
#[case::many(1000)]
fn files_are_replaced_and_nothing_else_is_left(#[case] count: usize) {
    let (temp, folder) = folder();
    for text in ["old and longer", "new"] {
        let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        let files: Vec<_> = names.iter().map(|name| (&**name, text.as_bytes())).collect();
        assert!(folder.replace(&files).iter().all(Result::is_ok));
        for name in names {
            assert_eq!(fs::read_to_string(temp.path().join(name)).unwrap(), text);
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), count);
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
    assert_eq!(look(&folder, "a"), File::Other("a link"));
    assert!(folder.read("a").is_err());
    replace(&folder, "a", "ours").unwrap();
    assert_eq!(look(&folder, "a"), content("ours"));
    symlink(&target, temp.path().join("b")).unwrap();
    folder.remove("b").unwrap();
    assert_eq!(look(&folder, "b"), File::Absent);
    assert_eq!(fs::read_to_string(target).unwrap(), "theirs");
}

#[test]
fn a_folder_that_is_a_link_is_not_opened() {
    let (temp, _folder) = folder();
    fs::create_dir(temp.path().join("real")).unwrap();
    symlink(temp.path().join("real"), temp.path().join("link")).unwrap();
    let error = Folder::open(&temp.path().join("link")).unwrap_err();
    assert_eq!(daemon::error::chain(&error).matches("links are not followed").count(), 1);
    assert!(Folder::make(&temp.path().join("link")).is_err());
    assert!(Folder::open(&temp.path().join("nowhere")).unwrap().is_none());
}

#[test]
fn an_empty_folder_in_the_place_of_a_file_goes_and_a_full_one_stays() {
    let (temp, folder) = folder();
    fs::create_dir(temp.path().join("a")).unwrap();
    assert_eq!(look(&folder, "a"), File::Other("a folder"));
    replace(&folder, "a", "ours").unwrap();
    assert_eq!(look(&folder, "a"), content("ours"));
    fs::create_dir_all(temp.path().join("b/theirs")).unwrap();
    let error = daemon::error::chain(&replace(&folder, "b", "ours").unwrap_err());
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
    let (temp, folder) = folder();
    let mode = Mode::from_raw_mode(0o600);
    fs::write(temp.path().join("a"), "").unwrap();
    rustix::fs::mknodat(&folder, "pipe", FileType::Fifo, mode, 0).unwrap();
    assert_eq!(look(&folder, "pipe"), File::Other("a special file"));
    replace(&folder, "pipe", "ours").unwrap();
    assert_eq!(look(&folder, "pipe"), content("ours"));
}

/// What happens to a file between two looks.
#[derive(Clone, Debug)]
enum Hand {
    /// Written in place: the number stays.
    Write(String),
    /// Replaced: another number, or the same one again.
    Replace(String),
    Delete,
    /// Its time of change is put back to what it was, as far as a user can.
    PutBackTime,
}

fn hand() -> impl Strategy<Value = Hand> {
    // Few texts, most of one length, so that a change shows in nothing but the content.
    let text = || prop_oneof![4 => "[ab]{3}", 1 => "[ab]{0,4}"];
    prop_oneof![
        4 => text().prop_map(Hand::Write),
        2 => text().prop_map(Hand::Replace),
        1 => Just(Hand::Delete),
        1 => Just(Hand::PutBackTime),
    ]
}

proptest! {
    #[test]
    fn what_is_remembered_of_a_file_never_hides_a_change(hands in prop::collection::vec(hand(), 1..20)) {
        let (temp, folder) = folder();
        let path = temp.path().join("a");
        let mut seen = Seen::default();
        for hand in hands {
            match &hand {
                Hand::Write(text) => fs::write(&path, text).unwrap(),
                Hand::Replace(text) => {
                    let _absent = fs::remove_file(&path);
                    fs::write(&path, text).unwrap();
                }
                Hand::Delete => drop(fs::remove_file(&path)),
                Hand::PutBackTime => {
                    if let Ok(file) = fs::File::options().write(true).open(&path) {
                        let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
                        file.set_times(times).unwrap();
                    }
                }
            }
            let truth = fs::read(&path).map_or(File::Absent, |text| File::Content(Digest::of(&text)));
            prop_assert_eq!(folder.look("a", &mut seen).unwrap(), truth);
        }
    }

    /// Of a clock that jumps: whatever is remembered was so old when it was read that another change has another stamp.
    #[test]
    fn a_clock_that_jumps_never_hides_a_change(
        steps in prop::collection::vec((any::<bool>(), -5_i64..5, any::<bool>()), 1..60),
    ) {
        // Two readings of a clock that was put back are the same to the nanosecond hardly ever.
        let (mut clock, mut tick) = (1_000_i64, 0);
        let (mut version, mut stamp) = (0, Stamp { inode: 1, size: 3, changed: (clock, 0) });
        let mut seen: Option<(Stamp, i32)> = None;
        for (write, jump, same_tick) in steps {
            if !same_tick {
                clock += jump;
                tick += 1;
            }
            if write {
                version += 1;
                stamp = Stamp { changed: (clock, tick), ..stamp };
            } else if let Some((known, remembered)) = seen && known == stamp {
                prop_assert_eq!(remembered, version);
            } else if !stamp.is_racy(clock) {
                seen = Some((stamp, version));
            }
        }
    }
}

#[test]
fn a_file_that_has_just_changed_is_read_again() {
    let stamp = Stamp { inode: 1, size: 1, changed: (100, 0) };
    assert!(stamp.is_racy(100) && stamp.is_racy(101));
    assert!(!stamp.is_racy(102));
    assert!(stamp.is_racy(50), "the clock was put back");
}
