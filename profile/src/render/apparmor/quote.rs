//! The text of a profile's author, quoted so that AppArmor's parser reads it as one word. Pure.

use super::variable;

/// A NUL in an address, as apparmor.d(5) writes it; there is none in a path.
const NUL: &str = r"\000";

/// Quotes a path or a profile's name, or says why that cannot be.
pub(super) fn quote(text: &str) -> Result<String, String> {
    characters(text)?;
    variables(text)?;
    Groups::default().check(text).map_err(|wrong| format!("{text:?} has {wrong}"))?;
    Ok(format!("\"{text}\""))
}

/// The same of a socket's address.
pub(super) fn quote_address(text: &str) -> Result<String, String> {
    // A NUL is one character like another.
    quote(&text.replace(NUL, "0"))?;
    Ok(format!("\"{text}\""))
}

/// The parser's end of a quoted text is a quotation mark that no backslash stands before, whatever stands before that
/// backslash: so there must be neither a quotation mark in it nor a backslash at its end.
fn characters(text: &str) -> Result<(), String> {
    if text.contains(|c: char| c == '"' || c.is_control()) {
        return Err(format!("{text:?} must have no quotation mark and no control character"));
    }
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        // Before a letter or digit it would be the number of a character.
        if !rest[place + 1..].starts_with(|c: char| c.is_ascii_punctuation() && c != '\\') {
            return Err(format!("{text:?} may have \\ only before a character such as * or ["));
        }
        rest = &rest[place + 2..];
    }
    Ok(())
}

fn variables(text: &str) -> Result<(), String> {
    for after in text.split("@{").skip(1) {
        let name = after.split('}').next().unwrap_or_default();
        if !variable::is_known(name) {
            let known = variable::known();
            return Err(format!(
                "{text:?} has the variable @{{{name}}}, but only these are known: {known}"
            ));
        }
    }
    Ok(())
}

/// The groups of a glob, all of which must be closed and mean something, or the parser refuses the whole profile.
#[derive(Default)]
struct Groups {
    /// How many choices each open { has; none for a variable.
    open: Vec<Option<usize>>,
    /// Where a [ is open: whether there is something in it.
    set: Option<bool>,
}

impl Groups {
    fn check(mut self, text: &str) -> Result<(), &'static str> {
        let mut before = ' ';
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            if c == '\\' {
                // The parser forgets it there: of [\^] it makes [^], which it then refuses.
                if self.set.is_some() {
                    return Err("a \\ between [ and ], where it means nothing");
                }
                characters.next();
                before = ' ';
                continue;
            }
            self.step(c, before)?;
            before = c;
        }
        if self.set.is_some() || !self.open.is_empty() {
            return Err("a { or [ that is not closed");
        }
        Ok(())
    }

    fn step(&mut self, c: char, before: char) -> Result<(), &'static str> {
        match (c, self.set) {
            (']', Some(true)) => self.set = None,
            (']', Some(false)) => return Err("[] with nothing in it"),
            ('^', Some(false)) if before == '[' => (),
            // Its value is put there, groups and all.
            ('{', Some(_)) if before == '@' => return Err("a variable between [ and ]"),
            (_, Some(_)) => self.set = Some(true),
            ('[', None) => self.set = Some(false),
            (']', None) => return Err("a ] that closes nothing"),
            ('{', None) => self.open.push((before != '@').then_some(1)),
            ('}', None) => match self.open.pop() {
                Some(None | Some(2..)) => (),
                Some(Some(_)) => return Err("a {} without a comma in it, such as in {a,b}"),
                None => return Err("a } that closes nothing"),
            },
            (',', None) => {
                if let Some(Some(choices)) = self.open.last_mut() {
                    *choices += 1;
                }
            }
            _ => (),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/a b/c#d,e!")]
    #[case("/a/{b,c{d,}}/**")]
    #[case("/a/[^b-c]*[{]")]
    #[case(r"/a\*b\[c\{d")]
    #[case("/proc/@{pid}/{maps,@{tid}}")]
    #[case("/é")]
    #[case("foo//bar")]
    fn what_the_parser_reads_as_one_word_is_quoted(#[case] text: &str) {
        assert_eq!(quote(text).unwrap(), format!("\"{text}\""));
    }

    #[rstest]
    #[case("/a\" rwx,", "no quotation mark")]
    #[case(r#"/a\" rwx,"#, "no quotation mark")]
    #[case("/a\n}", "no control character")]
    #[case("/a\0", "no control character")]
    #[case("/a\u{85}", "no control character")]
    #[case(r"/a\", r"may have \ only before")]
    #[case(r"/a\\", r"may have \ only before")]
    #[case(r"/a\n", r"may have \ only before")]
    #[case(r"/a\042", r"may have \ only before")]
    #[case("@{bogus}/a", "the variable @{bogus}, but only these are known: @{HOME}, @{HOMEDIRS}")]
    #[case("/a@{", "the variable @{}")]
    #[case("/a{b", "not closed")]
    #[case("/a[b", "not closed")]
    #[case("/a{b,[c}", "not closed")]
    #[case("/a}", "a } that closes nothing")]
    #[case("/a]", "a ] that closes nothing")]
    #[case("/a{b}", "without a comma")]
    #[case("/a{}", "without a comma")]
    #[case("/a[]", "nothing in it")]
    #[case("/a[@{pid}]", "a variable between [ and ]")]
    #[case("/a[^]", "nothing in it")]
    #[case("/a[\\^]", "means nothing")]
    fn what_could_mean_more_than_one_word_is_refused(#[case] text: &str, #[case] message: &str) {
        let error = quote(text).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}
