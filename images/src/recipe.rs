//! What is in each image. Pure.

/// The user of a program that needs no rights, and of nothing else on a node.
const NOBODY: u32 = 65532;
/// Files of the node belong to root: its profiles, its policy store, its kernel's interfaces. What root may do is up to
/// the capabilities that the pod gives it.
const ROOT: u32 = 0;

/// One image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The name of the program, and of the image.
    pub program: &'static str,
    /// The package that cargo builds it of.
    pub package: &'static str,
    /// Who it runs as.
    pub user: u32,
    /// What else it starts.
    pub tools: &'static [Tool],
}

/// A program of a Debian package, with files of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    pub program: &'static str,
    pub package: &'static str,
    /// Folders and files, of which all that the package has come along.
    pub files: &'static [&'static str],
}

/// All images.
pub const RECIPES: [Recipe; 3] = [
    Recipe { program: "cinch-webhook", package: "webhook", user: NOBODY, tools: &[] },
    Recipe {
        program: "cinch-node-installer",
        package: "node-installer",
        user: ROOT,
        tools: &[APPARMOR],
    },
    Recipe { program: "cinch-recorder", package: "recorder", user: ROOT, tools: &[] },
];

/// For nodes that have AppArmor in the kernel and no compiler of profiles. Policies may include what others do.
const APPARMOR: Tool = Tool {
    program: "apparmor_parser",
    package: "apparmor",
    files: &[
        "/etc/apparmor/parser.conf",
        "/etc/apparmor.d/abi",
        "/etc/apparmor.d/abstractions",
        "/etc/apparmor.d/tunables",
        "/usr/share/apparmor-features",
    ],
};

impl Recipe {
    /// Where the program is in the image.
    pub fn path(&self) -> String {
        format!("usr/bin/{}", self.program)
    }
}

impl Tool {
    /// Whether a file of the package comes along.
    pub fn takes(&self, path: &str) -> bool {
        self.files.iter().any(|file| {
            path.strip_prefix(file).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_package_only_what_is_named_comes_along() {
        assert!(APPARMOR.takes("/etc/apparmor.d/abstractions/base"));
        assert!(APPARMOR.takes("/etc/apparmor/parser.conf"));
        assert!(!APPARMOR.takes("/etc/apparmor.d/abstractions-of-others"));
        assert!(!APPARMOR.takes("/etc/apparmor.d/lsb_release"));
    }
}
