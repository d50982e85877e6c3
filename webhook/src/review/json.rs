//! Reads JSON into borrowed types, and passes over what no type asks for many bytes at a time. Pure.
//!
//! Nine tenths of a review are of no interest, so most of the time of an answer would go into skipping them. What is
//! accepted and what comes out is the same as with `serde_json`, which also decides whatever is not plain here.

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

#[cfg(test)]
mod tests;

/// Reads a value.
///
/// # Errors
/// Those of `serde_json`.
pub(super) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> serde_json::Result<T> {
    read(text).or_else(|Unfit| serde_json::from_str(text))
}

/// Something that is wrong, or that is rare enough to be left to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not plain JSON, or not of the type")]
struct Unfit;

impl de::Error for Unfit {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

type Result<T> = std::result::Result<T, Unfit>;

fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T> {
    let mut reader = Reader { text, at: 0 };
    let value = T::deserialize(&mut reader)?;
    if reader.token() == Err(Unfit) { Ok(value) } else { Err(Unfit) }
}

struct Reader<'de> {
    text: &'de str,
    at: usize,
}

impl<'de> Reader<'de> {
    fn byte(&self) -> Result<u8> {
        self.text.as_bytes().get(self.at).copied().ok_or(Unfit)
    }

    /// What comes next but for white space; there is no more when that fails.
    fn token(&mut self) -> Result<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Ok(byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Result<()> {
        if self.token()? != byte {
            return Err(Unfit);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Unfit);
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes over a string from its first quote to behind its last; whether it had an escape in it.
    fn skip_string(&mut self) -> Result<bool> {
        self.take(b'"')?;
        let mut escaped = false;
        loop {
            self.at += plain(&self.text.as_bytes()[self.at..]);
            match self.byte()? {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => self.skip_escape()?,
                _control => return Err(Unfit),
            }
            escaped = true;
        }
    }

    fn skip_escape(&mut self) -> Result<()> {
        self.at += 1;
        let digits = match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 0,
            b'u' => 4,
            _ => return Err(Unfit),
        };
        self.at += 1;
        for _ in 0..digits {
            if !self.byte()?.is_ascii_hexdigit() {
                return Err(Unfit);
            }
            self.at += 1;
        }
        Ok(())
    }

    fn skip_digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.byte().is_ok_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Unfit) } else { Ok(()) }
    }

    fn skip_number(&mut self) -> Result<()> {
        if self.byte()? == b'-' {
            self.at += 1;
        }
        match self.byte()? {
            b'0' => self.at += 1,
            _ => self.skip_digits()?,
        }
        if self.byte() == Ok(b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if matches!(self.byte(), Ok(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Ok(b'+' | b'-')) {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Ok(())
    }

    /// Passes over a whole value, whatever is in it.
    fn skip_value(&mut self) -> Result<()> {
        // One bit for each level that is open: whether it is an object.
        let (mut objects, mut depth) = (0_u128, 0_u32);
        loop {
            let opened = match self.token()? {
                b'"' => self.skip_string().map(|_escaped| false)?,
                open @ (b'{' | b'[') => {
                    if depth == u128::BITS {
                        return Err(Unfit);
                    }
                    self.at += 1;
                    (objects, depth) = (objects << 1 | u128::from(open == b'{'), depth + 1);
                    true
                }
                b't' => self.word("true").map(|()| false)?,
                b'f' => self.word("false").map(|()| false)?,
                b'n' => self.word("null").map(|()| false)?,
                _ => self.skip_number().map(|()| false)?,
            };
            // Leaves every level that ends here; goes on to the next value of the one that does not.
            let mut empty = opened;
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let in_object = objects & 1 == 1;
                match self.token()? {
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    b',' if !empty => {
                        self.at += 1;
                        break;
                    }
                    _ if empty => break,
                    _ => return Err(Unfit),
                }
                self.at += 1;
                (objects, depth, empty) = (objects >> 1, depth - 1, false);
            }
            if objects & 1 == 1 {
                self.skip_string()?;
                self.take(b':')?;
            }
        }
    }

    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let start = self.at;
        let escaped = self.skip_string()?;
        if escaped {
            let whole = &self.text[start..self.at];
            let text: String = serde_json::from_str(whole).map_err(|_error| Unfit)?;
            return visitor.visit_string(text);
        }
        visitor.visit_borrowed_str(&self.text[start + 1..self.at - 1])
    }
}

/// How many bytes come before a quote, a backslash, a control character or the end.
fn plain(bytes: &[u8]) -> usize {
    const WIDTH: usize = 16;
    let stops = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ';
    let (chunks, rest) = bytes.as_chunks::<WIDTH>();
    for (n, chunk) in chunks.iter().enumerate() {
        // Without a branch, so that the compiler compares all bytes at once.
        let marks = u128::from_le_bytes(chunk.map(|byte| u8::from(stops(byte))));
        if marks != 0 {
            return n * WIDTH + marks.trailing_zeros() as usize / 8;
        }
    }
    let end = rest.iter().position(|&byte| stops(byte)).unwrap_or(rest.len());
    chunks.len() * WIDTH + end
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.token()? {
            b'"' => self.string(visitor),
            b'{' => {
                self.at += 1;
                let mut members = Elements { reader: self, state: State::Begun };
                let value = visitor.visit_map(&mut members)?;
                members.ended(value)
            }
            b'[' => {
                self.at += 1;
                let mut elements = Elements { reader: self, state: State::Begun };
                let value = visitor.visit_seq(&mut elements)?;
                elements.ended(value)
            }
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            _number => Err(Unfit),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.token()? {
            b'n' => self.word("null").and_then(|()| visitor.visit_none()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip_value()?;
        visitor.visit_unit()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier
    }
}

/// What is between two brackets.
struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begun,
    Going,
    Ended,
}

impl Elements<'_, '_> {
    /// Goes to the next element; whether there is one.
    fn advance(&mut self, close: u8) -> Result<bool> {
        let begun = self.state == State::Begun;
        self.state = State::Going;
        match self.reader.token()? {
            byte if byte == close => {
                self.reader.at += 1;
                self.state = State::Ended;
                Ok(false)
            }
            b',' if !begun => {
                self.reader.at += 1;
                Ok(true)
            }
            _ if begun => Ok(true),
            _ => Err(Unfit),
        }
    }

    fn ended<T>(&self, value: T) -> Result<T> {
        if self.state == State::Ended { Ok(value) } else { Err(Unfit) }
    }
}

impl<'de> MapAccess<'de> for &mut Elements<'_, 'de> {
    type Error = Unfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.advance(b'}')? {
            return Ok(None);
        }
        if self.reader.token()? != b'"' {
            return Err(Unfit);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.reader.take(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = Unfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.advance(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}
