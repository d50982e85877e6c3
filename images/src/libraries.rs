//! Which libraries a program loads, and its loader, as the headers of the files tell.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use goblin::elf::{
    Elf,
    header::{EM_386, EM_AARCH64, EM_RISCV, EM_S390, EM_X86_64},
};

/// What a program needs to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// The loader, where the program names it.
    pub loader: Option<PathBuf>,
    /// Libraries by name.
    pub libraries: BTreeMap<String, PathBuf>,
    /// For which machine it is, as OCI calls that.
    pub architecture: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a program", path.display())]
    NotElf { path: PathBuf, source: goblin::error::Error },
    #[error("{} is for a machine that is not known here (number {number})", path.display())]
    Machine { path: PathBuf, number: u16 },
    #[error("{} needs {name}, which is not in {}", path.display(), list(folders))]
    Missing { path: PathBuf, name: String, folders: Vec<PathBuf> },
}

/// What one file says of itself.
struct Headers {
    machine: u16,
    loader: Option<PathBuf>,
    libraries: Vec<String>,
}

/// Follows a program through all that it loads, by what the files of this machine say.
pub fn needed(program: &Path) -> Result<Needed, LibraryError> {
    let Headers { machine, loader, libraries } = headers(program)?;
    let (architecture, folders) = machine_of(machine)
        .ok_or_else(|| LibraryError::Machine { path: program.to_owned(), number: machine })?;
    let mut needed = Needed { loader, libraries: BTreeMap::new(), architecture };
    let mut open: Vec<_> = libraries.into_iter().map(|name| (program.to_owned(), name)).collect();
    while let Some((path, name)) = open.pop() {
        // A library may name the loader, which is there already.
        let is_loader = |loader: &PathBuf| loader.file_name() == Some(name.as_ref());
        if needed.libraries.contains_key(&name) || needed.loader.as_ref().is_some_and(is_loader) {
            continue;
        }
        let fits = |path: &PathBuf| headers(path).is_ok_and(|found| found.machine == machine);
        let Some(library) = folders.iter().map(|folder| folder.join(&name)).find(fits) else {
            return Err(LibraryError::Missing { path, name, folders });
        };
        let more = headers(&library)?.libraries;
        open.extend(more.into_iter().map(|name| (library.clone(), name)));
        needed.libraries.insert(name, library);
    }
    Ok(needed)
}

fn headers(path: &Path) -> Result<Headers, LibraryError> {
    let bytes =
        fs::read(path).map_err(|source| LibraryError::Read { path: path.to_owned(), source })?;
    let elf = Elf::parse(&bytes)
        .map_err(|source| LibraryError::NotElf { path: path.to_owned(), source })?;
    Ok(Headers {
        machine: elf.header.e_machine,
        loader: elf.interpreter.map(PathBuf::from),
        libraries: elf.libraries.iter().map(|&name| name.to_owned()).collect(),
    })
}

/// The name of a machine, and the folders in which its loader looks without being told.
fn machine_of(number: u16) -> Option<(&'static str, Vec<PathBuf>)> {
    let (name, triplet) = match number {
        EM_X86_64 => ("amd64", "x86_64-linux-gnu"),
        EM_386 => ("386", "i386-linux-gnu"),
        EM_AARCH64 => ("arm64", "aarch64-linux-gnu"),
        EM_RISCV => ("riscv64", "riscv64-linux-gnu"),
        EM_S390 => ("s390x", "s390x-linux-gnu"),
        _ => return None,
    };
    let debian = ["/lib", "/usr/lib"].map(|folder| Path::new(folder).join(triplet));
    let others = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from);
    Some((name, debian.into_iter().chain(others).collect()))
}

fn list(folders: &[PathBuf]) -> String {
    let names: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_followed_through_its_libraries() {
        let needed = needed(&std::env::current_exe().unwrap()).unwrap();
        assert!(needed.libraries.contains_key("libc.so.6"), "{needed:?}");
        let loader = needed.loader.unwrap();
        assert!(loader.is_absolute());
        let names: Vec<_> = needed.libraries.keys().map(Path::new).collect();
        assert!(!names.contains(&Path::new(loader.file_name().unwrap())), "{names:?}");
    }

    #[test]
    fn what_is_no_program_is_named() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = needed(&manifest).unwrap_err().to_string();
        assert!(error.ends_with("images/Cargo.toml is not a program"), "{error}");
    }
}
