//! What is remembered of files.

use std::{fs, os::unix::fs::symlink};

use proptest::prelude::*;
use rustix::fs::Mode;
use tempfile::TempDir;

use super::*;

fn folder() -> (TempDir, Folder) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::open(temp.path()).unwrap().unwrap();
    (temp, folder)
}

fn look(folder: &Folder, name: &str) -> File {
    Seen::default().look(folder, name).unwrap()
}

#[test]
fn what_is_no_file_of_ours_is_told_apart_and_neither_followed_nor_waited_for() {
    let (temp, folder) = folder();
    fs::write(temp.path().join("file"), "ours").unwrap();
    symlink("file", temp.path().join("link")).unwrap();
    fs::create_dir(temp.path().join("folder")).unwrap();
    rustix::fs::mknodat(&folder, "pipe", FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert_eq!(look(&folder, "file"), File::Content(Digest::of(b"ours")));
    assert_eq!(look(&folder, "link"), File::Other("a link"));
    assert_eq!(look(&folder, "folder"), File::Other("a folder"));
    assert_eq!(look(&folder, "pipe"), File::Other("a special file"));
    assert_eq!(look(&folder, "none"), File::Absent);
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
            prop_assert_eq!(seen.look(&folder, "a").unwrap(), truth);
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
