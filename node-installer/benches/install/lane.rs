//! A lane in this process, told of objects as a cluster tells of them: one by one.

use std::{
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use daemon::manifests::{Manifest as _, parse};
use node_installer::{
    backend::seccomp::Seccomp,
    lane::{
        Lane,
        thread::{self, Told},
    },
    layout::Layout,
    object::Object,
};
use profile::kinds::selinux::Permitted;
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{
    agent::wait,
    node::{Node, manifest},
};

/// Calls that no manifest has.
const CALLS: [&str; 2] = ["getpgrp", "getsid"];

/// How long it takes from when an object is told of to when its file is there, so many times.
pub(crate) fn changes(node: &Node, count: usize) -> Vec<Duration> {
    let runtime = Runtime::new().unwrap();
    let layout = Layout::new(&node.path("root"), Path::new("/var/lib/kubelet"));
    let backend = Box::new(Seccomp::new(&layout));
    let lane = Lane::open(backend, &layout, Permitted::default(), Arc::default()).unwrap();
    let (tell, told) = mpsc::channel(256);
    let handle = runtime.handle().clone();
    let thread = std::thread::spawn(move || thread::run(lane, told, &handle, &|_, _| ()));
    let change = |turn: usize| {
        let (number, file) = (turn % 50, node.file(turn % 50));
        let before = std::fs::metadata(&file).unwrap().ino();
        let manifest = manifest(number, CALLS[(turn / 50 + 1) % 2]);
        let object = Object::read(parse(&manifest).unwrap().remove(0)).unwrap().unwrap();
        let start = Instant::now();
        tell.blocking_send(Told::Object(Box::new(object))).unwrap();
        wait(|| std::fs::metadata(&file).is_ok_and(|meta| meta.ino() != before));
        start.elapsed()
    };
    let taken = (0..count).map(change).collect();
    drop(tell);
    thread.join().unwrap();
    taken
}
