//! The expressions of the rules against the parser.

use std::{cell::RefCell, collections::HashMap};

use proptest::prelude::*;
use regex_lite::Regex;
use rstest::rstest;

use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

thread_local! {
    static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
}

/// Evaluates what the rules are made of: `self.matches(r'..')`, `!`, `&&`, `||` and parentheses.
fn holds(cel: &str, text: &str) -> bool {
    let mut rest = cel;
    either(&mut rest, text)
}

fn either(cel: &mut &str, text: &str) -> bool {
    let mut value = both(cel, text);
    while let Some(rest) = cel.strip_prefix(" || ") {
        *cel = rest;
        value |= both(cel, text);
    }
    value
}

fn both(cel: &mut &str, text: &str) -> bool {
    let mut value = one(cel, text);
    while let Some(rest) = cel.strip_prefix(" && ") {
        *cel = rest;
        value &= one(cel, text);
    }
    value
}

fn one(cel: &mut &str, text: &str) -> bool {
    if let Some(rest) = cel.strip_prefix('!') {
        *cel = rest;
        return !one(cel, text);
    }
    if let Some(rest) = cel.strip_prefix('(') {
        *cel = rest;
        let value = either(cel, text);
        *cel = cel.strip_prefix(')').expect("a closing parenthesis");
        return value;
    }
    let rest = cel.strip_prefix("self.matches(r'").expect("nothing else");
    let (pattern, rest) = rest.split_once("')").expect("a closing quotation mark");
    *cel = rest;
    COMPILED.with_borrow_mut(|compiled| {
        let regex = compiled.entry(pattern.to_owned());
        regex.or_insert_with(|| Regex::new(pattern).unwrap()).is_match(text)
    })
}

/// What the API server would say, as messages.
fn refusals(text: &str) -> Vec<String> {
    all().filter(|rule| !holds(&rule.cel, text)).map(|rule| rule.message.to_string()).collect()
}

#[rstest]
#[case("nginx")]
#[case("nginx:1.19.1")]
#[case("docker.io/library/nginx")]
#[case("localhost/web")]
#[case("localhost:5000/a/b__c/d--e:v")]
#[case("Registry/web")]
#[case("[2001:db8::1]:5000/web:1")]
#[case("*")]
#[case("*:stable")]
#[case("*/nginx")]
#[case("ghcr.io/acme/*")]
#[case("nginx:1.*")]
#[case("gh*.io/web")]
#[case("*.example.com:5000/web:v?")]
fn both_accept(#[case] text: &str) {
    assert_eq!(Pattern::parse(text).err(), None);
    assert_eq!(refusals(text), Vec::<String>::new());
}

#[rstest]
#[case("", ImageError::Empty)]
#[case(":tag", ImageError::Empty)]
#[case("@sha256", ImageError::Empty)]
#[case("-x.io/a", ImageError::BadRegistry)]
#[case("x.io:port/a", ImageError::BadRegistry)]
#[case("x_y.io:*/web", ImageError::BadRegistry)]
#[case("[::1/a", ImageError::BadRegistry)]
#[case("Nginx", ImageError::UpperCase)]
#[case("ghcr.io/Acme/web:V1", ImageError::UpperCase)]
#[case("*/Nginx", ImageError::UpperCase)]
#[case("a//b", ImageError::BadName)]
#[case("a..b", ImageError::BadName)]
#[case("ng inx", ImageError::BadName)]
#[case("ngin\u{e9}", ImageError::BadName)]
#[case("nginx\n", ImageError::BadName)]
#[case("ghcr.io/", ImageError::BadName)]
#[case("*/", ImageError::BadName)]
#[case("nginx:", ImageError::BadTag)]
#[case("nginx:-a", ImageError::BadTag)]
#[case("nginx:a:b", ImageError::BadTag)]
#[case("nginx:*!", ImageError::BadTag)]
#[case("nginx@sha256:0123*", ImageError::GlobInDigest)]
#[case("nginx@sha256:0123", ImageError::BadDigest)]
#[case("nginx@sha384:0123456789abcdef0123456789abcdef", ImageError::BadDigest)]
#[case("nginx@", ImageError::BadDigest)]
fn both_refuse_with_the_same_words(#[case] text: &str, #[case] error: ImageError) {
    assert_eq!(Pattern::parse(text).err(), Some(error));
    assert_eq!(refusals(text).first(), Some(&error.to_string()), "of {:?}", refusals(text));
}

#[rstest]
#[case("registry.example.com:5000/", 255, None)]
#[case("registry.example.com:5000/", 256, Some(ImageError::NameTooLong))]
#[case("", 247, None)]
#[case("", 248, Some(ImageError::NameTooLong))]
#[case("docker.io/", 247, None)]
#[case("docker.io/", 248, Some(ImageError::NameTooLong))]
#[case("*", 254, None)]
#[case("*", 255, Some(ImageError::NameTooLong))]
fn both_count_a_name(
    #[case] before: &str,
    #[case] length: usize,
    #[case] error: Option<ImageError>,
) {
    let text = format!("{before}{}:tag", "a".repeat(length));
    assert_eq!(Pattern::parse(&text).err(), error);
    assert_eq!(refusals(&text), Vec::from_iter(error.map(|e| e.to_string())));
}

#[rstest]
#[case("a", 128, None)]
#[case("a", 129, Some(ImageError::BadTag))]
#[case("*", 128, None)]
#[case("*", 129, Some(ImageError::BadTag))]
fn both_count_a_tag(#[case] c: &str, #[case] length: usize, #[case] error: Option<ImageError>) {
    let text = format!("nginx:{}", c.repeat(length));
    assert_eq!(Pattern::parse(&text).err(), error);
    assert_eq!(refusals(&text), Vec::from_iter(error.map(|e| e.to_string())));
}

fn nearly_an_image() -> impl Strategy<Value = String> {
    let digest = prop_oneof![
        Just(format!("@sha256:{HEX}")),
        Just(format!("@sha512:{HEX}{HEX}")),
        "@(sha256|sha384|blake3|a\\+b|A|x_|)[:a-c]{1,3}[0-9a-fA-G*]{30,34}",
        "@[a-c:*]{0,3}",
        Just(String::new()),
    ];
    let name = prop_oneof![
        "([A-Za-z.:*?\\[\\]_-]{0,4}/){0,2}[A-Za-c.*?_-]{0,5}",
        "(localhost/|ghcr\\.io/|\\*/|a/)?[a-c]{1,3}(\\.|__|___|-+)?[a-c/]{0,3}",
    ];
    (name, "(:[A-Za-c0-9._*?:-]{0,4})?", digest)
        .prop_map(|(name, tag, digest)| name + &tag + &digest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_the_parser_refuses_the_same_rule_refuses(
        text in prop_oneof![nearly_an_image(), "[a-cA-B0-2*?.:/@_\\[\\]\n-]{0,14}"]
    ) {
        match Pattern::parse(&text) {
            Ok(_) => prop_assert_eq!(refusals(&text), Vec::<String>::new()),
            Err(error) => prop_assert!(
                refusals(&text).contains(&error.to_string()),
                "{} but {:?}", error, refusals(&text)
            ),
        }
    }
}
