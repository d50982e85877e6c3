//! Images made by hand: one layer of files of this machine, in an archive as container runtimes import it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An image that is not written yet.
#[derive(Debug)]
pub struct Image {
    name: String,
    config: Value,
    root: TempDir,
}

impl Image {
    /// An empty one, called `localhost/NAME`.
    pub fn new(name: &str) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("cinch-image-").tempdir()?;
        // A container's user may be anybody.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self { name: format!("localhost/{name}"), config: json!({}), root })
    }

    /// Has a copy of a file, with its mode.
    pub fn file(self, path: &str, source: &Path) -> Result<Self> {
        fs::copy(source, self.place(path)?)
            .with_context(|| format!("cannot copy {}", source.display()))?;
        Ok(self)
    }

    /// Has a program of another root, with all the libraries that it names.
    pub fn program(mut self, root: &Path, path: &str) -> Result<Self> {
        for file in libraries(root, path)?.iter().map(String::as_str).chain([path]) {
            let source = root.join(file.trim_start_matches('/'));
            self = self.file(file, &source)?;
        }
        Ok(self)
    }

    /// Has a file with this content.
    pub fn text(self, path: &str, content: &str) -> Result<Self> {
        fs::write(self.place(path)?, content)?;
        Ok(self)
    }

    /// Has an empty folder in which everybody may write.
    pub fn folder(self, path: &str) -> Result<Self> {
        let folder = self.place(path)?;
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777))?;
        Ok(self)
    }

    /// Has links to one file under these names, as busybox wants it.
    pub fn links(self, folder: &str, to: &str, names: &[&str]) -> Result<Self> {
        for name in names {
            std::os::unix::fs::symlink(to, self.place(&format!("{folder}/{name}"))?)?;
        }
        Ok(self)
    }

    /// What a container runs that is not told otherwise.
    #[must_use]
    pub fn command(mut self, arguments: &[&str]) -> Self {
        self.config =
            json!({ "Entrypoint": arguments, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] });
        self
    }

    /// Writes the archive into a folder; tells where it is.
    pub fn write(self, folder: &Path) -> Result<PathBuf> {
        let work = tempfile::Builder::new().prefix("cinch-image-").tempdir()?;
        let layer = work.path().join("layer.tar");
        tar(&layer, self.root.path(), &["."])?;
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(&fs::read(&layer)?))] },
        });
        let manifest = json!([
            { "Config": "config.json", "RepoTags": [self.name], "Layers": ["layer.tar"] },
        ]);
        fs::write(work.path().join("config.json"), config.to_string())?;
        fs::write(work.path().join("manifest.json"), manifest.to_string())?;
        let archive = folder.join(format!("{}.tar", self.name.replace(['/', ':'], "-")));
        tar(&archive, work.path(), &["manifest.json", "config.json", "layer.tar"])?;
        Ok(archive)
    }

    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a file is in a folder")?)?;
        Ok(place)
    }
}

/// What the dynamic loader of a root would load for a program there.
fn libraries(root: &Path, program: &str) -> Result<Vec<String>> {
    let places =
        ["lib64", "lib"].into_iter().filter_map(|folder| fs::read_dir(root.join(folder)).ok());
    let names = places.flatten().flatten().map(|entry| entry.path());
    let is_loader = |path: &PathBuf| path.to_string_lossy().contains("/ld-linux");
    let loader = names.into_iter().find(is_loader).context("no dynamic loader")?;
    let loader = Path::new("/").join(loader.strip_prefix(root)?);
    let mut command = Command::new("chroot");
    let output = command.arg(root).arg(loader).args(["--list", program]).output()?;
    ensure!(output.status.success(), "cannot tell the libraries of {program}");
    // `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x…)`, or a path alone.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words =
        text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(words.map(str::to_owned).collect())
}

/// As Go calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn tar(archive: &Path, folder: &Path, names: &[&str]) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--file"]).arg(archive);
    let status = tar.arg("--directory").arg(folder).args(names).status().context("no tar")?;
    ensure!(status.success(), "cannot write {}: tar ended with {status}", archive.display());
    Ok(())
}
