//! Collects the files of an image from what cargo has built and from the packages of this machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    crates::{self, Metadata},
    libraries::{self, LibraryError},
    packages::{self, PackageError},
    recipe::{Recipe, Tool},
    tree::Tree,
};

/// The files of an image.
#[derive(Debug)]
pub struct Gathered {
    pub files: Tree,
    /// For which machine, as OCI calls that.
    pub architecture: &'static str,
}

/// Where things are on this machine.
#[derive(Debug)]
pub struct Sources {
    metadata: Metadata,
    /// The folder of programs.
    binaries: PathBuf,
    repository: PathBuf,
    /// The licences of the standard library.
    rust: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("there is no {}; build it first, as make images does", .0.display())]
    NotBuilt(PathBuf),
    #[error("cannot find {0}, of the Debian package {1}")]
    NoTool(&'static str, &'static str),
    #[error("cannot run {program}")]
    Run { program: &'static str, source: io::Error },
    #[error("{program} failed: {said}")]
    Failed { program: &'static str, said: String },
    #[error("cannot understand what cargo metadata tells")]
    Metadata(#[source] serde_json::Error),
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// Where tools are.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Names of hosts: from the file that Kubernetes writes, then from DNS. Without this file it would be DNS alone.
const NAMES: &str = "hosts: files dns\n";

impl Sources {
    /// Asks cargo what is linked, and where it builds. `profile` is the name of the folder, as `release`.
    pub fn find(repository: &Path, profile: &str) -> Result<Self, GatherError> {
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform"]);
        cargo.arg(platform).current_dir(repository);
        let metadata: Metadata =
            serde_json::from_slice(&output("cargo", cargo)?).map_err(GatherError::Metadata)?;
        let mut rustc = Command::new("rustc");
        rustc.args(["--print", "sysroot"]).current_dir(repository);
        let sysroot = output("rustc", rustc)?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
        Ok(Self {
            binaries: metadata.target_directory.join(profile),
            metadata,
            repository: repository.to_owned(),
            rust: sysroot.join("share/doc/rust"),
        })
    }

    /// Collects all files of an image.
    pub fn gather(&self, recipe: &Recipe) -> Result<Gathered, GatherError> {
        let binary = self.binaries.join(recipe.program);
        if !binary.is_file() {
            return Err(GatherError::NotBuilt(binary));
        }
        let mut files = Tree::default();
        files.program(&recipe.path(), without_debugging(&binary)?);
        let architecture = add_libraries(&mut files, &binary)?;
        for tool in recipe.tools {
            add_tool(&mut files, tool)?;
        }
        self.add_licences(&mut files, recipe)?;
        files.file("etc/nsswitch.conf", NAMES);
        Ok(Gathered { files, architecture })
    }

    /// Our own, and those of what is linked.
    fn add_licences(&self, files: &mut Tree, recipe: &Recipe) -> Result<(), GatherError> {
        let folder = format!("usr/share/doc/{}", recipe.program);
        files.file(&format!("{folder}/LICENSE"), read(&self.repository.join("LICENSE"))?);
        let text = crates::copyright(&self.metadata.linked(recipe.package))
            .map_err(|source| GatherError::Read { path: self.repository.clone(), source })?;
        files.file(&format!("{folder}/copyright"), text);
        let library = "COPYRIGHT-library.html";
        files.file(&format!("usr/share/doc/rust/{library}"), read(&self.rust.join(library))?);
        Ok(())
    }
}

/// A program without what only a debugger reads, which is most of it.
fn without_debugging(path: &Path) -> Result<Vec<u8>, GatherError> {
    let small = tempfile::NamedTempFile::new()
        .map_err(|source| GatherError::Write { path: std::env::temp_dir(), source })?;
    let mut strip = Command::new("strip");
    strip.arg("--strip-all").arg("-o").arg(small.path()).arg(path);
    output("strip", strip)?;
    read(small.path())
}

/// Puts what a program loads where its loader looks; tells for which machine all of it is.
fn add_libraries(files: &mut Tree, program: &Path) -> Result<&'static str, GatherError> {
    let needed = libraries::needed(program)?;
    for path in needed.libraries.values().chain(&needed.loader) {
        files.program(&path.display().to_string(), read(path)?);
        add_copyright(files, &packages::owner(path)?)?;
    }
    Ok(needed.architecture)
}

fn add_tool(files: &mut Tree, tool: &Tool) -> Result<(), GatherError> {
    let places = FOLDERS.map(|folder| Path::new(folder).join(tool.program));
    let program = places.into_iter().find(|path| path.is_file());
    let program = program.ok_or(GatherError::NoTool(tool.program, tool.package))?;
    files.program(&format!("usr/sbin/{}", tool.program), read(&program)?);
    add_libraries(files, &program)?;
    add_copyright(files, tool.package)?;
    for path in packages::files(tool.package)? {
        let name = path.display().to_string();
        match tool.takes(&name) {
            // Some that are empty are looked into.
            true if path.is_dir() => files.folder(&name),
            true => files.file(&name, read(&path)?),
            false => {}
        }
    }
    Ok(())
}

fn add_copyright(files: &mut Tree, package: &str) -> Result<(), GatherError> {
    let path = format!("/usr/share/doc/{package}/copyright");
    let text = read(Path::new(&path))?;
    files.file(&path, text);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, GatherError> {
    fs::read(path).map_err(|source| GatherError::Read { path: path.to_owned(), source })
}

/// What a program prints, or what it complains of.
fn output(program: &'static str, mut command: Command) -> Result<Vec<u8>, GatherError> {
    let output = command.output().map_err(|source| GatherError::Run { program, source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(GatherError::Failed { program, said })
}
