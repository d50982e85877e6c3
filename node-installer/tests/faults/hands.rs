//! Hands that change, take away or replace what is there: a running daemon puts it right within seconds.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use crate::{
    daemon::{Daemon, eventually},
    node::{Node, allowing},
};

crate::tests!(
    &[];
    a_file_that_was_edited_is_put_right,
    a_file_that_was_truncated_or_deleted_is_put_right,
    a_file_that_was_replaced_by_a_link_is_put_right_and_its_target_is_left_alone,
    a_file_that_was_replaced_by_an_empty_folder_is_put_right,
    a_folder_with_something_in_it_is_not_removed,
    the_folder_as_a_whole_is_made_again_each_time_it_is_deleted,
    what_others_have_put_there_is_never_touched,
    a_file_of_another_owner_is_not_replaced_by_a_profile_of_its_name,
    a_file_that_means_the_same_is_taken_over,
    a_restart_puts_right_what_was_changed_meanwhile,
);

/// The longest that something may be wrong.
const SOON: Duration = Duration::from_secs(5);

fn running() -> (Node, Daemon) {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    node.write("b.yaml", &allowing("b", "read"));
    let daemon = Daemon::ready(&node);
    eventually("installed", || daemon.get("/readyz").contains("2 installed"));
    (node, daemon)
}

/// Disturbs a profile, and sees that it is as before soon after, and that this was counted once.
fn is_put_right(node: &Node, daemon: &Daemon, disturb: impl FnOnce(&Path)) {
    let (file, text, before) = (node.file("a"), node.text("a"), daemon.repaired());
    disturb(&file);
    let right = || {
        let plain = fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file());
        plain && fs::read_to_string(&file).is_ok_and(|there| there == text)
    };
    let took = eventually("put right", right);
    assert!(took < SOON, "took {took:?}");
    eventually("counted", || daemon.repaired() == before + 1);
    let left = fs::read_dir(node.seccomp()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.map(|name| name.into_string().unwrap()).all(|name| !name.starts_with('.')));
}

fn a_file_that_was_edited_is_put_right() {
    let (node, daemon) = running();
    is_put_right(&node, &daemon, |file| {
        fs::write(file, "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}").unwrap();
    });
    // Of the same length, and with its old time.
    is_put_right(&node, &daemon, |file| {
        let before = fs::metadata(file).unwrap();
        let text = fs::read_to_string(file).unwrap().replace("ERRNO", "ALLOW");
        fs::write(file, text).unwrap();
        let times = fs::FileTimes::new().set_modified(before.modified().unwrap());
        fs::File::options().write(true).open(file).unwrap().set_times(times).unwrap();
    });
}

fn a_file_that_was_truncated_or_deleted_is_put_right() {
    let (node, daemon) = running();
    is_put_right(&node, &daemon, |file| drop(fs::File::create(file).unwrap()));
    is_put_right(&node, &daemon, |file| fs::remove_file(file).unwrap());
    is_put_right(&node, &daemon, |file| fs::rename(file, file.with_extension("bak")).unwrap());
}

fn a_file_that_was_replaced_by_a_link_is_put_right_and_its_target_is_left_alone() {
    let (node, daemon) = running();
    let target = node.beside("target");
    fs::write(&target, node.text("a")).unwrap();
    for target in [target.clone(), node.beside("nowhere"), node.file("b")] {
        is_put_right(&node, &daemon, |file| {
            // In one step, so that nothing is put right in between.
            symlink(&target, file.with_extension("new")).unwrap();
            fs::rename(file.with_extension("new"), file).unwrap();
        });
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), node.text("a"));
    fs::hard_link(&target, node.beside("second")).unwrap();
    fs::write(&target, "theirs").unwrap();
    is_put_right(&node, &daemon, |file| fs::rename(node.beside("second"), file).unwrap());
    assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
    assert!(!node.beside("nowhere").exists());
}

fn a_file_that_was_replaced_by_an_empty_folder_is_put_right() {
    let (node, daemon) = running();
    is_put_right(&node, &daemon, |file| swap_for_folder(&node, file, false));
}

fn a_folder_with_something_in_it_is_not_removed() {
    let (node, daemon) = running();
    let file = node.file("a");
    swap_for_folder(&node, &file, true);
    eventually("failed", || daemon.get("/readyz").contains("1 installed, 0 pending, 1 failed"));
    assert_eq!(fs::read_to_string(file.join("theirs")).unwrap(), "theirs");
    let log = daemon.log();
    assert!(log.contains("a folder is in its place"), "{log}");
    fs::remove_dir_all(&file).unwrap();
    eventually("put right", || file.is_file());
}

/// Puts a folder in the place of a file, in one step.
fn swap_for_folder(node: &Node, file: &Path, with_something: bool) {
    let folder = node.beside("folder");
    fs::create_dir(&folder).unwrap();
    if with_something {
        fs::write(folder.join("theirs"), "theirs").unwrap();
    }
    let at = rustix::fs::CWD;
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(at, &folder, at, file, flags).unwrap();
    fs::remove_file(folder).unwrap();
}

fn the_folder_as_a_whole_is_made_again_each_time_it_is_deleted() {
    let (node, daemon) = running();
    for turn in 1..=3 {
        fs::remove_dir_all(node.seccomp()).unwrap();
        let took = eventually("put right", || node.file("a").exists() && node.file("b").exists());
        assert!(took < SOON, "took {took:?}");
        eventually("counted", || daemon.repaired() >= 2 * turn);
    }
    // The new folder is watched as the old one was, whatever its number is.
    let before = node.text("a");
    fs::write(node.file("a"), "").unwrap();
    let took = eventually("put right", || node.text("a") == before);
    assert!(took < SOON, "took {took:?}");
    let above = node.seccomp().parent().unwrap().to_owned();
    fs::rename(&above, node.beside("moved")).unwrap();
    let took = eventually("put right", || node.file("a").exists() && node.file("b").exists());
    assert!(took < SOON, "took {took:?}");
}

fn what_others_have_put_there_is_never_touched() {
    let (node, daemon) = running();
    let theirs = node.seccomp().join("theirs.json");
    fs::write(&theirs, "theirs").unwrap();
    symlink("/nowhere", node.seccomp().join("link.json")).unwrap();
    let stamp = crate::listing::stamps(&theirs);
    is_put_right(&node, &daemon, |file| fs::write(file, "").unwrap());
    node.delete("b.yaml");
    eventually("removed", || !node.file("b").exists());
    assert!(daemon.stop().success());
    assert_eq!(node.purge().code, Some(0));
    assert_eq!(crate::listing::stamps(&theirs), stamp);
    assert!(fs::symlink_metadata(node.seccomp().join("link.json")).unwrap().is_symlink());
    assert_eq!(fs::read_dir(node.seccomp()).unwrap().count(), 2);
}

fn a_file_of_another_owner_is_not_replaced_by_a_profile_of_its_name() {
    let node = Node::new();
    fs::create_dir_all(node.seccomp()).unwrap();
    fs::write(node.file("a"), "theirs").unwrap();
    symlink("/nowhere", node.file("b")).unwrap();
    fs::create_dir(node.file("c")).unwrap();
    for name in ["a", "b", "c", "d"] {
        node.write(&format!("{name}.yaml"), &allowing(name, "read"));
    }
    let done = node.once();
    assert_eq!(done.code, Some(1));
    for what in ["a: a file", "b: a link", "c: a folder"] {
        let said = format!("SeccompProfile {what} of this name was not put on the node by Cinch");
        assert!(done.table.contains(&said), "{}", done.table);
    }
    assert_eq!(node.text("a"), "theirs");
    assert!(node.file("d").is_file());
    for name in ["a", "b", "c", "d"] {
        node.delete(&format!("{name}.yaml"));
    }
    assert_eq!(node.once().code, Some(0));
    assert_eq!(node.purge().code, Some(0));
    assert_eq!(fs::read_dir(node.seccomp()).unwrap().count(), 3);
}

fn a_file_that_means_the_same_is_taken_over() {
    let node = Node::new();
    fs::create_dir_all(node.seccomp()).unwrap();
    let text = r#"{"syscalls":[{"action":"SCMP_ACT_ALLOW","names":["read"]}],"defaultAction":"SCMP_ACT_ERRNO"}"#;
    fs::write(node.file("a"), text).unwrap();
    node.write("a.yaml", &allowing("a", "read"));
    assert_eq!(node.once().code, Some(0));
    node.delete("a.yaml");
    assert_eq!(node.once().code, Some(0));
    assert!(!node.file("a").exists());
}

fn a_restart_puts_right_what_was_changed_meanwhile() {
    let (node, daemon) = running();
    let before = node.text("a");
    assert!(daemon.stop().success());
    fs::write(node.file("a"), before.replace("ERRNO", "ALLOW")).unwrap();
    fs::remove_file(node.file("b")).unwrap();
    let daemon = Daemon::ready(&node);
    eventually("put right", || node.file("b").exists() && node.text("a") == before);
    eventually("counted", || daemon.repaired() == 2);
}
