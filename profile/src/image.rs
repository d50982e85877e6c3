//! Image references: parsed by the distribution reference grammar and normalised to one spelling. Pure.
//!
//! Grammar: <https://pkg.go.dev/github.com/distribution/reference>. `nginx`, `docker.io/nginx` and
//! `index.docker.io/library/nginx:latest` are one image: `docker.io/library/nginx:latest`.

use std::{borrow::Cow, fmt};

pub use pattern::{Class, Pattern};

mod pattern;

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_REGISTRY_ALIAS: &str = "index.docker.io";
const DEFAULT_NAMESPACE: &str = "library/";
const DEFAULT_TAG: &str = "latest";

const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// Why a text is no image reference or no pattern of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error(
        "an image must not be empty: write a reference such as nginx:1.27, or * for every image"
    )]
    Empty,
    #[error("the name must not be longer than {NAME_MAX} characters")]
    NameTooLong,
    #[error("the repository must be lower case: an image's name has no capitals")]
    UpperCase,
    #[error(
        "each part of the repository must be letters and digits, with single '.', '_', '__' or dashes between them"
    )]
    BadName,
    #[error(
        "the registry must be a host name with an optional :port, such as registry.example.com:5000"
    )]
    BadRegistry,
    #[error(
        "a tag must be 1 to {TAG_MAX} letters, digits, '_', '.' and '-', and begin with none of the last two"
    )]
    BadTag,
    #[error("a digest must be algorithm:hex in full, such as sha256: and 64 hex digits")]
    BadDigest,
    #[error("a digest must be written in full: '*' and '?' have no place in it")]
    GlobInDigest,
    #[error("64 hex digits alone are an image id, not a reference: write name@sha256:...")]
    ImageId,
}

/// A reference to an image, normalised, borrowing from the text where that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Registry and repository, such as `docker.io/library/nginx`.
    pub name: Cow<'a, str>,
    /// `latest` where the text had neither tag nor digest.
    pub tag: Option<&'a str>,
    pub digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Parses and normalises a reference as it stands in a container's `image`.
    ///
    /// # Errors
    /// When the text does not follow the distribution reference grammar.
    pub fn parse(text: &'a str) -> Result<Self, ImageError> {
        let Parts { name, tag, digest } = Parts::split(text)?;
        if name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ImageError::ImageId);
        }
        let (registry, path) = split_registry(name);
        check_registry(registry)?;
        check_length(registry, path)?;
        check_path(path)?;
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        if let Some(digest) = digest {
            check_digest(digest)?;
        }
        let name = qualified(name, registry, path);
        let tag = tag.or_else(|| digest.is_none().then_some(DEFAULT_TAG));
        Ok(Self { name, tag, digest })
    }
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, &self.name, self.tag, self.digest)
    }
}

fn write_parts(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    tag: Option<&str>,
    digest: Option<&str>,
) -> fmt::Result {
    f.write_str(name)?;
    if let Some(tag) = tag {
        write!(f, ":{tag}")?;
    }
    if let Some(digest) = digest {
        write!(f, "@{digest}")?;
    }
    Ok(())
}

/// A text cut at its `@` and at the `:` of its tag; what is in the parts is not yet looked at.
struct Parts<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, ImageError> {
        let (rest, digest) =
            text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = rest[last..]
            .find(':')
            .map_or((rest, None), |colon| (&rest[..last + colon], Some(&rest[last + colon + 1..])));
        if name.is_empty() {
            return Err(ImageError::Empty);
        }
        Ok(Self { name, tag, digest })
    }
}

/// The registry, if the first component is one: it has a `.`, a `:` or a capital, or is `localhost`.
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first == "localhost"
                || first.bytes().any(|b| matches!(b, b'.' | b':' | b'[' | b'A'..=b'Z')) =>
        {
            (Some(first), path)
        }
        _ => (None, name),
    }
}

/// The name with the registry and namespace that it leaves out; borrowed when it leaves out nothing.
fn qualified<'a>(name: &'a str, registry: Option<&str>, path: &str) -> Cow<'a, str> {
    match registry {
        None | Some(DEFAULT_REGISTRY | DEFAULT_REGISTRY_ALIAS) => {
            let namespace = default_namespace(registry, path);
            if registry == Some(DEFAULT_REGISTRY) && namespace.is_empty() {
                Cow::Borrowed(name)
            } else {
                Cow::Owned([DEFAULT_REGISTRY, "/", namespace, path].concat())
            }
        }
        Some(_) => Cow::Borrowed(name),
    }
}

/// What a repository of the default registry has before it where it is a single component.
fn default_namespace(registry: Option<&str>, path: &str) -> &'static str {
    let default = matches!(registry, None | Some(DEFAULT_REGISTRY | DEFAULT_REGISTRY_ALIAS));
    // A path that begins with * may stand for more than one component.
    let bare = !path.contains('/') && !path.starts_with('*');
    if default && bare { DEFAULT_NAMESPACE } else { "" }
}

/// The limit is on the whole repository, so what a text leaves out counts as well.
fn check_length(registry: Option<&str>, path: &str) -> Result<(), ImageError> {
    let length = default_namespace(registry, path).len() + path.len();
    if length > NAME_MAX { Err(ImageError::NameTooLong) } else { Ok(()) }
}

fn check_registry(registry: Option<&str>) -> Result<(), ImageError> {
    let Some(registry) = registry else { return Ok(()) };
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(ImageError::BadRegistry)?;
            if !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') || address.is_empty() {
                return Err(ImageError::BadRegistry);
            }
            match port.strip_prefix(':') {
                _ if port.is_empty() => ("ipv6", None),
                Some(port) => ("ipv6", Some(port)),
                None => return Err(ImageError::BadRegistry),
            }
        }
        None => registry.split_once(':').map_or((registry, None), |(h, p)| (h, Some(p))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if host.split('.').all(label) && port.is_none_or(digits) {
        Ok(())
    } else {
        Err(ImageError::BadRegistry)
    }
}

fn check_path(path: &str) -> Result<(), ImageError> {
    if path.split('/').all(is_component) {
        Ok(())
    } else if path.bytes().any(|b| b.is_ascii_uppercase()) {
        Err(ImageError::UpperCase)
    } else {
        Err(ImageError::BadName)
    }
}

/// `[a-z0-9]+ (separator [a-z0-9]+)*`, where a separator is `.`, `_`, `__` or any number of dashes.
fn is_component(component: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().is_some_and(|&b| word(b)) && bytes.last().is_some_and(|&b| word(b));
    ends && component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|between| {
        matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
    })
}

fn check_tag(tag: &str) -> Result<(), ImageError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = tag.as_bytes();
    let good = bytes.first().is_some_and(|&b| word(b))
        && bytes.iter().all(|&b| word(b) || matches!(b, b'.' | b'-'))
        && bytes.len() <= TAG_MAX;
    if good { Ok(()) } else { Err(ImageError::BadTag) }
}

fn check_digest(digest: &str) -> Result<(), ImageError> {
    let (algorithm, hex) = digest.split_once(':').ok_or(ImageError::BadDigest)?;
    let good_algorithm = algorithm.split(['+', '.', '-', '_']).all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    let digits = match algorithm {
        "sha256" => 64..=64,
        "sha384" => 96..=96,
        "sha512" => 128..=128,
        _ => 32..=256,
    };
    let good_hex = digits.contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
    // The registered algorithms are written in lower case: an upper-case digest would never equal a real one.
    let lower = !digest.bytes().any(|b| b.is_ascii_uppercase());
    if good_algorithm && good_hex && lower { Ok(()) } else { Err(ImageError::BadDigest) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    #[rstest]
    #[case("nginx", "docker.io/library/nginx:latest")]
    #[case("nginx:1.19.1", "docker.io/library/nginx:1.19.1")]
    #[case("docker.io/nginx", "docker.io/library/nginx:latest")]
    #[case("index.docker.io/library/nginx", "docker.io/library/nginx:latest")]
    #[case("acme/web", "docker.io/acme/web:latest")]
    #[case("ghcr.io/acme/web:v1", "ghcr.io/acme/web:v1")]
    #[case("localhost/web", "localhost/web:latest")]
    #[case("localhost:5000/a/b__c/d--e:v", "localhost:5000/a/b__c/d--e:v")]
    #[case("Registry/web", "Registry/web:latest")]
    #[case("[2001:db8::1]:5000/web:1", "[2001:db8::1]:5000/web:1")]
    #[case("web:5000", "docker.io/library/web:5000")]
    fn normalises(#[case] text: &str, #[case] normal: &str) {
        assert_eq!(Reference::parse(text).unwrap().to_string(), normal);
    }

    #[test]
    fn a_digest_without_a_tag_gets_no_tag() {
        let text = format!("nginx@{DIGEST}");
        let reference = Reference::parse(&text).unwrap();
        assert_eq!((reference.tag, reference.digest), (None, Some(DIGEST)));
        let text = format!("nginx:1@{DIGEST}");
        let reference = Reference::parse(&text).unwrap();
        assert_eq!((reference.tag, reference.digest), (Some("1"), Some(DIGEST)));
    }

    #[rstest]
    #[case("", ImageError::Empty)]
    #[case(":tag", ImageError::Empty)]
    #[case("Nginx", ImageError::UpperCase)]
    #[case("ghcr.io/Acme/web", ImageError::UpperCase)]
    #[case("a..b", ImageError::BadName)]
    #[case("a___b", ImageError::BadName)]
    #[case("a//b", ImageError::BadName)]
    #[case("a.-b", ImageError::BadName)]
    #[case("-a", ImageError::BadName)]
    #[case("nginx ", ImageError::BadName)]
    #[case("ngin\u{e9}", ImageError::BadName)]
    #[case("-x.io/a", ImageError::BadRegistry)]
    #[case("x.io:/a", ImageError::BadRegistry)]
    #[case("[::1/a", ImageError::BadRegistry)]
    #[case("nginx:", ImageError::BadTag)]
    #[case("nginx:-a", ImageError::BadTag)]
    #[case("nginx:a:b", ImageError::BadTag)]
    #[case("nginx@", ImageError::BadDigest)]
    #[case("nginx@sha256:abcd", ImageError::BadDigest)]
    #[case("nginx@sha256", ImageError::BadDigest)]
    #[case("6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b", ImageError::ImageId)]
    fn refuses(#[case] text: &str, #[case] error: ImageError) {
        assert_eq!(Reference::parse(text), Err(error));
    }

    #[rstest]
    #[case("", 247)]
    #[case("docker.io/", 247)]
    #[case("index.docker.io/", 247)]
    #[case("docker.io/library/", 247)]
    #[case("a/", 253)]
    #[case("ghcr.io/", 255)]
    fn a_repository_with_all_that_it_leaves_out_has_a_limit(
        #[case] before: &str,
        #[case] most: usize,
    ) {
        let parse = |length| {
            let text = [before, &"a".repeat(length)].concat();
            let normal = Reference::parse(&text)?.to_string();
            assert_eq!(Reference::parse(&normal).unwrap().to_string(), normal);
            Pattern::parse(&text).map(|pattern| assert_eq!(pattern.to_string(), normal))
        };
        assert_eq!(parse(most), Ok(()));
        assert_eq!(parse(most + 1), Err(ImageError::NameTooLong));
    }

    fn reference() -> impl Strategy<Value = String> {
        let host = "([a-z0-9]{1,5}\\.[a-z]{2,3}(:[0-9]{1,4})?/|localhost/|docker\\.io/|index\\.docker\\.io/)?";
        (
            host,
            "[a-z0-9]{1,6}([_-][a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,5}){0,2}",
            "(:[a-zA-Z0-9_][a-z.-]{0,5})?",
            any::<bool>(),
        )
            .prop_map(|(host, path, tag, digest)| {
                let digest = if digest { format!("@{DIGEST}") } else { String::new() };
                format!("{host}{path}{tag}{digest}")
            })
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(text in reference()) {
            let once = Reference::parse(&text).unwrap().to_string();
            prop_assert_eq!(Reference::parse(&once).unwrap().to_string(), once);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            drop(Reference::parse(&text));
            drop(Pattern::parse(&text));
        }
    }
}
