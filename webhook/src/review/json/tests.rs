use proptest::{prelude::*, sample::Index};
use rstest::rstest;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;
use crate::review::{Request, Review};

const REVIEW: &str = include_str!("../../../tests/fixtures/review-12k.json");

/// What is read is what `serde_json` reads, and nothing is accepted that it refuses.
fn agrees<'a, T: Deserialize<'a> + std::fmt::Debug>(text: &'a str) -> bool {
    match (read::<T>(text), serde_json::from_str::<T>(text)) {
        (Ok(own), Ok(theirs)) => format!("{own:?}") == format!("{theirs:?}"),
        (Ok(_), Err(_)) => false,
        (Err(Unfit), _) => true,
    }
}

#[test]
fn a_real_review_is_read_without_help() {
    assert!(read::<Review<'_, Request<'_>>>(REVIEW).is_ok());
    assert!(agrees::<Review<'_, Request<'_>>>(REVIEW));
    let indented = serde_json::to_string_pretty(&serde_json::from_str::<Value>(REVIEW).unwrap());
    assert!(read::<Review<'_, Request<'_>>>(&indented.unwrap()).is_ok());
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_serde_json() {
    let error = from_str::<IgnoredAny>("{\n \"a\": tru}").unwrap_err();
    assert_eq!(error.to_string(), "expected ident at line 2 column 10");
}

#[rstest]
#[case::empty("")]
#[case::nothing_behind("{} {}")]
#[case::no_value(r#"{"a":}"#)]
#[case::no_key("{:1}")]
#[case::comma_first("[,1]")]
#[case::comma_last("[1,]")]
#[case::comma_last_in_object(r#"{"a":1,}"#)]
#[case::crossed(r#"[{"a":1]}"#)]
#[case::not_closed(r#"[{"a":1}"#)]
#[case::leading_zero("[01]")]
#[case::sign_alone("[-]")]
#[case::plus("[+1]")]
#[case::point_last("[1.]")]
#[case::no_exponent("[1e]")]
#[case::word("[nul]")]
#[case::line_in_string("[\"a\nb\"]")]
#[case::unknown_escape(r#"["\x"]"#)]
#[case::short_escape(r#"["\u12"]"#)]
#[case::string_not_closed(r#"["a]"#)]
fn is_as_strict_in_what_it_passes_over(#[case] text: &str) {
    assert!(serde_json::from_str::<IgnoredAny>(text).is_err());
    assert_eq!(read::<IgnoredAny>(text).err(), Some(Unfit));
}

#[rstest]
#[case::numbers("[0, -0, 1, -12.5, 1e9, 0.5E-3, 10E+2]")]
#[case::words("[true, false, null]")]
#[case::nested(r#" { "a" : [ { } , [ ] , { "b" : { "c" : [ [ ] ] } } ] , "d" : "" } "#)]
#[case::escapes(r#"["\"\\\/\b\f\n\r\t\u00e9\ud800"]"#)]
#[case::long_strings(r#"["sixteen bytes 16","seventeen bytes 17","thirty-three bytes, thirty-three \"", "é€😀é€😀é€😀"]"#)]
fn passes_over_all_that_is_json(#[case] text: &str) {
    assert!(serde_json::from_str::<IgnoredAny>(text).is_ok());
    assert!(read::<IgnoredAny>(text).is_ok());
}

#[test]
fn leaves_what_is_too_deep_to_others() {
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(read::<IgnoredAny>(&deep(128)).is_ok());
    assert_eq!(read::<IgnoredAny>(&deep(129)).err(), Some(Unfit));
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "compared by its debug text")]
struct Sample {
    #[serde(default)]
    a: Option<String>,
    #[serde(default)]
    b: Vec<Self>,
    #[serde(default)]
    c: Option<bool>,
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let members = proptest::collection::btree_map("[a-d]|\\PC{0,18}", inner.clone(), 0..5);
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn passes_over_any_value(value in json()) {
        prop_assert!(read::<IgnoredAny>(&value.to_string()).is_ok());
        let indented = format!("{value:#}");
        prop_assert!(read::<IgnoredAny>(&indented).is_ok());
        prop_assert!(agrees::<Sample>(&value.to_string()));
    }

    #[test]
    fn agrees_on_what_is_nearly_json(text in "([\\[\\]{}:, \"\\\\]|\"[a-c]\"|true|null|-?[0-9]|[.eEu]|\\PC){0,24}") {
        prop_assert_eq!(read::<IgnoredAny>(&text).is_ok(), serde_json::from_str::<IgnoredAny>(&text).is_ok());
        prop_assert!(agrees::<Sample>(&text));
    }

    #[test]
    fn agrees_on_a_review_with_faults(
        faults in proptest::collection::vec((any::<Index>(), 0..4_usize, "[\\[\\]{}:,\"\\\\a1 ]{0,3}"), 1..4),
    ) {
        let mut text = REVIEW.to_owned();
        for (at, length, with) in faults {
            let start = at.index(text.len());
            text.replace_range(start..(start + length).min(text.len()), &with);
        }
        prop_assert!(agrees::<Review<'_, Request<'_>>>(&text));
    }
}
