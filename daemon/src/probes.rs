//! What `/readyz` says: a line for each thing that can be well or not.

use std::fmt::Write as _;

/// A text of lines, each marked as good or not.
#[derive(Clone, Debug, Default)]
pub struct Detail(String);

impl Detail {
    /// Adds a line on `what`.
    pub fn line(&mut self, good: bool, what: &str, text: &str) {
        let mark = if good { '+' } else { '-' };
        writeln!(self.0, "[{mark}] {what}: {text}").expect("into memory");
    }

    /// Adds a line for each kind of object: for how many seconds nothing has been heard of it, zero while all is well.
    pub fn ages(&mut self, ages: &[(&'static str, u64)]) {
        for (kind, age) in ages {
            let text = match age {
                0 => "up to date".to_owned(),
                age => format!("not heard of for {age} s, serving what was last seen"),
            };
            self.line(*age == 0, kind, &text);
        }
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.0
    }
}
