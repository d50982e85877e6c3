//! Programs of arm64 at work, in an emulator that tells what they call: `qemu-user` with `-strace`.

use std::{collections::BTreeSet, fs, path::Path};

use profile::{kinds::seccomp::Arch, syscall};

use crate::{
    ground::Ground,
    work::{NGINX, REDIS, Work},
};

/// What can be put to work there: an emulated program cannot start another one.
pub(crate) const ALL: &[Work] = &[
    NGINX,
    REDIS,
    Work {
        name: "python3",
        command: &["python3", "/srv/work.py"],
        programs: &["/usr/bin/python3"],
        user: 0,
        prepare: |ground| ground.write("work.py", PYTHON),
        clients: |_, _| Ok(()),
    },
];

const PYTHON: &str = r#"
import ctypes, hashlib, json, mmap, os, select, shutil, signal, socket, sqlite3, ssl, tempfile, threading, time, zlib
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
accepted.sendall(b"a word")
assert client.recv(9) == b"a word"
socket.getaddrinfo("localhost", 80)
one, other = socket.socketpair()
one.sendmsg([b"a"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bytes(4))])
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
child = os.fork()
if child == 0: os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "file")
    with open(path, "wb") as file:
        file.write(b"x" * 100000)
        os.fsync(file.fileno())
    os.chmod(path, 0o600); os.utime(path); os.truncate(path, 5)
    os.symlink(path, path + "1"); os.readlink(path + "1"); os.link(path, path + "2")
    os.rename(path + "2", path + "3"); shutil.copy(path, path + "4")
    base = sqlite3.connect(path + "5")
    base.execute("create table t (a)"); base.commit()
poll = select.epoll(); poll.register(server.fileno()); poll.poll(0.01)
select.select([server], [], [], 0.01)
caught = []
signal.signal(signal.SIGALRM, lambda *of: caught.append(of))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
assert caught
memory = mmap.mmap(-1, 1 << 20); memory.close()
os.sched_getaffinity(0); os.getgroups(); os.umask(0o22); os.nice(1); os.getloadavg(); os.times(); os.cpu_count()
ctypes.CDLL(None).getpid()
ssl.create_default_context(); hashlib.sha256(os.urandom(16)); zlib.compress(json.dumps([1]).encode())
"#;

const LOG: &str = "calls";

/// What a program calls while it is put to work.
pub(crate) fn record(root: &Path, work: &Work) -> Result<BTreeSet<&'static str>, String> {
    let ground = Ground::new(root, &Ground::root()?, work.user)?;
    (work.prepare)(&ground)?;
    let [program, arguments @ ..] = work.command else { return Err("no command".to_owned()) };
    let path = work.programs.iter().find(|path| path.ends_with(&format!("/{program}")));
    let log = format!("/srv/{LOG}");
    let emulator = ["qemu-aarch64-static", "-strace", "-D", &log, path.ok_or("no such program")?];
    let mut running = ground.start(&[&emulator[..], arguments].concat())?;
    (work.clients)(&ground, &running)?;
    let said = running.end()?;
    let log = fs::read(ground.work().join(LOG)).map_err(|error| error.to_string())?;
    let calls = calls(&String::from_utf8_lossy(&log));
    if calls.is_empty() { Err(format!("nothing was told: {said}")) } else { Ok(calls) }
}

/// The calls in lines such as `17 openat(AT_FDCWD,...`. Those that several processes have written at once are passed over.
fn calls(log: &str) -> BTreeSet<&'static str> {
    let named = log.lines().filter_map(|line| {
        let (process, rest) = line.split_once(' ')?;
        let (name, _) = rest.split_once('(')?;
        process.parse::<u32>().ok()?;
        syscall::name(Arch::Aarch64, syscall::number(Arch::Aarch64, name)?)
    });
    named.collect()
}
