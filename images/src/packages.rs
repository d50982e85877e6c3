//! What Debian's list of installed packages tells: which package has a file, and which files a package has.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("cannot run dpkg-query: images are built of a Debian system's libraries")]
    Run(#[source] io::Error),
    #[error("no package has {}: its licence is not known", .0.display())]
    Nobodys(PathBuf),
    #[error("the package {0} is not installed; apt-get install {0}")]
    NotInstalled(String),
}

/// The package that has a file.
pub fn owner(path: &Path) -> Result<String, PackageError> {
    let nobodys = || PackageError::Nobodys(path.to_owned());
    let real = path.canonicalize().map_err(|_gone| nobodys())?;
    for name in names(path).into_iter().chain(names(&real)) {
        // One that a `*` would match is not looked for.
        if let Some(line) = query(&["--search", &name])?
            && let Some((package, _)) = line.split_once(": ")
        {
            let package = package.split(',').next().unwrap_or(package);
            return Ok(package.split(':').next().unwrap_or(package).to_owned());
        }
    }
    Err(nobodys())
}

/// The files and folders of a package.
pub fn files(package: &str) -> Result<Vec<PathBuf>, PackageError> {
    let list = query(&["--listfiles", package])?;
    let list = list.ok_or_else(|| PackageError::NotInstalled(package.to_owned()))?;
    Ok(list.lines().filter(|line| line.starts_with('/')).map(PathBuf::from).collect())
}

/// The names that packages may know a file by, where `/lib` is a link to `/usr/lib`.
fn names(path: &Path) -> Vec<String> {
    let path = path.display().to_string();
    let other = path.strip_prefix("/usr").map_or_else(|| format!("/usr{path}"), str::to_owned);
    vec![path, other]
}

/// What it prints; nothing when there is nothing to be found.
fn query(arguments: &[&str]) -> Result<Option<String>, PackageError> {
    let output = Command::new("dpkg-query")
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .map_err(PackageError::Run)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Some(text).filter(|_| output.status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_two_names_where_a_folder_is_a_link() {
        assert_eq!(names(Path::new("/usr/lib/x")), ["/usr/lib/x", "/lib/x"]);
        assert_eq!(names(Path::new("/lib/x")), ["/lib/x", "/usr/lib/x"]);
    }
}
