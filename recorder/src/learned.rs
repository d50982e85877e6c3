//! Makes profiles of what was recorded. Pure.

use profile::kinds::seccomp::Arch;

pub mod apparmor;
pub mod ledger;
pub mod seccomp;
pub mod selinux;
pub mod tally;

/// A profile of what was seen, and what is not in it.
#[derive(Clone, Debug)]
pub struct Profile<P> {
    pub profile: P,
    /// What was seen and could not be taken in, and why: a line each, sorted.
    pub left: Vec<String>,
}

/// A name that an object can have, of whatever a command is called.
pub fn object_name(command: &str) -> String {
    let base = command.rsplit('/').next().unwrap_or(command).to_ascii_lowercase();
    let name: String =
        base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "recorded".to_owned() } else { name.to_owned() }
}

/// The architecture that this program was built for.
pub fn machine() -> Arch {
    match std::env::consts::ARCH {
        "aarch64" => Arch::Aarch64,
        "riscv64" => Arch::Riscv64,
        "s390x" => Arch::S390X,
        "powerpc64" => Arch::Ppc64Le,
        _ => Arch::X86_64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_becomes_a_name_that_the_api_server_takes() {
        assert_eq!(object_name("/usr/sbin/nginx"), "nginx");
        assert_eq!(object_name("./Build_It.sh"), "build-it-sh");
        assert_eq!(object_name("---"), "recorded");
    }
}
