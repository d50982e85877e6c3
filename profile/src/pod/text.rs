//! Strings and string maps that borrow from JSON bytes wherever they hold no escape. Pure.

use std::{borrow::Cow, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use crate::selector::Labels;

/// A string, borrowed from the input unless an escape had to be resolved; `null` is the empty string.
///
/// A `Cow` inside an `Option` would be owned always: serde's borrowing looks at a field's own type only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Text::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Labels or annotations, sorted by key; a key that comes twice is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StringMap<'a>(Vec<(Text<'a>, Text<'a>)>);

impl StringMap<'_> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key as it stands here, and its value.
    pub fn entry(&self, key: &str) -> Option<(&str, &str)> {
        let place = self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        let (key, value) = &self.0[place];
        Some((key, value))
    }

    /// Whether any key begins with a text.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.with_prefix(prefix).next().is_some()
    }

    /// All entries whose key begins with a text.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let start = self.0.partition_point(|(key, _)| **key < *prefix);
        self.0[start..]
            .iter()
            .map(|(key, value)| (&**key, &**value))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }
}

impl Labels for StringMap<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)
    }
}

impl Labels for Option<StringMap<'_>> {
    fn label(&self, key: &str) -> Option<&str> {
        self.as_ref()?.get(key)
    }
}

struct MapVisitor;

impl<'de> Visitor<'de> for MapVisitor {
    type Value = StringMap<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<Text<'de>, Text<'de>>()? {
            entries.push(entry);
        }
        entries.sort_unstable();
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            None => Ok(StringMap(entries)),
            Some(pair) => Err(A::Error::custom(format_args!("duplicate key `{}`", pair[0].0))),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StringMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrows_what_has_no_escape() {
        let texts: Vec<Text<'_>> =
            serde_json::from_str(r#"["plain", "es\u0063aped", null]"#).unwrap();
        assert!(matches!(texts[0].0, Cow::Borrowed("plain")));
        assert_eq!((&*texts[1], &*texts[2]), ("escaped", ""));
    }

    #[test]
    fn borrows_inside_an_option() {
        #[derive(Deserialize)]
        struct Holder<'a> {
            #[serde(borrow)]
            text: Option<Text<'a>>,
        }
        let holder: Holder<'_> = serde_json::from_str(r#"{"text": "plain"}"#).unwrap();
        assert!(matches!(holder.text, Some(Text(Cow::Borrowed("plain")))));
    }

    #[test]
    fn finds_keys_whatever_their_order() {
        let map: StringMap<'_> =
            serde_json::from_str(r#"{"b/2": "two", "a": "one", "b/1": "x", "c": "y"}"#).unwrap();
        assert_eq!((map.get("a"), map.get("b")), (Some("one"), None));
        let found: Vec<_> = map.with_prefix("b/").collect();
        assert_eq!(found, [("b/1", "x"), ("b/2", "two")]);
    }

    #[test]
    fn refuses_a_key_that_comes_twice() {
        let error =
            serde_json::from_str::<StringMap<'_>>(r#"{"a": "1", "\u0061": "2"}"#).unwrap_err();
        assert!(error.to_string().contains("duplicate key `a`"), "{error}");
    }
}
