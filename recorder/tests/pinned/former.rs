//! What another version of the recorder has left.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use aya::maps::{Array, Map, MapData};
use libtest_mimic::Failed;
use profile::kinds::seccomp::Arch;
use recorder::{
    apart,
    kernel::{Calls, Recording},
    seen::Access,
};

use super::{BOTH, CALLS, ensure, folder, has, links, recorder_of_accesses, run, says, slot, told};

/// What a map holds, to be changed.
fn in_map<const N: usize>(
    folder: &Path,
    name: &str,
    change: impl FnOnce(&mut [u8; N]),
) -> Result<(), Failed> {
    let map = Map::Array(MapData::from_pin(folder.join(name))?);
    let mut map: Array<_, [u8; N]> = Array::try_from(map)?;
    let mut bytes = map.get(&0, 0)?;
    change(&mut bytes);
    Ok(map.set(0, bytes, 0)?)
}

/// Makes what is pinned look like what a version has left that knows one thing more, and another one less.
fn of_another_version(folder: &Path) -> Result<(), Failed> {
    in_map::<1024>(folder, "map_form", |form| {
        form.copy_within(1..1000, 13);
        form[1..13].copy_from_slice(br#""later":[7],"#);
        // The first one, which did not say where a file's new name begins.
        let events = br#""events":"#;
        if let Some(at) = form.windows(events.len()).position(|words| words == events) {
            form[at + events.len()] = b'1';
        }
    })
}

/// Of everything that is recorded of the namespace of this first process: the calls, and whether some slot is a former one.
fn all_of(recording: &Recording, first: u64) -> Result<(Calls, bool), Failed> {
    let (mut calls, mut former) = (Calls::default(), false);
    for slot in recording.slots() {
        let (_, slot) = slot?;
        if slot.first == first {
            calls = calls.union(&slot.workload);
            former |= slot.former;
        }
    }
    Ok((calls, former))
}

fn made(calls: &Calls, name: &'static str) -> bool {
    calls.by_name(Arch::X86_64).contains(&(Arch::X86_64, Ok(name)))
}

pub(crate) fn another_versions_is_given_until_kept() -> Result<(), Failed> {
    let folder = folder("version")?;
    let mut recorder = recorder_of_accesses(&folder)?;
    let before = run("cat /etc/passwd >/dev/null; mkdir /tmp/cinch-$$; rmdir /tmp/cinch-$$")?;
    // One that goes on through it all.
    let mut script = Command::new("/bin/sh");
    script.args(["-c", "cd /; echo; read line; kill -0 $$"]);
    let mut through = apart::start(script.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    says(&mut through, "")?;
    of_another_version(&folder)?;
    in_map::<2072>(&folder, "map_control", |control| control[8] += 5)?;
    recorder.kill()?;
    recorder.wait()?;
    let mut meanwhile = Vec::new();
    for _ in 0..20 {
        meanwhile.push(run("cd /; kill -0 $$")?);
    }
    for killed in [true, false] {
        let mut recording = Recording::pinned(&folder, BOTH)?;
        ensure(recording.lost().accesses >= 5, "what was lost is not forgotten")?;
        ensure(links(&folder.join("former_0"))? == 0, "programs of the other version have ended")?;
        for first in meanwhile.iter().chain([&before]) {
            let (calls, former) = all_of(&recording, *first)?;
            ensure(former, "the slot is the other version's")?;
            ensure(
                made(&calls, if *first == before { "mkdir" } else { "kill" }),
                "it is all there",
            )?;
        }
        let all = told(&mut recording, before)?;
        let is_it =
            |access: &Access| matches!(access, Access::File { path, .. } if path == "/etc/passwd");
        ensure(all.iter().any(is_it), "the file is told")?;
        if killed {
            continue;
        }
        through.stdin.take().ok_or("no standard input")?.write_all(b"\n")?;
        through.wait()?;
        let (calls, _) = all_of(&recording, through.id().into())?;
        ensure(made(&calls, "chdir") && made(&calls, "kill"), "what goes on is in both")?;
        let gone: Vec<_> = recording.slots().collect::<Result<Vec<_>, _>>()?;
        let gone: Vec<_> = gone.iter().filter(|(_, slot)| slot.former).collect();
        recording.kept()?;
        ensure(folder.join("former_0").exists(), "nobody has said that its slots are not needed")?;
        recording
            .release(&gone.iter().map(|(at, slot)| (*at, slot.namespace)).collect::<Vec<_>>())?;
        for _ in 0..500 {
            recording.accesses(&mut |_, _| {});
            recording.kept()?;
            if !folder.join("former_0").exists() {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        ensure(!folder.join("former_0").exists(), "what is kept is removed")?;
        ensure(recording.lost().accesses >= 5, "what was lost is still not forgotten")?;
        ensure(!all_of(&recording, before)?.1, "and not given any more")?;
    }
    drop(Recording::pinned(&folder, BOTH)?);
    ensure(!folder.join("former_0").exists(), "one's own form is not put aside")?;
    Ok(Recording::unpin(&folder)?)
}

pub(crate) fn what_was_put_aside_in_part_is_put_aside_wholly() -> Result<(), Failed> {
    let folder = folder("part")?;
    drop(Recording::pinned(&folder, CALLS)?);
    let first = run("cd /")?;
    of_another_version(&folder)?;
    // Whoever has begun was killed after these.
    fs::create_dir(folder.join("former_0"))?;
    for name in ["map_form", "map_slots", "link_sys_enter"] {
        fs::rename(folder.join(name), folder.join("former_0").join(name))?;
    }
    let recording = Recording::pinned(&folder, CALLS)?;
    let (calls, former) = all_of(&recording, first)?;
    ensure(former && made(&calls, "chdir"), "it is all there")?;
    // And another version once more, before that was kept.
    of_another_version(&folder)?;
    let second = run("cd /")?;
    let recording = Recording::pinned(&folder, CALLS)?;
    ensure(folder.join("former_1").exists(), "they are apart")?;
    for first in [first, second] {
        ensure(all_of(&recording, first)?.1, "both are given")?;
    }
    Recording::unpin(&folder)?;
    ensure(!folder.exists(), "all of it can be ended")
}

pub(crate) fn what_cannot_be_read_is_no_hindrance() -> Result<(), Failed> {
    let folder = folder("unread")?;
    drop(Recording::pinned(&folder, CALLS)?);
    in_map::<1024>(&folder, "map_form", |form| form.copy_within(5.., 1))?;
    let recording = Recording::pinned(&folder, CALLS)?;
    ensure(!folder.join("former_0").exists(), "it is removed")?;
    let first = run("cd /")?;
    ensure(has(&slot(&recording, first)?, "chdir"), "it is recorded")?;
    Ok(Recording::unpin(&folder)?)
}
