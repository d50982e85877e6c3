//! What the tests' program does when it is called as another one.

use std::{
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Instant,
};

use libtest_mimic::Failed;

use crate::LIMIT;

/// What it is called with to be another program.
pub(crate) const LOSER: &str = "lose-thread";
pub(crate) const CATCHER: &str = "catch-trap";

/// What a program does of whom a thread is ended: it goes on.
pub(crate) fn lose_thread() -> Result<u8, Failed> {
    let (to, from) = mpsc::channel();
    std::thread::spawn(move || {
        to.send(std::fs::read_link("/proc/thread-self")).unwrap_or_default();
        drop(std::fs::create_dir("a"));
        // Never reached under a filter that ends it.
        std::fs::write("reached", "").unwrap_or_default();
        loop {
            std::thread::park();
        }
    });
    let (task, begun) = (Path::new("/proc").join(from.recv()??), Instant::now());
    while task.exists() {
        if begun.elapsed() > LIMIT || Path::new("reached").exists() {
            return Ok(1);
        }
        std::thread::yield_now();
    }
    Ok(5)
}

/// Whether the signal has come.
static CAUGHT: AtomicBool = AtomicBool::new(false);

extern "C" fn caught(_signal: libc::c_int) {
    CAUGHT.store(true, Ordering::Relaxed);
}

/// What a program does that catches the signal: it goes on.
#[expect(unsafe_code, reason = "there is no other way to catch it")]
pub(crate) fn catch_trap() -> u8 {
    let handler: extern "C" fn(libc::c_int) = caught;
    // SAFETY: the handler sets a flag and nothing else.
    unsafe { libc::signal(libc::SIGSYS, handler as libc::sighandler_t) };
    drop(std::fs::create_dir("a"));
    if CAUGHT.load(Ordering::Relaxed) { 6 } else { 1 }
}
