//! `cinch scan`, of programs made by hand: what is found, what is told where it cannot be found, and what broken files do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::{Command, Output},
};

use proptest::prelude::*;
use recorder::scan::{self, Scope, root::Root};
use serde_json::Value;
use tempfile::TempDir;

const BASE: u64 = 0x40_0000;
const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const RISCV: u16 = 243;

/// A program of these instructions, for a machine.
fn program(machine: u16, code: &[u8]) -> Vec<u8> {
    let size = 120 + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, machine].map(u16::to_le_bytes).concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend([BASE + 120, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(code);
    elf
}

/// `mov eax, 1` or `mov edi, 1`, with another number.
fn load(opcode: u8, number: u32) -> Vec<u8> {
    [&[opcode][..], &number.to_le_bytes()].concat()
}

const EAX: u8 = 0xb8;
const EDI: u8 = 0xbf;
const SYSCALL: [u8; 2] = [0x0f, 0x05];
const INT_80: [u8; 2] = [0xcd, 0x80];

/// A file system.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let files_in = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = files_in.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        files_in
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn cinch(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cinch"))
            .arg("scan")
            .args(arguments)
            .current_dir(self.0.path())
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (_, text, error) = self.cinch(&[&["-o", "json"], arguments].concat());
        assert_ne!(text, "", "{error}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Names of calls that code makes, with their machine.
fn calls(report: &Value) -> Vec<(String, String)> {
    let made = report["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["path"] != Value::Array(vec![]));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    made.map(|call| (text(&call["arch"]), text(&call["name"]))).collect()
}

fn native(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ("SCMP_ARCH_X86_64".to_owned(), (*name).to_owned())).collect()
}

#[test]
fn what_a_library_has_and_a_program_does_not_use_is_not_told() {
    let files = Files::new(&[]);
    let (code, table, said) = files.cinch(&["/bin/true"]);
    assert_eq!(code, 0, "{said}");
    let names: Vec<_> = table.lines().filter_map(|line| line.split(' ').next()).collect();
    for name in ["exit_group", "mmap", "execve", "restart_syscall", "write"] {
        assert!(names.contains(&name), "{name} in {table}");
    }
    for name in ["reboot", "swapon", "mount", "ptrace", "setns"] {
        assert!(!names.contains(&name), "{name} in {table}");
    }
    let report = files.json(&["/bin/true"]);
    assert!(report["anywhere"].as_u64().unwrap() > 2 * names.len() as u64);
}

#[test]
fn a_number_is_followed_from_who_calls_and_by_each_way_into_the_kernel() {
    // call wrapper with 39; int 0x80 with 20; exit_group; ud2. The wrapper: mov eax, edi; syscall; ret.
    let begin = [
        &load(EDI, 39)[..],
        &[0xe8, 16, 0, 0, 0],
        &load(EAX, 20),
        &INT_80,
        &load(EAX, 231),
        &SYSCALL,
        &[0x0f, 0x0b],
    ];
    let code = [&begin.concat()[..], &[0x89, 0xf8], &SYSCALL, &[0xc3]].concat();
    let files = Files::new(&[("program", &program(X86_64, &code))]);
    let report = files.json(&["program"]);
    let by_32_bits = ("SCMP_ARCH_X86".to_owned(), "getpid".to_owned());
    let mut expected = native(&["exit_group", "getpid"]);
    expected.push(by_32_bits);
    let mut found = calls(&report);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(report["unresolved"], Value::Array(vec![]));
}

#[test]
fn a_program_of_arm64_is_followed_through_its_addresses_by_the_numbers_of_that_machine() {
    let code = [
        0x9000_0013_u32, // adrp x19, #0: the page of the program
        0xb400_0041,     // cbz x1, #8
        0x5280_0560,     // mov w0, #43
        0x9102_6260,     // add x0, x19, #152: of the function below
        0xd63f_0000,     // blr x0
        0x5280_0bc8,     // mov w8, #94, exit_group
        0xd400_0001,     // svc #0
        0xd420_0000,     // brk #0
        0x5280_1588,     // mov w8, #172, getpid: at 152
        0xd400_0001,     // svc #0
        0xd65f_03c0,     // ret
    ];
    let code = code.map(u32::to_le_bytes).concat();
    let files = Files::new(&[("program", &program(AARCH64, &code))]);
    let report = files.json(&["program"]);
    let arch = || "SCMP_ARCH_AARCH64".to_owned();
    let expected = ["exit_group", "getpid"].map(|name| (arch(), name.to_owned()));
    assert_eq!(calls(&report), expected);
    assert_eq!(report["unresolved"], Value::Array(vec![]));
    // What the kernel does by itself, there also to come back from a signal's handler.
    let (_, table, _) = files.cinch(&["program"]);
    assert!(table.contains("rt_sigreturn") && table.contains("restart_syscall"), "{table}");
}

#[test]
fn a_number_that_comes_from_memory_is_told_by_place() {
    // mov eax, [rdi]; syscall; hlt
    let code = [&[0x8b, 0x07][..], &SYSCALL, &[0xf4]].concat();
    let files = Files::new(&[("program", &program(X86_64, &code))]);
    let report = files.json(&["program"]);
    assert_eq!(report["unresolved"][0]["address"], BASE + 122, "{report}");
    let (_, _, said) = files.cinch(&["program"]);
    assert!(said.contains("program 0x40007a") && said.contains("cannot be told"), "{said}");
}

#[test]
fn a_profile_is_compared_with_what_can_be_reached() {
    let code = [&load(EAX, 39)[..], &SYSCALL, &load(EAX, 231), &SYSCALL].concat();
    let profile = |names: &str| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":[{names}],"action":"SCMP_ACT_ALLOW"}}]}}"#
        )
    };
    let files = Files::new(&[
        ("program", &program(X86_64, &code)),
        ("narrow", profile(r#""execve","exit_group""#).as_bytes()),
        ("wide", profile(r#""execve","exit_group","getpid","mount","prctl""#).as_bytes()),
    ]);
    let report = files.json(&["--unseen", "narrow", "program"]);
    assert_eq!(report["compared"]["unseen"], serde_json::json!(["getpid"]));
    assert_eq!(files.cinch(&["--unseen", "narrow", "program"]).0, 0);
    let (code, text, _) = files.cinch(&["--unseen", "wide", "program"]);
    assert_eq!(code, 1);
    let report = files.json(&["--unseen", "wide", "program"]);
    assert_eq!(report["compared"]["unreachable"], serde_json::json!(["mount"]), "{text}");
    assert_eq!(report["compared"]["for_runtimes"], serde_json::json!(["prctl"]));
}

#[test]
fn a_root_is_scanned_as_a_whole_or_from_where_it_is_entered() {
    let exit = [&load(EAX, 231)[..], &SYSCALL].concat();
    let pid = [&load(EAX, 39)[..], &SYSCALL, &exit].concat();
    let files = Files::new(&[
        ("root/bin/sh", &program(X86_64, &pid)),
        ("root/bin/end", &program(X86_64, &exit)),
        ("root/bin/script", b"#!/bin/sh -e\necho\n"),
        ("root/bin/other", b"#!/usr/bin/nothing\n"),
        ("root/etc/passwd", b"root"),
    ]);
    // Inside, it leads to the shell; on this machine, to something else.
    symlink("/bin/sh", files.path("root/bin/link")).unwrap();
    let all = files.json(&["root"]);
    assert_eq!(calls(&all), native(&["exit_group", "getpid"]));
    assert_eq!(calls(&files.json(&["root", "--entrypoint", "/bin/end"])), native(&["exit_group"]));
    for path in ["/bin/script", "/bin/link"] {
        let report = files.json(&["root", "--entrypoint", path]);
        assert_eq!(calls(&report), native(&["exit_group", "getpid"]), "{path}");
        assert_eq!(report["files"], serde_json::json!(["/bin/sh"]));
    }
    let by_name = files.json(&["--root", "root", "/bin/end"]);
    assert_eq!(calls(&by_name), native(&["exit_group"]));
}

#[test]
fn what_cannot_be_scanned_is_named() {
    let files = Files::new(&[
        ("riscv", &program(RISCV, &[0; 4])),
        ("text", b"hello"),
        ("root/script", b"#!/bin/nothing\n"),
        ("root/loop", b"#!/loop\n"),
    ]);
    for (arguments, reason) in [
        (&["riscv"][..], "ELF machine 243) are not scanned yet"),
        (&["text"], "not a program or library in ELF"),
        (&["nothing"], "No such file"),
        (&["root", "--entrypoint", "/script"], "its interpreter is not there"),
        (&["root", "--entrypoint", "/loop"], "and so on"),
        (&["root"], "no program in it"),
    ] {
        let (code, table, said) = files.cinch(arguments);
        assert_eq!((code, &*table), (1, ""), "{said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

/// A program of this machine, with all that such a file can have.
fn real() -> Vec<u8> {
    std::fs::read("/bin/true").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_broken_file_is_scanned_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        early in proptest::collection::vec((0_usize..4096, any::<u8>()), 0..20),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = real();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        for (place, byte) in early {
            bytes[place] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        // It is still taken for one.
        let head = bytes.len().min(20);
        bytes[..head].copy_from_slice(&real()[..head]);
        let files = Files::new(&[("bin/true", &bytes)]);
        let root = Root::open(files.0.path()).unwrap();
        let scope = Scope { entrypoints: vec!["/bin/true".to_owned()], plugins: Vec::new() };
        if let Ok(report) = scan::scan(&root, &scope) {
            prop_assert_eq!(report.programs, ["/bin/true"]);
        }
    }
}
