//! Follows a real file while it is written, renamed and cut off.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use recorder::logs::{
    From, Loss,
    file::{LogFile, lines::Told},
};
use tempfile::TempDir;

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

struct Log {
    path: PathBuf,
    _folder: TempDir,
}

/// What a reader was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    lines: Vec<String>,
    lost: Vec<Loss>,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a file");
        let path = folder.path().join("audit.log");
        fs::write(&path, "").expect("a file");
        Self { path, _folder: folder }
    }

    fn append(&self, text: &str) {
        appender(&self.path).write_all(text.as_bytes()).expect("a file");
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_file_name(format!("audit.log.{number}"))
    }

    /// As logrotate and auditd do, which keep so many.
    fn rotate(&self, kept: u32) {
        for number in (1..kept).rev() {
            drop(fs::rename(self.numbered(number), self.numbered(number + 1)));
        }
        fs::rename(&self.path, self.numbered(1)).expect("a file");
        fs::write(&self.path, "").expect("a file");
    }
}

fn appender(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).expect("a file")
}

impl Heard {
    /// Reads until this holds.
    fn until(&mut self, log: &mut LogFile, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "heard of {} lines only", self.lines.len());
            self.read(log, Duration::from_millis(20));
        }
    }

    /// Reads what is there.
    fn read(&mut self, log: &mut LogFile, patience: Duration) {
        let mut each = |told: Told<'_>| match told {
            Told::Line(line) => self.lines.push(String::from_utf8(line.to_vec()).expect("a file")),
            Told::Lost(loss) => self.lost.push(loss),
        };
        while log.read(patience, &mut each).expect("a file") {}
    }

    fn told(&self) -> Vec<&str> {
        self.lines.iter().map(String::as_str).collect()
    }
}

fn now(log: &mut LogFile) -> Heard {
    let mut heard = Heard::default();
    heard.read(log, Duration::ZERO);
    heard
}

#[test]
fn begins_at_the_end_or_at_the_start() {
    let log = Log::new();
    log.append("old\nbegun");
    let mut from_end = LogFile::open(&log.path, From::End).unwrap();
    let mut from_start = LogFile::open(&log.path, From::Start).unwrap();
    log.append(" before\nnew\n");
    assert_eq!(now(&mut from_end).told(), [" before", "new"]);
    assert_eq!(now(&mut from_start).told(), ["old", "begun before", "new"]);
}

#[test]
fn a_line_comes_once_it_is_whole() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    log.append("half");
    assert_eq!(now(&mut follower), Heard::default());
    log.append(" and half\nnext");
    assert_eq!(now(&mut follower).told(), ["half and half"]);
}

#[test]
fn a_change_wakes_whoever_waits() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    let mut file = appender(&log.path);
    let writer = std::thread::spawn(move || file.write_all(b"line\n").unwrap());
    let mut heard = Heard::default();
    heard.until(&mut follower, |heard| !heard.lines.is_empty());
    writer.join().unwrap();
    assert_eq!(heard.told(), ["line"]);
}

#[test]
fn what_is_still_written_under_the_old_name_is_read() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    let mut writer = appender(&log.path);
    writer.write_all(b"before\n").unwrap();
    log.rotate(4);
    assert_eq!(now(&mut follower).told(), ["before"]);
    // A syslog daemon goes on until it is told.
    writer.write_all(b"late\n").unwrap();
    assert_eq!(now(&mut follower).told(), ["late"]);
    writer.write_all(b"last\n").unwrap();
    log.append("after\n");
    let heard = now(&mut follower);
    assert_eq!((heard.told(), &heard.lost[..]), (vec!["last", "after"], &[][..]));
}

#[test]
fn several_files_in_turn_are_read_in_order_when_nobody_looked() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    for turn in 0..5 {
        log.append(&format!("{turn}\n"));
        if turn < 4 {
            log.rotate(8);
        }
    }
    let heard = now(&mut follower);
    assert_eq!((heard.told(), &heard.lost[..]), (vec!["0", "1", "2", "3", "4"], &[][..]));
}

#[test]
fn files_that_were_removed_before_they_were_read_are_told() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    log.append("0\n");
    log.rotate(1);
    log.append("1\n");
    log.rotate(1);
    log.append("2\n");
    let heard = now(&mut follower);
    assert_eq!((heard.told(), &heard.lost[..]), (vec!["0", "2"], &[Loss::Cut][..]));
}

#[test]
fn a_file_that_is_cut_off_is_read_from_its_start() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    log.append("one\ntwo\n");
    assert_eq!(now(&mut follower).told(), ["one", "two"]);
    fs::copy(&log.path, log.numbered(1)).unwrap();
    File::options().write(true).open(&log.path).unwrap().set_len(0).unwrap();
    log.append("three\n");
    let heard = now(&mut follower);
    assert_eq!((heard.told(), &heard.lost[..]), (vec!["three"], &[Loss::Cut][..]));
}

#[test]
fn a_file_that_was_cut_off_and_has_grown_again_is_noticed() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    log.append("type=A one\n");
    assert_eq!(now(&mut follower).told(), ["type=A one"]);
    File::options().write(true).open(&log.path).unwrap().set_len(0).unwrap();
    log.append("type=A other\ntype=A longer\n");
    let heard = now(&mut follower);
    let told = vec!["type=A other", "type=A longer"];
    assert_eq!((heard.told(), &heard.lost[..]), (told, &[Loss::Cut][..]));
}

#[test]
fn a_log_that_goes_and_comes_back_is_read_on() {
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    fs::remove_file(&log.path).unwrap();
    assert_eq!(now(&mut follower), Heard::default());
    log.append("back\n");
    assert_eq!(now(&mut follower).told(), ["back"]);
}

#[test]
fn of_many_lines_over_many_files_none_is_lost_and_none_moves() {
    const LINES: usize = 200_000;
    const EACH: usize = 10_000;
    let log = Log::new();
    let mut follower = LogFile::open(&log.path, From::End).unwrap();
    let line = |number: usize| format!("type=SECCOMP msg=audit(1.1:{number}): pid={number}\n");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut file, mut held) = (appender(&log.path), Vec::new());
            for number in 0..LINES {
                held.extend(line(number).into_bytes());
                // Lines are cut wherever the writer's buffer ends.
                if held.len() > 4096 {
                    file.write_all(&held[..4096]).unwrap();
                    held.drain(..4096);
                }
                if number % EACH == EACH - 1 {
                    file.write_all(&std::mem::take(&mut held)).unwrap();
                    log.rotate(u32::try_from(LINES / EACH).unwrap() + 1);
                    file = appender(&log.path);
                }
            }
            file.write_all(b"end\n").unwrap();
        });
        let mut heard = Heard::default();
        heard.until(&mut follower, |heard| heard.lines.last().is_some_and(|line| line == "end"));
        assert_eq!(heard.lost, []);
        assert_eq!(heard.lines.len(), LINES + 1);
        for (number, told) in heard.lines[..LINES].iter().enumerate() {
            assert_eq!(*told, line(number).trim_end());
        }
    });
}
