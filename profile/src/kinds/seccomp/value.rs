//! A 64-bit unsigned value that survives JSON. Pure.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::kinds::rule::seccomp::arg_value;

/// A 64-bit unsigned value: a number up to 2^63-1, or a string in decimal or hexadecimal.
///
/// The API server keeps whole numbers exactly up to 2^63-1 only, and would round greater ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArgValue(pub u64);

/// Says that a text is no 64-bit value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read {0:?} as a 64-bit value: write 0 to 18446744073709551615, or \"0x\" and up to 16 hex digits"
)]
pub struct BadValue(String);

impl FromStr for ArgValue {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => (hex, 16),
            None => (text, 10),
        };
        // from_str_radix takes a sign, and any number of leading zeros.
        let most = if radix == 16 { 16 } else { 20 };
        let bare = digits.bytes().all(|b| b.is_ascii_hexdigit()) && digits.len() <= most;
        let value = if bare { u64::from_str_radix(digits, radix).ok() } else { None };
        value.map(Self).ok_or_else(|| BadValue(text.to_owned()))
    }
}

impl fmt::Display for ArgValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ArgValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(exact) => serializer.serialize_i64(exact),
            Err(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for ArgValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl de::Visitor<'_> for ValueVisitor {
    type Value = ArgValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit unsigned value, as a number or a string")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<ArgValue, E> {
        Ok(ArgValue(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<ArgValue, E> {
        u64::try_from(value)
            .map(ArgValue)
            .map_err(|_negative| E::custom(BadValue(value.to_string())))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ArgValue, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for ArgValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ArgValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 20 });
        arg_value(&mut schema);
        schema
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("12", 12)]
    #[case("\"12\"", 12)]
    #[case("\"0xff\"", 255)]
    #[case("\"0XFFFFFFFFFFFFFFFF\"", u64::MAX)]
    #[case("\"18446744073709551615\"", u64::MAX)]
    #[case("18446744073709551615", u64::MAX)]
    fn reads_numbers_and_strings(#[case] json: &str, #[case] value: u64) {
        assert_eq!(serde_json::from_str::<ArgValue>(json).unwrap(), ArgValue(value));
    }

    #[rstest]
    #[case("-1")]
    #[case("1.5")]
    #[case("18446744073709551616")]
    #[case("\"18446744073709551616\"")]
    #[case("\"0x1ffffffffffffffff\"")]
    #[case("\"+1\"")]
    #[case("\"0x\"")]
    #[case("\"ff\"")]
    #[case("\"\"")]
    #[case("true")]
    fn refuses_what_is_no_64_bit_value(#[case] json: &str) {
        assert!(serde_json::from_str::<ArgValue>(json).is_err());
    }

    #[test]
    fn a_value_that_json_would_round_is_written_as_a_string() {
        let most = i64::MAX.unsigned_abs();
        assert_eq!(serde_json::to_string(&ArgValue(most)).unwrap(), "9223372036854775807");
        assert_eq!(serde_json::to_string(&ArgValue(most + 1)).unwrap(), "\"9223372036854775808\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any::<u64>()) {
            let json = serde_json::to_string(&ArgValue(value)).unwrap();
            prop_assert_eq!(serde_json::from_str::<ArgValue>(&json).unwrap(), ArgValue(value));
        }
    }
}
