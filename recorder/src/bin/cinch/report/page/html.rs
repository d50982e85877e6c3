//! Markup that cannot be broken by what stands in it: only the program's own text is taken as it is. Pure.

use std::fmt::{self, Display, Write};

use crate::table::plain;

/// A piece of a page.
#[derive(Debug, Default)]
pub(super) struct Html(String);

/// Takes text and writes it so that it stays text, between tags as well as in a quoted attribute.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(plain(c)),
            }
        }
        Ok(())
    }
}

impl Html {
    /// Markup: part of the program, so nothing that comes from a cluster.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, whatever is in it.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing into a string does not fail.
        let _ = write!(Escaping(&mut self.0), "{text}");
        self
    }

    /// An attribute, with a space before it.
    pub(super) fn attribute(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// A number of a drawing, short.
    pub(super) fn place(&mut self, name: &'static str, value: f64) -> &mut Self {
        self.attribute(name, Place(value))
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A place in a drawing: two digits are finer than any screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) f64);

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}
