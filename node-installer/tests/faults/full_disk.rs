//! A disk that is full: what does not fit is said so, what was there is whole, and it goes on when there is room again.

use std::path::Path;

use crate::{
    daemon::{Daemon, eventually},
    listing::{Listing, listing},
    node::{Done, Node, allowing, done, many},
};

crate::tests!(
    &[crate::needs::Need::Mounts];
    what_fits_is_installed_and_the_rest_has_failed,
    what_was_there_stays_whole_when_there_is_no_room_for_its_change,
    nothing_is_put_on_the_node_that_could_not_be_written_down,
    a_running_daemon_goes_on_when_there_is_room_again,
    a_change_that_could_not_be_kept_survives_a_hand_at_its_file,
);

/// Puts a file system of so many pages in the place of a folder.
fn small(folder: &str, pages: usize) -> String {
    format!(
        "mkdir -p \"${folder}\"; mount -t tmpfs -o mode=755,size={}k tmpfs \"${folder}\"",
        pages * 4
    )
}

/// Installs once after some setup. Tells what the folder of profiles has in it then.
fn once_after(node: &Node, setup: &str) -> (Done, Listing) {
    let (copy, program) =
        (node.beside("copy"), "set +e; \"$@\"; code=$?; cp -a \"$SECCOMP\" \"$COPY\"; exit $code");
    let mut command = node.within(&format!("{setup}\n{program}"));
    let done = done(command.args(node.arguments()).arg("--once").env("COPY", &copy));
    let list = if copy.exists() { listing(&copy) } else { Listing::new() };
    (done, list)
}

fn names(listing: &Listing) -> Vec<String> {
    let names = listing.keys().map(|path| path.to_str().unwrap().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

fn what_fits_is_installed_and_the_rest_has_failed() {
    for count in [5, 20] {
        let node = Node::new();
        node.write("many.yaml", &many(count, "read"));
        let (done, listing) = once_after(&node, &small("SECCOMP", 3));
        assert_eq!(done.code, Some(1), "{}", done.log);
        let names = names(&listing);
        assert_eq!(names.len(), 3, "{names:?}");
        for number in 0..count {
            let name = format!("many-{number:04}");
            let whole = names.contains(&format!("{name}.json"));
            let row = done.table.lines().find(|line| line.starts_with(&name)).unwrap();
            assert_eq!(row.contains("Installed"), whole, "{row}");
            let said = format!("SeccompProfile {name}: cannot write /");
            let reason = done.table.lines().find(|line| line.starts_with(&said));
            assert_eq!(reason.is_some_and(|line| line.contains("No space left")), !whole);
        }
        for (path, what) in listing.iter().filter(|(path, _)| **path != *Path::new("")) {
            assert!(what.trim_end().ends_with('}'), "{}: {what}", path.display());
        }
    }
}

fn what_was_there_stays_whole_when_there_is_no_room_for_its_change() {
    for count in [3, 20] {
        let node = Node::new();
        node.write("many.yaml", &many(count, "read"));
        node.once();
        let before = listing(&node.seccomp());
        node.write("many.yaml", &many(count + 1, "read, write"));
        // With what was there, and not a page more.
        let keep = "cp -a \"$SECCOMP\" \"$ROOT/kept\"";
        let fill = "cp -a \"$ROOT/kept/.\" \"$SECCOMP\"; rm -r \"$ROOT/kept\"";
        let setup = format!("{keep}; {}; {fill}", small("SECCOMP", count));
        let (done, after) = once_after(&node, &setup);
        assert_eq!(done.code, Some(1));
        assert_eq!(after, before);
        assert_eq!(done.table.matches(" Failed ").count(), count + 1, "{}", done.table);
    }
}

fn nothing_is_put_on_the_node_that_could_not_be_written_down() {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    node.once();
    node.write("b.yaml", &allowing("b", "read"));
    // The ledger's own file system has room for nothing new.
    let state = "S=\"$ROOT/var/lib/security-profiles-operator\"; cp -a \"$S\" \"$ROOT/kept\"; \
                 mount -t tmpfs -o mode=755,size=12k tmpfs \"$S\"; cp -a \"$ROOT/kept/.\" \"$S\"; rm -r \"$ROOT/kept\"";
    let (done, after) = once_after(&node, state);
    assert_eq!(done.code, Some(1));
    assert_eq!(names(&after), ["a.json"], "{}", done.table);
    assert!(done.table.contains("SeccompProfile b: cannot write /"), "{}", done.table);
    assert_eq!(done.table.matches(" Installed ").count(), 1, "{}", done.table);
}

fn a_running_daemon_goes_on_when_there_is_room_again() {
    let node = Node::new();
    node.write("many.yaml", &many(3, "read"));
    let full = format!("{}; head -c 8192 /dev/zero > \"$SECCOMP/filler\"", small("SECCOMP", 4));
    let daemon = Daemon::start_as(node.within(&full), &node);
    daemon.wait_until_ready();
    let inside = daemon.sees(&node.seccomp());
    eventually("what fits", || daemon.get("/readyz").contains("2 installed, 0 pending, 1 failed"));
    std::fs::remove_file(inside.join("filler")).unwrap();
    eventually("the rest", || daemon.get("/readyz").contains("3 installed, 0 pending, 0 failed"));
    assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 3);
    assert_eq!(daemon.repaired(), 0, "nobody has changed anything: {}", daemon.log());
}

fn a_change_that_could_not_be_kept_survives_a_hand_at_its_file() {
    let node = Node::new();
    node.write("a.yaml", &allowing("a", "read"));
    node.once();
    // Copies of objects have no room; profiles and the ledger have.
    let objects = "O=\"$ROOT/var/lib/security-profiles-operator/objects\"; mount -t tmpfs -o mode=755,size=4k tmpfs \"$O\"; \
                   head -c 4096 /dev/zero > \"$O/filler\"";
    let daemon = Daemon::start_as(node.within(objects), &node);
    daemon.wait_until_ready();
    node.write("a.yaml", &allowing("a", "read, write"));
    eventually("the change", || node.text("a").contains("write"));
    std::fs::write(node.file("a"), "{}").unwrap();
    eventually("put right", || node.text("a").contains("write"));
}
