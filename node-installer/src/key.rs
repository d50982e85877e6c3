//! What tells profiles apart. Pure.

use std::fmt;

use profile::{kinds::ProfileKind, mechanism::Mechanism};
use serde::{Deserialize, Serialize};

/// Kind and name of a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct Key {
    pub kind: ProfileKind,
    pub name: Box<str>,
}

/// A name that cannot be that of an object, and so must not become part of a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of a profile: at most 253 lower-case letters, digits, '-' and '.' are, beginning and ending with a \
     letter or digit"
)]
pub struct BadName(String);

impl Key {
    /// The key, if the name is one that the API server takes.
    pub fn new(kind: ProfileKind, name: &str) -> Result<Self, BadName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = name.as_bytes();
        let good = bytes.iter().all(|&b| plain(b) || b == b'-' || b == b'.')
            && bytes.first().is_some_and(|&b| plain(b))
            && bytes.last().is_some_and(|&b| plain(b))
            && !name.contains("..")
            && name.len() <= 253;
        if good { Ok(Self { kind, name: name.into() }) } else { Err(BadName(name.to_owned())) }
    }

    /// What the profile confines containers by.
    pub fn mechanism(&self) -> Mechanism {
        Mechanism::of(self.kind)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("nginx-1.27", true)]
    #[case("../../etc/passwd", false)]
    #[case("a..b", false)]
    #[case(".hidden", false)]
    #[case("a/b", false)]
    #[case("", false)]
    #[case("a\0b", false)]
    fn a_name_cannot_leave_its_folder(#[case] name: &str, #[case] good: bool) {
        assert_eq!(Key::new(ProfileKind::SeccompProfile, name).is_ok(), good);
    }
}
