//! Makes system calls that no container should be allowed, and prints what the kernel answers to each: a name and an
//! error number, 0 for success. The arguments are such that an allowed call changes nothing, or nothing outside.
#![expect(unsafe_code, reason = "raw system calls are what this is for")]

use std::io::{self, Write as _};

use libc::{c_int, c_long};

/// A name, the number of a call, and its arguments.
type Call = (&'static str, c_long, [c_long; 5]);

const NEW_NAMESPACES: &[(&str, c_int)] = &[
    ("clone(CLONE_NEWUSER)", libc::CLONE_NEWUSER),
    ("clone(CLONE_NEWNS)", libc::CLONE_NEWNS),
    ("clone(CLONE_NEWNET)", libc::CLONE_NEWNET),
    ("clone(CLONE_NEWPID)", libc::CLONE_NEWPID),
    ("clone(CLONE_NEWCGROUP)", libc::CLONE_NEWCGROUP),
];

const SOCKETS: &[(&str, c_int, c_int, c_int)] = &[
    ("socket(AF_ALG)", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
    ("socket(AF_BLUETOOTH)", libc::AF_BLUETOOTH, libc::SOCK_RAW, 0),
    ("socket(AF_INET, SOCK_RAW)", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
    ("socket(AF_NETLINK, NETLINK_AUDIT)", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT),
    (
        "socket(AF_NETLINK, NETLINK_NETFILTER)",
        libc::AF_NETLINK,
        libc::SOCK_RAW,
        libc::NETLINK_NETFILTER,
    ),
    ("socket(AF_NETLINK, NETLINK_ROUTE)", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
    ("socket(AF_PACKET)", libc::AF_PACKET, libc::SOCK_RAW, 0),
    ("socket(AF_VSOCK)", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
];

/// Most are given nothing that makes sense: the kernel answers EFAULT, EBADF or EINVAL where it looks at them at all.
const OTHERS: &[Call] = &[
    ("add_key", libc::SYS_add_key, [0; 5]),
    ("bpf", libc::SYS_bpf, [-1, 0, 0, 0, 0]),
    ("chroot", libc::SYS_chroot, [0; 5]),
    ("clone3", libc::SYS_clone3, [0; 5]),
    ("delete_module", libc::SYS_delete_module, [0; 5]),
    ("execveat", libc::SYS_execveat, [-1, 0, 0, 0, 0]),
    ("fanotify_init", libc::SYS_fanotify_init, [-1, -1, 0, 0, 0]),
    ("finit_module", libc::SYS_finit_module, [-1, 0, 0, 0, 0]),
    ("fsopen", libc::SYS_fsopen, [0, -1, 0, 0, 0]),
    ("init_module", libc::SYS_init_module, [0; 5]),
    ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5]),
    ("keyctl", libc::SYS_keyctl, [-1, 0, 0, 0, 0]),
    ("mount", libc::SYS_mount, [0; 5]),
    ("move_mount", libc::SYS_move_mount, [-1, 0, -1, 0, -1]),
    ("name_to_handle_at", libc::SYS_name_to_handle_at, [-1, 0, 0, 0, 0]),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, [-1, 0, 0, 0, 0]),
    ("open_tree", libc::SYS_open_tree, [-1, 0, 0, 0, 0]),
    ("perf_event_open", libc::SYS_perf_event_open, [0, 0, -1, -1, 0]),
    (
        "personality(ADDR_NO_RANDOMIZE)",
        libc::SYS_personality,
        [libc::ADDR_NO_RANDOMIZE as c_long, 0, 0, 0, 0],
    ),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, [-1, 0, 0, 0, 0]),
    ("pivot_root", libc::SYS_pivot_root, [0; 5]),
    ("process_vm_readv", libc::SYS_process_vm_readv, [-1, 0, 0, 0, 0]),
    ("ptrace", libc::SYS_ptrace, [0; 5]),
    ("quotactl", libc::SYS_quotactl, [0; 5]),
    ("request_key", libc::SYS_request_key, [0; 5]),
    ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0]),
    ("swapon", libc::SYS_swapon, [0; 5]),
    ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
    ("umount2", libc::SYS_umount2, [0; 5]),
    ("unshare(CLONE_NEWNS)", libc::SYS_unshare, [libc::CLONE_NEWNS as c_long, 0, 0, 0, 0]),
    ("unshare(CLONE_NEWUSER)", libc::SYS_unshare, [libc::CLONE_NEWUSER as c_long, 0, 0, 0, 0]),
    ("userfaultfd", libc::SYS_userfaultfd, [-1, 0, 0, 0, 0]),
];

fn main() -> io::Result<()> {
    let clones = NEW_NAMESPACES.iter().map(|(name, flag)| {
        let flags = c_long::from(*flag | libc::SIGCHLD);
        (*name, libc::SYS_clone, [flags, 0, 0, 0, 0])
    });
    let sockets = SOCKETS.iter().map(|(name, family, kind, protocol)| {
        let arguments = [*family, *kind, *protocol, 0, 0].map(c_long::from);
        (*name, libc::SYS_socket, arguments)
    });
    for call in clones.chain(sockets).chain(OTHERS.iter().copied()) {
        writeln!(io::stdout(), "{}: {}", call.0, in_a_child(call)?)?;
    }
    Ok(())
}

/// The error number of a call, made by a process that ends with it.
fn in_a_child((_, number, arguments): Call) -> io::Result<c_int> {
    // SAFETY: there is one thread, so the child can do what this process can.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let [first, second, third, fourth, fifth] = arguments;
            // SAFETY: no argument is a pointer but null.
            let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth) };
            let error = io::Error::last_os_error().raw_os_error().unwrap_or_default();
            // SAFETY: the child ends here, as do the children that it may have made, which come here as well.
            unsafe { libc::_exit(if result < 0 { error } else { 0 }) }
        }
        child => {
            let mut status = 0;
            // SAFETY: status outlives the call.
            if unsafe { libc::waitpid(child, &raw mut status, 0) } == child
                && libc::WIFEXITED(status)
            {
                return Ok(libc::WEXITSTATUS(status));
            }
            Err(io::Error::other(format!("the child ended with {status}")))
        }
    }
}
