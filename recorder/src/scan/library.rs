//! The files of an image, each read once, and where the dynamic linker looks for libraries among them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use profile::kinds::seccomp::Arch;

use super::{
    module::{Module, Wrappers},
    root::{Found, Identity, Root},
};

/// How deep libraries may need libraries.
const DEEPEST: usize = 64;

/// Lines of the linker's configuration that are looked at, included files and all.
const LINES: usize = 10_000;

/// A file that was read.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) identity: Identity,
    pub(crate) path: Arc<str>,
    pub(crate) module: Arc<Module>,
}

/// All that was read.
#[derive(Debug)]
pub(crate) struct Library<'r> {
    pub(crate) root: &'r Root,
    files: HashMap<Identity, Option<Loaded>>,
    folders: Vec<String>,
    /// By machine, as numbers have no order between them.
    wrappers: BTreeMap<Arch, Wrappers>,
    /// Files that could not be read, and why.
    pub(crate) unread: BTreeSet<String>,
}

impl<'r> Library<'r> {
    /// Of an image.
    pub(crate) fn new(root: &'r Root) -> Self {
        Self {
            root,
            files: HashMap::new(),
            folders: configured(root),
            wrappers: BTreeMap::new(),
            unread: BTreeSet::new(),
        }
    }

    /// Reads a file, and before it what it needs.
    pub(crate) fn load(&mut self, found: &Found) -> Option<Loaded> {
        self.load_at(found, 0)
    }

    fn load_at(&mut self, found: &Found, depth: usize) -> Option<Loaded> {
        if let Some(loaded) = self.files.get(&found.identity) {
            return loaded.clone();
        }
        // What needs itself finds that it is not there yet.
        self.files.insert(found.identity, None);
        let bytes = match found.bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.unread.insert(format!("{}: {error}", found.path));
                return None;
            }
        };
        let needs = Module::needs(&bytes);
        if let (Ok(needs), true) = (&needs, depth < DEEPEST) {
            let interpreter = needs.interpreter.as_ref();
            if let Some(found) = interpreter.and_then(|path| self.root.find(path).ok()) {
                self.load_at(&found, depth + 1);
            }
            for name in &needs.needed {
                if let Some(found) = self.search(name, needs.arch, &found.path, &needs.paths) {
                    self.load_at(&found, depth + 1);
                }
            }
        }
        let read = needs
            .and_then(|needs| Module::read(&bytes, self.wrappers.entry(needs.arch).or_default()));
        let module = match read {
            Ok(module) => module,
            Err(error) => {
                self.unread.insert(format!("{}: {error}", found.path));
                return None;
            }
        };
        let known = self.wrappers.entry(module.arch).or_default();
        for (name, wrappers) in &module.wrappers {
            known.entry(name.clone()).or_default().extend(wrappers);
        }
        let (identity, path) = (found.identity, Arc::from(&*found.path));
        let loaded = Loaded { identity, path, module: Arc::new(module) };
        self.files.insert(identity, Some(loaded.clone()));
        Some(loaded)
    }

    /// Looks for a library as the dynamic linker does. Variants for newer processors (`glibc-hwcaps`) are not looked for:
    /// they are the same library, compiled once more.
    pub(crate) fn search(
        &self,
        name: &str,
        arch: Arch,
        asker: &str,
        paths: &[String],
    ) -> Option<Found> {
        let usable = |path: &str| {
            let found = self.root.find(path).ok()?;
            let head = found.head(20).ok()?;
            (machine(&head) == Some(arch)).then_some(found)
        };
        let origin = asker.rsplit_once('/').map_or("", |(folder, _)| folder);
        if name.contains('/') {
            return expand(name, origin, arch).iter().find_map(|path| usable(path));
        }
        let own = paths.iter().flat_map(|path| expand(path, origin, arch));
        let usual = usual(arch);
        let all = own.chain(self.folders.iter().cloned()).chain(usual);
        all.filter(|folder| folder.starts_with('/'))
            .find_map(|folder| usable(&format!("{folder}/{name}")))
    }
}

/// The machine that a file in ELF is for, by its first bytes.
fn machine(head: &[u8]) -> Option<Arch> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    match (head.get(18)?, head.get(19)?) {
        (62, 0) => Some(Arch::X86_64),
        (3, 0) => Some(Arch::X86),
        (183, 0) => Some(Arch::Aarch64),
        _ => None,
    }
}

/// Folders that need not be configured.
fn usual(arch: Arch) -> Vec<String> {
    let triple = triple(arch);
    let folders = [&format!("lib/{triple}"), "lib64", "lib"];
    let local = ["/usr/local/lib".to_owned()];
    let roots = ["", "/usr"];
    let all = roots.iter().flat_map(|root| folders.map(|folder| format!("{root}/{folder}")));
    all.chain(local).collect()
}

fn triple(arch: Arch) -> &'static str {
    match arch {
        Arch::X86 => "i386-linux-gnu",
        Arch::Aarch64 => "aarch64-linux-gnu",
        _ => "x86_64-linux-gnu",
    }
}

/// A path in a file, with what the dynamic linker puts in for the words with a dollar.
fn expand(path: &str, origin: &str, arch: Arch) -> Vec<String> {
    let path = path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    if !path.contains("$LIB") && !path.contains("${LIB}") {
        return vec![path];
    }
    let libs = [&format!("lib/{}", triple(arch)), "lib64", "lib"];
    libs.map(|lib| path.replace("${LIB}", lib).replace("$LIB", lib)).to_vec()
}

/// Folders that the linker is configured to look into: `ld.so.conf` of glibc, the path of musl.
fn configured(root: &Root) -> Vec<String> {
    let mut folders = Vec::new();
    let mut left = vec!["/etc/ld.so.conf".to_owned()];
    let (mut lines, mut seen) = (0, HashSet::new());
    while let Some(path) = left.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        for line in text(root, &path).lines() {
            lines += 1;
            let line = line.split('#').next().unwrap_or_default().trim();
            if lines > LINES {
                return folders;
            }
            match line.strip_prefix("include") {
                Some(pattern) => left.extend(matching(root, pattern.trim())),
                None if line.starts_with('/') => folders.push(line.to_owned()),
                None => {}
            }
        }
    }
    for (name, _) in root.names("/etc").unwrap_or_default() {
        if name.strip_prefix("ld-musl-").is_some_and(|rest| rest.strip_suffix(".path").is_some()) {
            let text = text(root, &format!("/etc/{name}"));
            folders.extend(text.split([':', '\n']).map(str::to_owned));
        }
    }
    folders
}

fn text(root: &Root, path: &str) -> String {
    let bytes = root.find(path).and_then(|found| found.bytes()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Files that a pattern with at most one star, in its last part, stands for.
fn matching(root: &Root, pattern: &str) -> Vec<String> {
    let absolute =
        if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/{pattern}") };
    let Some((folder, name)) = absolute.rsplit_once('/') else { return Vec::new() };
    let Some((before, after)) = name.split_once('*') else { return vec![absolute] };
    let names = root.names(folder).unwrap_or_default();
    let fits = |name: &&(String, bool)| name.0.starts_with(before) && name.0.ends_with(after);
    names.iter().filter(fits).rev().map(|(name, _)| format!("{folder}/{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_from_the_configuration_with_what_it_includes() {
        let folder = tempfile::tempdir().unwrap();
        let etc = folder.path().join("etc");
        std::fs::create_dir_all(etc.join("ld.so.conf.d")).unwrap();
        std::fs::write(etc.join("ld.so.conf"), "include ld.so.conf.d/*.conf\n").unwrap();
        std::fs::write(etc.join("ld.so.conf.d/a.conf"), "# why\n/opt/a/lib\n").unwrap();
        // A file that includes itself.
        std::fs::write(etc.join("ld.so.conf.d/b.conf"), "/opt/b\ninclude /etc/ld.so.conf\n")
            .unwrap();
        std::fs::write(etc.join("ld.so.conf.d/c.txt"), "/opt/c\n").unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert_eq!(configured(&root), ["/opt/a/lib", "/opt/b"]);
    }

    #[test]
    fn a_path_may_be_relative_to_the_file_that_has_it() {
        assert_eq!(expand("$ORIGIN/../lib", "/opt/bin", Arch::X86_64), ["/opt/bin/../lib"]);
        let with_lib = expand("/x/${LIB}", "", Arch::X86);
        assert_eq!(with_lib, ["/x/lib/i386-linux-gnu", "/x/lib64", "/x/lib"]);
    }
}
