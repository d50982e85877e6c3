//! What a binding says about images: an exact reference, globs part by part, or every image. Pure.

use std::{cmp::Ordering, fmt};

use super::{
    ImageError, Parts, Reference, TAG_MAX, check_digest, check_length, check_path, check_registry,
    check_tag, qualified, split_registry, write_parts,
};
use crate::glob::{Glob, Speciality, is_glob};

/// A set of images, as a binding's `image` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Registry and repository, with the defaults of the grammar filled in unless it begins with `*`.
    name: Glob,
    part: Part,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A glob name without a tag: any tag, any digest.
    Any,
    Tag(Glob),
    Digest(Box<str>),
}

/// The classes of patterns, the one that wins first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Digest,
    Tag,
    Glob,
    Wildcard,
}

impl Class {
    /// What a person calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "exact digest",
            Self::Tag => "exact tag",
            Self::Glob => "glob",
            Self::Wildcard => "wildcard *",
        }
    }
}

impl Pattern {
    /// Parses a binding's `image`.
    ///
    /// A name that begins with `*` is matched as it stands, so `*/nginx` is an nginx in any registry; every other name
    /// gets the grammar's defaults first, so `nginx:1.*` is `docker.io/library/nginx:1.*`. A glob name without a tag
    /// matches every tag and digest; a digest is matched alone, whatever tag stands beside it.
    ///
    /// # Errors
    /// When a part without globs breaks the grammar of references, or a part with globs has a character that no
    /// reference has there.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let Parts { name, tag, digest } = Parts::split(text)?;
        let (registry, path) =
            if name.starts_with('*') { (None, name) } else { split_registry(name) };
        check_glob(registry, is_registry_byte, check_registry_text, ImageError::BadRegistry)?;
        check_length(registry, path)?;
        check_glob_path(name, path)?;
        check_glob(tag, is_tag_byte, check_tag, ImageError::BadTag)?;
        if tag.is_some_and(|tag| tag.len() > TAG_MAX || tag.is_empty()) {
            return Err(ImageError::BadTag);
        }
        let name = if name.starts_with('*') {
            Glob::new(name)
        } else {
            Glob::new(&qualified(name, registry, path))
        };
        let part = match (tag, digest) {
            (_, Some(digest)) if is_glob(digest) => return Err(ImageError::GlobInDigest),
            (_, Some(digest)) => {
                check_digest(digest)?;
                Part::Digest(digest.into())
            }
            (Some(tag), None) => Part::Tag(Glob::new(tag)),
            (None, None) if name.is_literal() => Part::Tag(Glob::new(super::DEFAULT_TAG)),
            (None, None) => Part::Any,
        };
        Ok(Self { name, part })
    }

    /// The registry and repository that it names.
    pub fn name(&self) -> &Glob {
        &self.name
    }

    /// The exact tag, when name and tag have no glob.
    pub fn exact_tag(&self) -> Option<&str> {
        match &self.part {
            Part::Tag(tag) if self.name.is_literal() && tag.is_literal() => Some(tag.as_str()),
            _ => None,
        }
    }

    /// The exact digest, when the name has no glob.
    pub fn exact_digest(&self) -> Option<&str> {
        match &self.part {
            Part::Digest(digest) if self.name.is_literal() => Some(digest),
            _ => None,
        }
    }

    /// How it is ranked before anything else.
    pub fn class(&self) -> Class {
        match &self.part {
            Part::Digest(_) => Class::Digest,
            Part::Tag(tag) if tag.is_literal() && self.name.is_literal() => Class::Tag,
            Part::Any if self.name.as_str() == "*" => Class::Wildcard,
            _ => Class::Glob,
        }
    }

    /// Whether an image is in the set. An image that is no reference is in the set of all images alone.
    pub fn matches(&self, image: Option<&Reference<'_>>) -> bool {
        let Some(image) = image else { return self.class() == Class::Wildcard };
        let part = match &self.part {
            Part::Any => true,
            Part::Tag(tag) => image.tag.is_some_and(|t| tag.matches(t)),
            Part::Digest(digest) => image.digest == Some(digest),
        };
        part && self.name.matches(&image.name)
    }

    /// Orders by rank: what wins comes first. Equal for patterns of which neither is the more special one.
    pub fn compare_rank(&self, other: &Self) -> Ordering {
        let key = |p: &Self| (p.class(), std::cmp::Reverse(p.speciality()));
        key(self).cmp(&key(other))
    }

    fn speciality(&self) -> Speciality {
        self.name.speciality()
            + match &self.part {
                Part::Any => Speciality::ABSENT,
                Part::Tag(tag) => tag.speciality(),
                Part::Digest(_) => Speciality::default(),
            }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tag, digest) = match &self.part {
            Part::Any => (None, None),
            Part::Tag(tag) => (Some(tag.as_str()), None),
            Part::Digest(digest) => (None, Some(&**digest)),
        };
        write_parts(f, self.name.as_str(), tag, digest)
    }
}

/// A part without globs must follow the grammar; one with globs must only have the part's characters, since what a
/// glob stands for is not known.
fn check_glob(
    part: Option<&str>,
    allowed: fn(u8) -> bool,
    exact: fn(&str) -> Result<(), ImageError>,
    error: ImageError,
) -> Result<(), ImageError> {
    match part {
        None => Ok(()),
        Some(part) if !is_glob(part) => exact(part),
        Some(part) if part.bytes().all(|b| allowed(b) || matches!(b, b'*' | b'?')) => Ok(()),
        Some(_) => Err(error),
    }
}

fn check_glob_path(name: &str, path: &str) -> Result<(), ImageError> {
    for (place, component) in path.split('/').enumerate() {
        // What a leading * is followed by may belong to a registry as well: *.example.com:5000/web.
        let either = place == 0 && name.starts_with('*') && path.contains('/');
        let allowed = if either { is_registry_or_path_byte } else { is_path_byte };
        let error = if component.bytes().any(|b| b.is_ascii_uppercase()) {
            ImageError::UpperCase
        } else {
            ImageError::BadName
        };
        if component.is_empty() {
            return Err(error);
        }
        check_glob(Some(component), allowed, check_path, error)?;
    }
    Ok(())
}

fn check_registry_text(registry: &str) -> Result<(), ImageError> {
    check_registry(Some(registry))
}

fn is_registry_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
}

fn is_registry_or_path_byte(b: u8) -> bool {
    is_registry_byte(b) || b == b'_'
}

fn is_path_byte(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
}

fn is_tag_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    fn matches(pattern: &str, image: &str) -> bool {
        let image = Reference::parse(image).unwrap();
        Pattern::parse(pattern).unwrap().matches(Some(&image))
    }

    #[rstest]
    #[case("nginx", "docker.io/library/nginx:latest", true)]
    #[case("nginx", "nginx:1", false)]
    #[case("nginx:1.*", "docker.io/nginx:1.27", true)]
    #[case("nginx:1.*", "nginx:2.0", false)]
    #[case("nginx:1.*", "ghcr.io/library/nginx:1.27", false)]
    #[case("ghcr.io/acme/*", "ghcr.io/acme/web:v1", true)]
    #[case("ghcr.io/acme/*", "ghcr.io/acme/team/web", true)]
    #[case("ghcr.io/acme/*", "ghcr.io/acme2/web", false)]
    #[case("*/nginx", "nginx:1.2", true)]
    #[case("*/nginx", "ghcr.io/acme/nginx", true)]
    #[case("*/nginx", "ghcr.io/acme/my-nginx", false)]
    #[case("*", "ghcr.io/acme/web", true)]
    #[case("docker.io/*", "acme/web", true)]
    #[case("nginx*", "nginx-unprivileged:3", true)]
    #[case("acme/?b", "acme/db", true)]
    #[case("*.example.com:5000/web:v?", "eu.example.com:5000/web:v2", true)]
    #[case("gh*.io/web", "ghcr.io/web:9", true)]
    #[case("*:stable", "ghcr.io/acme/web:stable", true)]
    #[case("*_team/web", "ghcr.io/a_team/web", true)]
    fn matches_as_documented(#[case] pattern: &str, #[case] image: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, image), expected);
    }

    #[test]
    fn an_image_with_tag_and_digest_matches_by_either() {
        let image = format!("nginx:1.19@{DIGEST}");
        assert!(matches("nginx:1.19", &image));
        assert!(matches(&format!("nginx@{DIGEST}"), &image));
        assert!(matches(&format!("nginx:other@{DIGEST}"), &image), "a digest says it all");
        assert!(!matches(&format!("nginx:1.19@{DIGEST}"), "nginx:1.19"));
        assert!(!matches("nginx:latest", &format!("nginx@{DIGEST}")));
    }

    #[test]
    fn an_image_that_is_no_reference_is_matched_by_the_wildcard_alone() {
        assert!(Pattern::parse("*").unwrap().matches(None));
        assert!(!Pattern::parse("*/x").unwrap().matches(None));
    }

    #[rstest]
    #[case("nginx@sha256:6c3c*", ImageError::GlobInDigest)]
    #[case("*@sha256:6c", ImageError::BadDigest)]
    #[case("Nginx*", ImageError::UpperCase)]
    #[case("*/Nginx", ImageError::UpperCase)]
    #[case("nginx:", ImageError::BadTag)]
    #[case("nginx:*!", ImageError::BadTag)]
    #[case("a//*", ImageError::BadName)]
    #[case("*/", ImageError::BadName)]
    #[case("", ImageError::Empty)]
    #[case("x_y.io:*/web", ImageError::BadRegistry)]
    #[case("ng inx", ImageError::BadName)]
    fn refuses(#[case] text: &str, #[case] error: ImageError) {
        assert_eq!(Pattern::parse(text), Err(error));
    }

    #[test]
    fn ranks_digest_tag_longest_glob_wildcard() {
        let digest = format!("nginx@{DIGEST}");
        let order = [&digest, "nginx:1.19.1", "nginx:1.19.*", "nginx:1.*", "*/nginx", "*"];
        let mut patterns: Vec<_> = order.iter().rev().map(|p| Pattern::parse(p).unwrap()).collect();
        patterns.sort_by(Pattern::compare_rank);
        let ranked: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        let normal: Vec<_> = order.iter().map(|p| Pattern::parse(p).unwrap().to_string()).collect();
        assert_eq!(ranked, normal);
    }

    fn pattern() -> impl Strategy<Value = String> {
        let registry =
            "(ghcr\\.io/|gh\\*\\.io/|docker\\.io/|index\\.docker\\.io/|\\*/|localhost:50/)?";
        (registry, "[a-c*?]{1,4}(/[a-c*?]{1,3})?", "(:[a-c*?]{1,3})?")
            .prop_map(|(r, p, t)| r + &p + &t)
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(text in pattern()) {
            let once = Pattern::parse(&text).unwrap();
            let again = Pattern::parse(&once.to_string()).unwrap();
            prop_assert_eq!(again, once);
        }

        #[test]
        fn a_reference_is_matched_by_itself_as_pattern(text in "(ghcr\\.io/)?[a-c]{1,3}(/[a-c]{1,3})?(:[a-c]{1,3})?") {
            prop_assert!(matches(&text, &text));
        }
    }
}
