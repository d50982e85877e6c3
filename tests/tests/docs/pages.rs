//! Reads the pages: their text, what they quote, and the commands in them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use tests::programs::repository;

/// Each page, with its name.
pub(crate) fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = listed(&repository().join("docs"))
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.push(repository().join("README.md"));
    pages.sort();
    let name = |path: &Path| path.strip_prefix(repository()).unwrap_or(path).display().to_string();
    pages.into_iter().map(|path| (name(&path), read(&path))).collect()
}

/// All files of the repository with one of these endings.
pub(crate) fn sources(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in listed(&folder) {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let ours = !name.starts_with('.') && !["target", "build", "docs"].contains(&name);
            if ours && path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found
}

/// What is between backticks, outside of blocks of code; one that goes on in the next line is put together.
pub(crate) fn spans(page: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            block = !block;
        } else if !block {
            prose += line;
            prose.push('\n');
        }
    }
    let odd = prose.split('`').skip(1).step_by(2);
    odd.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The first block of YAML of a page, as it stands; an empty object without one.
pub(crate) fn yaml(page: &str) -> String {
    let block = page.split_once("```yaml\n").and_then(|(_, rest)| rest.split_once("\n```"));
    block.map_or_else(|| "{}".to_owned(), |(block, _)| block.to_owned())
}

/// Blocks of code of a language, line by line; one that ends with a backslash goes on.
pub(crate) fn commands(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in page.lines().map(str::trim) {
        if let Some(fence) = line.strip_prefix("```") {
            inside = fence == language;
        } else if inside {
            found.push(line.to_owned());
        }
    }
    let text = found.join("\n").replace("\\\n", " ");
    text.lines().map(str::to_owned).collect()
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file of the repository")
}

fn listed(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the repository");
    entries.map(|entry| entry.expect("an entry of the folder").path())
}
