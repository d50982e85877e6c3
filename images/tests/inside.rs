//! Starts what is in the images, each in its own root file system with nothing else there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use images::recipe::RECIPES;
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use tempfile::TempDir;

/// All images, as `make images` builds them, and what is in them.
struct Built {
    folder: TempDir,
}

/// A file: its mode and its bytes.
type Files = BTreeMap<String, (u32, Vec<u8>)>;
type Check = fn(&Built) -> Result<()>;

const CHECKS: [(&str, Check); 5] = [
    ("the_same_programs_give_the_same_bytes", same_bytes),
    ("nothing_but_the_program_and_its_tools_can_be_executed", executables),
    ("who_made_what_is_in_an_image_is_told_with_its_licence", licences),
    ("an_image_says_who_runs_it_and_what_it_is_called", configured),
    ("a_root_that_is_written_is_what_the_image_has", roots),
];
/// Those that change the root of a process.
const ROOT_CHECKS: [(&str, Check); 4] = [
    ("each_program_starts_where_nothing_else_is", starts),
    ("the_compiler_of_apparmor_profiles_works_where_nothing_else_is", compiles),
    ("apparmor_profiles_are_compiled_by_the_node_where_it_can_and_by_the_image_else", installs),
    ("each_program_says_what_is_wrong_with_its_flags", complains),
];

const PROFILE: &str = "
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: AppArmorProfile
metadata: { name: p }
spec: { policy: '  #include <abstractions/base>' }
";

fn main() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    let root = rustix::process::geteuid().is_root();
    let tool = Path::new("/usr/sbin/apparmor_parser").exists();
    let built = (tool && !arguments.list).then(Built::new).transpose()?.map(Arc::new);
    let trial = |(name, check): (&'static str, Check), rights: bool| {
        let missing = match (tool, rights) {
            (false, _) => " (needs apparmor_parser: run make test on Debian)",
            (_, false) => " (needs root, as chroot does)",
            _ => "",
        };
        let built = built.clone();
        let run = move || {
            built.map_or(Ok(()), |built| check(&built)).map_err(|e| format!("{e:#}").into())
        };
        Trial::test(format!("{name}{missing}"), run).with_ignored_flag(!missing.is_empty())
    };
    let all = CHECKS.into_iter().map(|check| trial(check, true));
    let all = all.chain(ROOT_CHECKS.into_iter().map(|check| trial(check, root))).collect();
    Ok(libtest_mimic::run(&arguments, all).exit_code())
}

impl Built {
    fn new() -> Result<Self> {
        let built = Self { folder: tempfile::tempdir()? };
        built.build("images", "--output")?;
        for recipe in RECIPES {
            built.unpack(recipe.program, &built.root(recipe.program))?;
        }
        Ok(built)
    }

    fn build(&self, folder: &str, flag: &str) -> Result<()> {
        // The programs are built beside this one.
        let here = std::env::current_exe()?;
        let profile = here.ancestors().nth(2).and_then(Path::file_name).context("no profile")?;
        let output = Command::new(env!("CARGO_BIN_EXE_images"))
            .arg("--profile")
            .arg(profile)
            .arg(flag)
            .arg(self.folder.path().join(folder))
            .output()?;
        ensure!(output.status.success(), "{}", said(&output));
        Ok(())
    }

    fn archive(&self, folder: &str, program: &str) -> Result<Vec<u8>> {
        Ok(fs::read(self.folder.path().join(folder).join(format!("{program}.tar")))?)
    }

    /// Its configuration, and the tar archive of its only layer.
    fn image(&self, folder: &str, program: &str) -> Result<(Value, Vec<u8>)> {
        let parts = files(&self.archive(folder, program)?)?;
        let part =
            |path: &str| parts.get(path).map(|(_, bytes)| bytes).context("a part is missing");
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().context("no digest")?;
            part(&format!("blobs/{}", digest.replace(':', "/")))
        };
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes);
        let index = json(part("index.json")?)?;
        let manifest = json(blob(&index["manifests"][0])?)?;
        let mut config = json(blob(&manifest["config"])?)?;
        config["name"] = index["manifests"][0]["annotations"]["io.containerd.image.name"].clone();
        let mut layer = Vec::new();
        GzDecoder::new(&**blob(&manifest["layers"][0])?).read_to_end(&mut layer)?;
        Ok((config, layer))
    }

    fn root(&self, program: &str) -> PathBuf {
        self.folder.path().join("roots").join(program)
    }

    fn unpack(&self, program: &str, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        let (_, layer) = self.image("images", program)?;
        Ok(tar::Archive::new(&*layer).unpack(root)?)
    }

    /// Runs a program in an image's root, as who the image says, with no network and no process beside it.
    fn run(root: &Path, user: u32, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"])
            .arg(format!("--root={}", root.display()))
            .args([format!("--setuid={user}"), format!("--setgid={user}"), "--".to_owned()])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // One that ends at once reads nothing.
        drop(child.stdin.take().context("no input")?.write_all(input.as_bytes()));
        Ok(child.wait_with_output()?)
    }
}

fn files(archive: &[u8]) -> Result<Files> {
    let mut files = Files::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let mode = entry.header().mode()?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if entry.header().entry_type().is_file() {
            files.insert(path, (mode, bytes));
        }
    }
    Ok(files)
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn same_bytes(built: &Built) -> Result<()> {
    built.build("again", "--output")?;
    for recipe in RECIPES {
        let program = recipe.program;
        let same = built.archive("images", program)? == built.archive("again", program)?;
        ensure!(same, "{program} differs");
    }
    Ok(())
}

fn executables(built: &Built) -> Result<()> {
    for recipe in RECIPES {
        let (_, layer) = built.image("images", recipe.program)?;
        let is_library = |path: &str| path.contains(".so.");
        let found: BTreeSet<_> = files(&layer)?
            .into_iter()
            .filter(|(path, (mode, _))| mode & 0o111 != 0 && !is_library(path))
            .map(|(path, _)| path)
            .collect();
        let tools = recipe.tools.iter().map(|tool| format!("usr/sbin/{}", tool.program));
        let expected: BTreeSet<_> = tools.chain([recipe.path()]).collect();
        assert_eq!(found, expected, "{}", recipe.program);
    }
    Ok(())
}

fn licences(built: &Built) -> Result<()> {
    for recipe in RECIPES {
        let (_, layer) = built.image("images", recipe.program)?;
        let files = files(&layer)?;
        let text = |path: String| {
            let (_, bytes) = files.get(&path).with_context(|| format!("no {path}"))?;
            anyhow::Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        let crates = text(format!("usr/share/doc/{}/copyright", recipe.program))?;
        for (name, licence) in [("ring 0.", "ISC"), ("tokio 1.", "MIT"), ("kube 5.", "Apache-2.0")]
        {
            let line = crates.lines().find(|line| line.starts_with(name));
            assert!(
                line.is_some_and(|line| line.contains(licence)),
                "{name} in {}",
                recipe.program
            );
        }
        assert!(crates.contains("Permission is hereby granted, free of charge"), "MIT's text");
        assert!(!crates.contains("\nproptest "), "only tests need it");
        assert!(text("usr/share/doc/libc6/copyright".to_owned())?.contains("GNU C Library"));
        assert!(files.contains_key("usr/share/doc/rust/COPYRIGHT-library.html"));
        let seccomp = files.keys().any(|path| path.ends_with("/libseccomp.so.2"));
        assert_eq!(seccomp, files.contains_key("usr/share/doc/libseccomp2/copyright"));
    }
    Ok(())
}

fn configured(built: &Built) -> Result<()> {
    for recipe in RECIPES {
        let (image, _) = built.image("images", recipe.program)?;
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(image["name"], format!("localhost/{}:{version}", recipe.program));
        assert_eq!(image["config"]["User"], format!("{0}:{0}", recipe.user));
        assert_eq!(image["config"]["Entrypoint"][0], format!("/usr/bin/{}", recipe.program));
    }
    let users: Vec<_> = RECIPES.iter().map(|recipe| (recipe.program, recipe.user == 0)).collect();
    assert!(users.contains(&("cinch-webhook", false)), "who answers the network is not root");
    Ok(())
}

fn roots(built: &Built) -> Result<()> {
    built.build("written", "--roots")?;
    for recipe in RECIPES {
        let (_, layer) = built.image("images", recipe.program)?;
        let written = built.folder.path().join("written").join(recipe.program);
        for (path, (mode, bytes)) in files(&layer)? {
            let file = written.join(&path);
            assert!(fs::read(&file)? == bytes, "{path} of {}", recipe.program);
            assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, mode, "{path}");
        }
    }
    Ok(())
}

fn starts(built: &Built) -> Result<()> {
    for recipe in RECIPES {
        let path = format!("/{}", recipe.path());
        let output =
            Built::run(&built.root(recipe.program), recipe.user, &[&path, "--version"], "")?;
        let expected = format!("{} {}\n", recipe.program, env!("CARGO_PKG_VERSION"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", said(&output));
        let output = Built::run(&built.root(recipe.program), recipe.user, &[&path, "--help"], "")?;
        assert!(output.status.success() && said(&output).contains("Usage:"), "{}", said(&output));
    }
    Ok(())
}

/// What includes files of the package, against the features that its own list has.
fn compiles(built: &Built) -> Result<()> {
    let profile = "include <tunables/global>\nprofile p { include <abstractions/base>\n }\n";
    let flags = ["/usr/sbin/apparmor_parser", "-Q", "-K", "-S", "-M", "/etc/apparmor.d/abi/3.0"];
    let output = Built::run(&built.root("cinch-node-installer"), 0, &flags, profile)?;
    assert!(output.status.success() && output.stdout.len() > 1000, "{}", said(&output));
    Ok(())
}

/// A node below `/node` whose kernel is but files: what is written there was compiled.
fn installs(built: &Built) -> Result<()> {
    let root = built.folder.path().join("node");
    built.unpack("cinch-node-installer", &root)?;
    let kernel = root.join("node/sys/kernel/security/apparmor");
    fs::create_dir_all(&kernel)?;
    fs::write(kernel.join("profiles"), "")?;
    fs::copy(root.join("etc/apparmor.d/abi/3.0"), kernel.join("features"))?;
    fs::create_dir(root.join("manifests"))?;
    fs::write(root.join("manifests/profile.yaml"), PROFILE)?;
    let compiled = || {
        fs::write(kernel.join(".replace"), "")?;
        let run = ["/usr/bin/cinch-node-installer", "run", "--once", "--mechanisms", "apparmor"];
        let flags = ["--root", "/node", "--manifests", "/manifests"];
        let output = Built::run(&root, 0, &[&run[..], &flags].concat(), "")?;
        // Files do not load what is written to them.
        let expected = "the kernel took the profile, and does not list it";
        ensure!(said(&output).contains(expected), "{}", said(&output));
        Ok(fs::read(kernel.join(".replace"))?)
    };
    let by_the_image = compiled()?;
    assert!(by_the_image.len() > 1000, "{} bytes", by_the_image.len());
    // A node that has the compiler, in a root in which nothing of the image can be reached.
    for folder in ["usr", "lib", "lib64", "etc"] {
        let copy =
            Command::new("cp").arg("-a").arg(root.join(folder)).arg(root.join("node")).output()?;
        ensure!(copy.status.success(), "{}", said(&copy));
    }
    fs::remove_dir_all(root.join("usr/sbin"))?;
    let by_the_node = compiled()?;
    assert!(by_the_image == by_the_node, "another compiler gives something else");
    Ok(())
}

fn complains(built: &Built) -> Result<()> {
    for recipe in RECIPES {
        let path = format!("/{}", recipe.path());
        let output = Built::run(&built.root(recipe.program), recipe.user, &[&path, "sleep"], "")?;
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("'sleep'"), "{}", said(&output));
    }
    Ok(())
}
