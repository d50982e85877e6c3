//! Files that a program loads while it runs. What it will load cannot be known; all that it can be expected to load is
//! taken, each file with everything that it offers.
//!
//! A program that can reach a function such as `dlopen` is expected to load:
//!
//! - libraries whose names or paths are texts in it or its libraries, and all libraries in folders whose paths are;
//! - what belongs to a library that it uses, which puts names together itself: the table below;
//! - what whoever asks for the scan names besides.

use super::{
    library::Library,
    reach::Reach,
    texts::{FINDERS, LOADERS, is_library},
};

/// Libraries that are loaded by names which are put together.
struct Known {
    /// When a program can reach one of these, or has it, where it ends with a star: what begins so.
    functions: &'static [&'static str],
    /// Whether that is to be reached, or is enough to be there.
    reached: bool,
    /// Folders with at most one star in each part.
    folders: &'static [&'static str],
    /// What the names of files begin with.
    prefix: &'static str,
}

const KNOWN: &[Known] = &[
    // The name services of the C library.
    Known {
        functions: &[
            "getaddrinfo",
            "getnameinfo",
            "initgroups",
            "getgrouplist",
            "gethost*",
            "getpw*",
            "getgr*",
            "getserv*",
            "getproto*",
            "getnet*",
            "getsp*",
            "getrpc*",
        ],
        reached: true,
        folders: &["/lib/*", "/usr/lib/*", "/lib64", "/usr/lib64", "/lib", "/usr/lib"],
        prefix: "libnss_",
    },
    // Its character sets.
    Known {
        functions: &["iconv_open"],
        reached: true,
        folders: &["/usr/lib/*/gconv", "/usr/lib64/gconv", "/usr/lib/gconv"],
        prefix: "",
    },
    // Modules of Python.
    Known {
        functions: &["PyModule_Create2"],
        reached: false,
        folders: &["/usr/lib/python*", "/usr/local/lib/python*", "/usr/lib64/python*"],
        prefix: "",
    },
    // What OpenSSL and others have beside them comes by the paths that are in them; modules of PAM and SASL likewise.
];

/// How many rounds of loading are followed: what was loaded loads more.
const ROUNDS: usize = 8;

/// Loads what can be expected, until nothing new is reached.
pub(crate) fn load(library: &mut Library<'_>, reach: &mut Reach, asked: &[String]) {
    for path in asked {
        add_all(library, reach, path);
    }
    reach.run();
    for _ in 0..ROUNDS {
        let before = (reach.files.len(), reach.counts().0);
        round(library, reach);
        reach.run();
        if (reach.files.len(), reach.counts().0) == before {
            break;
        }
    }
}

fn round(library: &mut Library<'_>, reach: &mut Reach) {
    let loads = LOADERS.iter().any(|name| reach.uses(name));
    let finds = FINDERS.iter().any(|name| reach.uses(name));
    for file in reach.files.clone() {
        let arch = file.module.arch;
        for text in &file.module.texts {
            if finds && reach.gives(text) {
                reach.find(text);
            }
            if !loads {
                continue;
            }
            if is_library(text) {
                if let Some(found) = library.search(text, arch, &file.path, &file.module.paths) {
                    add(library, reach, &found);
                }
            } else if text.starts_with('/') {
                add_folder(library, reach, text, "");
            }
        }
    }
    for known in KNOWN {
        let is_meant = |name: &str| {
            known.functions.iter().any(|function| match function.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == *function,
            })
        };
        let applies =
            reach.names().any(|name| is_meant(name) && (!known.reached || reach.uses(name)));
        if applies {
            let folders = known.folders.iter().flat_map(|pattern| matching(library, pattern));
            for folder in folders.collect::<Vec<_>>() {
                if known.reached {
                    add_folder(library, reach, &folder, known.prefix);
                } else {
                    add_all(library, reach, &folder);
                }
            }
        }
    }
}

/// Folders that a pattern stands for.
fn matching(library: &Library<'_>, pattern: &str) -> Vec<String> {
    let mut folders = vec![String::new()];
    for part in pattern.split('/').skip(1) {
        let Some(prefix) = part.strip_suffix('*') else {
            for folder in &mut folders {
                *folder = format!("{folder}/{part}");
            }
            continue;
        };
        let inside = |folder: String| {
            let names = library.root.names(&folder).unwrap_or_default();
            let fits = names
                .into_iter()
                .filter(|(name, is_folder)| *is_folder && name.starts_with(prefix));
            fits.map(move |(name, _)| format!("{folder}/{name}")).collect::<Vec<_>>()
        };
        folders = folders.into_iter().flat_map(inside).collect();
    }
    folders
}

/// The libraries that are in a folder itself.
fn add_folder(library: &mut Library<'_>, reach: &mut Reach, folder: &str, prefix: &str) {
    // A program says the paths of many files; libraries of the system are not meant when their folder is named.
    let system = ["/", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];
    let folder = folder.trim_end_matches('/');
    let is_system = system.contains(&folder) || folder.ends_with("-linux-gnu");
    if prefix.is_empty() && (is_system || folder.is_empty()) {
        return;
    }
    for (name, is_folder) in library.root.names(folder).unwrap_or_default() {
        if !is_folder
            && name.starts_with(prefix)
            && is_library(&name)
            && let Ok(found) = library.root.find(&format!("{folder}/{name}"))
        {
            add(library, reach, &found);
        }
    }
}

/// A library, or all that are below a folder.
fn add_all(library: &mut Library<'_>, reach: &mut Reach, path: &str) {
    let below = library.root.files(path);
    let paths = if below.is_empty() { vec![path.to_owned()] } else { below };
    for path in paths.iter().filter(|path| is_library(path)) {
        if let Ok(found) = library.root.find(path) {
            add(library, reach, &found);
        }
    }
}

/// Loads a file, and what it needs.
fn add(library: &mut Library<'_>, reach: &mut Reach, found: &super::root::Found) {
    if !found.head(4).is_ok_and(|head| head == b"\x7fELF") {
        return;
    }
    let Some(loaded) = library.load(found) else { return };
    if reach.files.first().is_some_and(|first| first.module.arch != loaded.module.arch) {
        return;
    }
    reach.add(&loaded, true);
    needed(library, reach, &loaded);
}

/// Adds what a file needs, and what that needs, in the order of the dynamic linker: breadth first.
pub(crate) fn needed(
    library: &mut Library<'_>,
    reach: &mut Reach,
    loaded: &super::library::Loaded,
) {
    let mut left = std::collections::VecDeque::from([loaded.clone()]);
    while let Some(asker) = left.pop_front() {
        let mut paths = asker.module.paths.clone();
        if let Some(first) = reach.files.first() {
            paths.extend(first.module.paths.iter().cloned());
        }
        for name in &asker.module.needed {
            let Some(found) = library.search(name, asker.module.arch, &asker.path, &paths) else {
                let missing = format!("{}: needs {name}, which is not there", asker.path);
                library.unread.insert(missing);
                continue;
            };
            if let Some(loaded) = library.load(&found)
                && !reach.has(&loaded)
            {
                reach.add(&loaded, false);
                left.push_back(loaded);
            }
        }
    }
}
