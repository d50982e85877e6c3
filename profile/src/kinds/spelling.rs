//! Enums that are read in any case and written in one spelling. Pure.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{Schema, json_schema};
use serde::{Deserializer, de};

/// An enum whose values have a canonical spelling.
pub trait Spelled: Copy + 'static {
    /// Every value, in the order in which documentation lists them.
    const ALL: &'static [Self];
    /// Every spelling that a schema lists, the canonical ones first.
    const SPELLINGS: &'static [&'static str];

    /// The canonical spelling.
    fn as_str(self) -> &'static str;

    /// The value with this spelling, compared without case.
    fn from_spelling(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(text))
    }
}

/// Says which spellings there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown value {found:?}: write one of {}", .allowed.join(", "))]
pub struct UnknownSpelling {
    /// What was written.
    pub found: String,
    /// The canonical spellings.
    pub allowed: Vec<&'static str>,
}

impl UnknownSpelling {
    pub(crate) fn new<T: Spelled>(found: &str) -> Self {
        Self { found: found.to_owned(), allowed: T::ALL.iter().map(|v| v.as_str()).collect() }
    }
}

pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Spelled,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(SpellingVisitor(PhantomData))
}

pub(crate) fn schema<T: Spelled>() -> Schema {
    json_schema!({ "type": "string", "enum": T::SPELLINGS })
}

/// The name under which a schema would be referred to; all of them are written inline.
pub(crate) fn schema_name(name: &'static str) -> Cow<'static, str> {
    Cow::Borrowed(name)
}

struct SpellingVisitor<T>(PhantomData<T>);

impl<T: Spelled> de::Visitor<'_> for SpellingVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of ")?;
        for (n, value) in T::ALL.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{}", value.as_str())?;
        }
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_spelling(text).ok_or_else(|| E::custom(UnknownSpelling::new::<T>(text)))
    }
}

/// Declares an enum with a canonical spelling per value, and further ones after a `|` that its schema lists too.
macro_rules! spelled {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$value_meta:meta])* $value:ident = $spelling:literal $(| $other:literal)*,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$value_meta])* $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The canonical spelling.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $spelling,)+
                }
            }
        }

        impl $crate::kinds::spelling::Spelled for $name {
            const ALL: &'static [Self] = Self::ALL;
            const SPELLINGS: &'static [&'static str] = &[$($spelling,)+ $($($other,)*)+];

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::kinds::spelling::UnknownSpelling;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <Self as $crate::kinds::spelling::Spelled>::from_spelling(text)
                    .ok_or_else(|| Self::Err::new::<Self>(text))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::kinds::spelling::deserialize(deserializer)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $crate::kinds::spelling::schema_name(stringify!($name))
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::kinds::spelling::schema::<Self>()
            }
        }
    };
}
pub(crate) use spelled;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::kinds::{MergeStrategy, Recorder, RecordingKind, Spelled, seccomp::Action};

    fn any_case(text: &str, upper: &[bool]) -> String {
        let cased = text.chars().zip(upper.iter().cycle());
        cased
            .map(|(c, up)| if *up { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect()
    }

    fn reads_any_case_and_writes_the_canonical<T>(upper: &[bool]) -> Result<(), TestCaseError>
    where
        T: Spelled + serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug + PartialEq,
    {
        for value in T::ALL {
            let written = serde_json::Value::from(any_case(value.as_str(), upper));
            let read: T = serde_json::from_value(written).unwrap();
            prop_assert_eq!(&read, value);
            prop_assert_eq!(serde_json::to_value(read).unwrap(), value.as_str());
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_case_is_read_and_the_canonical_one_written(upper in prop::collection::vec(any::<bool>(), 1..20)) {
            reads_any_case_and_writes_the_canonical::<Recorder>(&upper)?;
            reads_any_case_and_writes_the_canonical::<MergeStrategy>(&upper)?;
            reads_any_case_and_writes_the_canonical::<RecordingKind>(&upper)?;
            reads_any_case_and_writes_the_canonical::<Action>(&upper)?;
        }
    }

    #[test]
    fn the_schema_lists_both_spellings() {
        assert_eq!(Recorder::SPELLINGS, ["Bpf", "Logs", "bpf", "logs"]);
        assert_eq!(MergeStrategy::SPELLINGS, ["None", "Containers", "none", "containers"]);
    }

    #[test]
    fn an_unknown_spelling_names_those_that_there_are() {
        let error = serde_json::from_str::<Recorder>("\"ebpf\"").unwrap_err().to_string();
        assert_eq!(error, "unknown value \"ebpf\": write one of Bpf, Logs at line 1 column 6");
    }
}
