//! What SELinux itself is asked on this machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// SELinux's own file system.
#[derive(Clone, Debug)]
pub struct SelinuxFs {
    root: PathBuf,
}

impl Default for SelinuxFs {
    fn default() -> Self {
        Self { root: PathBuf::from("/sys/fs/selinux") }
    }
}

impl SelinuxFs {
    /// Where it is mounted.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Has the kernel forget what it has decided, so that it decides, and reports, everything again.
    ///
    /// What a permissive domain does and may not is reported once, and then let through by the cache of decisions until
    /// something is put in its place: to the cache, all containers with the same context are one. That the booleans are
    /// committed (as they are; none is changed) empties it, as a policy does that is loaded, but without loading one.
    pub fn forget_decisions(&self) -> io::Result<()> {
        fs::write(self.root.join("commit_pending_bools"), "1")
    }

    /// Whether a process with this context is refused nothing. None where the policy does not know the context.
    pub fn is_permissive(&self, context: &str) -> io::Result<Option<bool>> {
        // What is asked for does not matter: the flags are about the context.
        let class = fs::read_to_string(self.root.join("class/process/index"))?;
        let question = format!("{context} {context} {}", class.trim());
        match ask(&self.root.join("access"), &question) {
            Ok(answer) => flags(&answer)
                .map(|flags| Some(flags & PERMISSIVE != 0))
                .ok_or_else(|| io::Error::other(format!("SELinux answers {answer:?}"))),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// `AVD_FLAGS_PERMISSIVE` of the kernel's `security/selinux/include/security.h`.
const PERMISSIVE: u32 = 1;

/// Whether SELinux is on in this kernel.
pub fn is_on() -> bool {
    // It is there for user space only when the kernel has it, and was not told to leave it off.
    fs::read_to_string("/proc/filesystems")
        .is_ok_and(|all| all.lines().any(|line| line.ends_with("\tselinuxfs")))
}

/// Writes a question and reads the answer, which only the same open file has.
fn ask(path: &Path, question: &str) -> io::Result<String> {
    use io::{Read as _, Write as _};
    let mut file = fs::File::options().read(true).write(true).open(path)?;
    file.write_all(question.as_bytes())?;
    let mut answer = String::new();
    file.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The last number of `ALLOWED ffffffff AUDITALLOW AUDITDENY SEQUENCE FLAGS`.
fn flags(answer: &str) -> Option<u32> {
    let numbers: Vec<_> = answer.trim_end_matches('\0').split_ascii_whitespace().collect();
    let [_, _, _, _, _, flags] = numbers[..] else { return None };
    u32::from_str_radix(flags, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_the_last_of_six_numbers() {
        assert_eq!(flags("0 ffffffff 0 ffffffff 3 1"), Some(1));
        assert_eq!(flags("1fff ffffffff 0 ffffffff 12 0\0"), Some(0));
        assert_eq!(flags("1fff ffffffff"), None);
        assert_eq!(flags(""), None);
    }

    #[test]
    fn what_was_decided_is_forgotten_by_committing_the_booleans_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("commit_pending_bools");
        SelinuxFs::at(folder.path()).forget_decisions().unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "1");
    }
}
