//! Where entries are written: standard output, or a file that is set aside when it has grown.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Why nothing is written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("cannot write {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot print")]
    Print(#[source] io::Error),
}

/// How a file is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When it has so many bytes.
    pub size: u64,
    /// How many are kept: `FILE.1` the latest.
    pub kept: u32,
}

/// Where lines go.
#[derive(Debug)]
pub enum Output {
    Stdout(io::Stdout),
    File { path: PathBuf, file: File, written: u64, rotation: Rotation },
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Self::Stdout(io::stdout())
    }

    /// A file, at whose end is written. Only its owner may read it: entries tell what others do.
    pub fn file(path: &Path, rotation: Rotation) -> Result<Self, OutputError> {
        let failed = |source| OutputError::File { path: path.to_owned(), source };
        let file = open(path).map_err(failed)?;
        let written = file.metadata().map_err(failed)?.len();
        Ok(Self::File { path: path.to_owned(), file, written, rotation })
    }

    /// Writes a line, at once and as a whole.
    pub fn line(&mut self, line: &str) -> Result<(), OutputError> {
        let bytes = [line.as_bytes(), b"\n"].concat();
        match self {
            Self::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(OutputError::Print)
            }
            Self::File { path, file, written, rotation } => {
                let mut write = || {
                    if *written > 0 && *written + bytes.len() as u64 > rotation.size {
                        *file = set_aside(path, rotation.kept)?;
                        *written = 0;
                    }
                    file.write_all(&bytes)?;
                    *written += bytes.len() as u64;
                    Ok(())
                };
                write().map_err(|source| OutputError::File { path: path.clone(), source })
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn set_aside(path: &Path, kept: u32) -> io::Result<File> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..kept).rev() {
        match std::fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if kept == 0 {
        std::fs::remove_file(path)?;
    } else {
        std::fs::rename(path, numbered(1))?;
    }
    open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_never_grows_beyond_its_size_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.json");
        let rotation = Rotation { size: 10, kept: 2 };
        let mut output = Output::file(&path, rotation).unwrap();
        for number in 0..5 {
            output.line(&format!("line{number}")).unwrap();
            // Opened again, it goes on where it was.
            output = Output::file(&path, rotation).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("audit.json"), "line4\n");
        assert_eq!(read("audit.json.1"), "line3\n");
        assert_eq!(read("audit.json.2"), "line2\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_is_longer_than_a_file_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.json");
        let mut output = Output::file(&path, Rotation { size: 3, kept: 0 }).unwrap();
        output.line("abcdef").unwrap();
        output.line("ghijkl").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ghijkl\n");
    }
}
