//! Completions and manual pages, as shells and readers take them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

const CINCH: &str = env!("CARGO_BIN_EXE_cinch");

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(CINCH).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a program that is there says of a text; none where it is not.
fn said(program: &str, arguments: &[&str], text: &str) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let both = [output.stdout, output.stderr].concat();
    let code = output.status.code();
    Some(format!(
        "{}{}",
        String::from_utf8_lossy(&both),
        if code == Some(0) { "" } else { "failed" }
    ))
}

#[test]
fn each_shell_takes_its_completions() {
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let text = printed(&["completions", shell]);
        let words =
            ["record", "run", "--profile", "--kind", "--container", "report", "status", "--wait"];
        for word in words {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(text.contains(word), "{word} for {shell}");
        }
        // A shell that is not there cannot be asked.
        assert_eq!(said(shell, &[check], &text).unwrap_or_default(), "", "{shell}");
    }
}

#[test]
fn bash_completes_a_flag_and_its_values() {
    let text = printed(&["completions", "bash"]);
    let asks = |words: &str, last: &str| {
        format!(
            "{text}\nCOMP_WORDS=({words}); COMP_CWORD={last}; _cinch cinch \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        )
    };
    let Some(answer) = said("bash", &["--norc"], &asks("cinch record --ki", "2")) else { return };
    assert_eq!(answer.trim_end(), "--kind");
    let answer = said("bash", &["--norc"], &asks("cinch record --kind app", "3")).unwrap();
    assert_eq!(answer.trim_end(), "apparmor");
}

#[test]
fn there_is_a_page_for_each_command_and_readers_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(printed(&["man", "--dir", path]), "");
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    for name in [
        "cinch.1",
        "cinch-record.1",
        "cinch-run.1",
        "cinch-merge.1",
        "cinch-man.1",
        "cinch-report.1",
        "cinch-status.1",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} among {names:?}");
    }
    let help = printed(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        // A description that takes more than one line goes on further to the right.
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 8, "{help}");
    for command in commands.iter().filter(|command| **command != "help") {
        assert!(names.contains(&format!("cinch-{command}.1")), "{command}");
    }
    for name in &names {
        let text = std::fs::read_to_string(Path::new(path).join(name)).unwrap();
        // Readers that are not there cannot be asked.
        assert_eq!(said("groff", &["-man", "-ww", "-z"], &text).unwrap_or_default(), "", "{name}");
        assert_eq!(
            said("mandoc", &["-T", "lint", "-W", "error"], &text).unwrap_or_default(),
            "",
            "{name}"
        );
    }
    let record = printed(&["man", "record"]);
    assert_eq!(record, std::fs::read_to_string(folder.path().join("cinch-record.1")).unwrap());
    for part in ["EXIT STATUS", "PRIVILEGES", "CAP_BPF", "\\-\\-container"] {
        assert!(record.contains(part), "{part}");
    }
    let wrong = Command::new(CINCH).args(["man", "nothing"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
}
