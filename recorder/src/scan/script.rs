//! Which programs the kernel starts for a script.

use super::root::{Found, Root};

/// How much of a script the kernel looks at (`BINPRM_BUF_SIZE` in `linux/binfmts.h`).
pub(crate) const LINE: usize = 256;

/// How many scripts may be interpreters of scripts (`execve(2)`).
pub(crate) const DEEPEST: u8 = 4;

/// Where `env` looks for a program.
const PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The interpreter, and where that is `env`, the program that it starts.
pub(crate) fn interpreters(root: &Root, head: &[u8]) -> Vec<Found> {
    let (program, argument) = first_line(head);
    let mut found: Vec<_> = root.find(&program).into_iter().collect();
    if program.ends_with("/env") && !found.is_empty() {
        let name = argument.split_whitespace().find(|word| {
            // Its options, and what it sets.
            !word.starts_with('-') && !word.contains('=')
        });
        let inside = name.and_then(|name| {
            PATH.iter().find_map(|folder| root.find(&format!("{folder}/{name}")).ok())
        });
        found.extend(inside);
    }
    found
}

/// The program and the argument that the first line names.
fn first_line(head: &[u8]) -> (String, String) {
    let line = head.strip_prefix(b"#!").unwrap_or_default();
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    (program.to_owned(), argument.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_program_and_argument() {
        for (head, program, argument) in [
            ("#!/bin/sh\nexit", "/bin/sh", ""),
            ("#! /usr/bin/env  -S python3 -u\n", "/usr/bin/env", "-S python3 -u"),
            ("#!", "", ""),
        ] {
            assert_eq!(first_line(head.as_bytes()), (program.to_owned(), argument.to_owned()));
        }
    }
}
