//! Which crates are linked into a program, and the licences that they come with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// What `cargo metadata` tells.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_members: BTreeSet<String>,
    /// Where cargo builds.
    pub target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// A crate of somebody else's, in a program of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    pub name: String,
    pub version: String,
    /// As its author says in a word.
    pub licence: String,
    folder: PathBuf,
}

impl Metadata {
    /// The crates that are linked into what is built of a package, those of the workspace left out.
    pub fn linked(&self, package: &str) -> Vec<Linked> {
        let packages: BTreeMap<_, _> =
            self.packages.iter().map(|package| (&*package.id, package)).collect();
        let nodes: BTreeMap<_, _> =
            self.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
        let mut open: Vec<&str> = self
            .packages
            .iter()
            .filter(|found| found.name == package && self.workspace_members.contains(&found.id))
            .map(|found| &*found.id)
            .collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            // A macro runs in the compiler: neither it nor what it needs becomes part of the program.
            let stays = packages.get(id).is_some_and(|package| !package.is_macro());
            if stays && seen.insert(id) {
                let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
                open.extend(dependencies.filter(|to| to.is_linked()).map(|to| &*to.pkg));
            }
        }
        let others = seen.into_iter().filter(|&id| !self.workspace_members.contains(id));
        let mut linked: Vec<_> =
            others.filter_map(|id| packages.get(id)).map(|package| package.linked()).collect();
        linked.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        linked
    }
}

impl Package {
    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    fn linked(&self) -> Linked {
        Linked {
            name: self.name.clone(),
            version: self.version.clone(),
            licence: self.license.clone().unwrap_or_else(|| "see below".to_owned()),
            folder: self.manifest_path.parent().unwrap_or_else(|| Path::new("/")).to_owned(),
        }
    }
}

impl Dependency {
    /// Neither for tests nor for what runs while it is built.
    fn is_linked(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

impl Linked {
    /// The texts of its licences and notices, as its folder has them.
    fn texts(&self) -> io::Result<Vec<String>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
            let names = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
            if path.is_file() && names.iter().any(|prefix| name.starts_with(prefix)) {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        let text = |path| Ok(String::from_utf8_lossy(&fs::read(path)?).trim_end().to_owned());
        paths.into_iter().map(text).collect()
    }
}

/// One text of all: the crates first, then each licence once, and whose it is.
pub fn copyright(crates: &[Linked]) -> io::Result<String> {
    let mut parts = vec!["These crates are part of the program.\n".to_owned()];
    // In the order in which they are first met.
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    for linked in crates {
        let name = format!("{} {}", linked.name, linked.version);
        for licence in linked.texts()? {
            match texts.iter_mut().find(|(there, _)| *there == licence) {
                Some((_, names)) => names.push(name.clone()),
                None => texts.push((licence, vec![name.clone()])),
            }
        }
        parts.push(format!("{name}: {}", linked.licence));
    }
    for (licence, mut names) in texts {
        names.dedup();
        parts.push(format!("\n{}\n{}\n\n{licence}", "-".repeat(72), names.join(", ")));
    }
    Ok(parts.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(folder: &Path) -> Metadata {
        let package = |name: &str, kind: &str| {
            json!({
                "id": name, "name": name, "version": "1.0.0", "license": "MIT",
                "manifest_path": folder.join(name).join("Cargo.toml"), "targets": [{ "kind": [kind] }],
            })
        };
        let to = |name: &str, kind: Option<&str>| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        serde_json::from_value(json!({
            "packages": [
                package("ours", "bin"), package("also-ours", "lib"), package("linked", "lib"),
                package("deep", "lib"), package("macro", "proc-macro"), package("in-macro", "lib"),
                package("builds", "lib"), package("tests", "lib"),
            ],
            "workspace_members": ["ours", "also-ours"],
            "target_directory": "/target",
            "resolve": { "nodes": [
                { "id": "ours", "deps": [
                    to("also-ours", None), to("linked", None), to("macro", None),
                    to("builds", Some("build")), to("tests", Some("dev")),
                ] },
                { "id": "also-ours", "deps": [to("linked", None)] },
                { "id": "linked", "deps": [to("deep", None)] },
                { "id": "macro", "deps": [to("in-macro", None)] },
            ] },
        }))
        .unwrap()
    }

    #[test]
    fn only_what_becomes_part_of_the_program_is_linked() {
        let linked = metadata(Path::new("/")).linked("ours");
        let names: Vec<_> = linked.iter().map(|linked| &*linked.name).collect();
        assert_eq!(names, ["deep", "linked"]);
    }

    #[test]
    fn a_licence_that_many_have_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        for (name, file) in [("deep", "LICENSE-MIT"), ("linked", "license.txt")] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join(file), "Do what you like.\n").unwrap();
            fs::write(folder.path().join(name).join("README"), "not a licence").unwrap();
        }
        let text = copyright(&metadata(folder.path()).linked("ours")).unwrap();
        let rule = "-".repeat(72);
        let expected = format!(
            "These crates are part of the program.\n\ndeep 1.0.0: MIT\nlinked 1.0.0: MIT\n\n{rule}\ndeep 1.0.0, linked 1.0.0\n\nDo what you like.\n"
        );
        assert_eq!(text, expected);
    }
}
