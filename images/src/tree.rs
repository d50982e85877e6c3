//! The files of an image.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// Files and folders by their paths, which begin without `/`; all belong to root and nobody else may write them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<String, Entry>);

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Folder,
    File { bytes: Vec<u8>, executable: bool },
}

impl Tree {
    /// Puts a file there, and the folders that it is in.
    pub fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.put(path, Entry::File { bytes: bytes.into(), executable: false });
    }

    /// The same with a file that can be executed.
    pub fn program(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.put(path, Entry::File { bytes: bytes.into(), executable: true });
    }

    /// Puts a folder there, which may stay empty.
    pub fn folder(&mut self, path: &str) {
        self.put(path, Entry::Folder);
    }

    /// All entries, folders before what is in them.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (&**path, entry))
    }

    /// How many bytes all files have.
    pub fn size(&self) -> usize {
        let size = |entry: &Entry| match entry {
            Entry::Folder => 0,
            Entry::File { bytes, .. } => bytes.len(),
        };
        self.0.values().map(size).sum()
    }

    /// Writes all of it below a folder, which is made.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        fs::create_dir_all(root)?;
        for (path, entry) in self.entries() {
            let path = root.join(path);
            let mode = match entry {
                Entry::Folder => {
                    fs::create_dir_all(&path)?;
                    0o755
                }
                Entry::File { bytes, executable } => {
                    fs::write(&path, bytes)?;
                    if *executable { 0o755 } else { 0o644 }
                }
            };
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    fn put(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..end).unwrap_or_default();
            self.0.entry(folder.to_owned()).or_insert(Entry::Folder);
        }
        self.0.insert(path.to_owned(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.program("/usr/bin/x", "code");
        tree.file("etc/x.conf", "text");
        let paths: Vec<_> = tree.entries().map(|(path, _)| path).collect();
        assert_eq!(paths, ["etc", "etc/x.conf", "usr", "usr/bin", "usr/bin/x"]);
        assert_eq!(tree.size(), 8);
    }
}
