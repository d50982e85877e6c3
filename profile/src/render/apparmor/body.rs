//! The body of a profile in AppArmor's own language, which must not end the profile that it is put into. Pure.
//!
//! AppArmor's parser reads a brace in many ways: as the beginning of a profile, as a part of a path, as a value. Here a
//! body is refused unless each of its braces can be read in one way alone.

/// Why a body is refused; the numbers are those of lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error(
        "line {0}: this }} has no {{ before it: a policy must not end the profile that it is put into"
    )]
    Closed(usize),
    #[error("line {0}: this {{ is never closed")]
    Open(usize),
    #[error(
        "line {0}: a {{ must follow a name as in 'profile name {{', and a }} the ',' of the last rule, each with spaces \
         around it"
    )]
    Misplaced(usize),
    #[error(
        "line {0}: each {{ in a path must be closed in that path: write an odd one as a path in quotation marks"
    )]
    Unbalanced(usize),
    #[error("line {0}: this ) has no ( before it: write a path with one in quotation marks")]
    Parenthesis(usize),
    #[error("line {0}: this quotation mark is never closed, or a backslash stands before it")]
    Quote(usize),
    #[error(
        "line {0}: a # begins a comment only after a space: write a path with one in quotation marks"
    )]
    Hash(usize),
    #[error(
        "line {0}: write what has a backslash before a space, ',', '!' or '#' in quotation marks, without it"
    )]
    Backslash(usize),
    #[error("line {0}: a policy is text without control characters")]
    Control(usize),
}

/// Finds the first thing for which a body is refused.
pub(super) fn check(policy: &str) -> Result<(), BodyError> {
    let mut reader = Reader { line: 0, open: Vec::new(), depth: 0, statement: Statement::None };
    for line in policy.split('\n') {
        reader.line += 1;
        reader.read(line.strip_suffix('\r').unwrap_or(line))?;
    }
    reader.open.last().map_or(Ok(()), |line| Err(BodyError::Open(*line)))
}

/// What the words since the last rule begin.
#[derive(Clone, Copy, PartialEq)]
enum Statement {
    None,
    /// A profile or hat, whose { comes next.
    Header,
    /// Ends with its line.
    Include,
    Rule,
}

struct Reader {
    line: usize,
    /// The lines of profiles that are not closed yet.
    open: Vec<usize>,
    /// How many parentheses are open.
    depth: usize,
    statement: Statement,
}

impl Reader {
    fn read(&mut self, line: &str) -> Result<(), BodyError> {
        if line.contains(|c: char| c.is_control() && c != '\t') {
            return Err(BodyError::Control(self.line));
        }
        let mut rest = line.trim_start_matches([' ', '\t']);
        while !rest.is_empty() && (!rest.starts_with('#') || rest.starts_with("#include")) {
            let size = self.word_size(rest)?;
            let (word, after) = rest.split_at(size);
            self.word(word)?;
            rest = after.trim_start_matches([' ', '\t']);
        }
        if self.statement == Statement::Include {
            self.statement = Statement::None;
        }
        Ok(())
    }

    /// How long the word at the beginning is; a quoted text in it has spaces.
    fn word_size(&self, text: &str) -> Result<usize, BodyError> {
        let mut quoted = false;
        let mut before = ' ';
        for (place, c) in text.char_indices() {
            match c {
                '"' if before == '\\' => return Err(BodyError::Quote(self.line)),
                '"' => quoted = !quoted,
                _ if quoted => (),
                ' ' | '\t' | ',' | '!' | '#' if before == '\\' => {
                    return Err(BodyError::Backslash(self.line));
                }
                ' ' | '\t' => return Ok(place),
                '#' if place > 0 => return Err(BodyError::Hash(self.line)),
                _ => (),
            }
            before = c;
        }
        match (quoted, before) {
            (true, _) => Err(BodyError::Quote(self.line)),
            (false, '\\') => Err(BodyError::Backslash(self.line)),
            (false, _) => Ok(text.len()),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), BodyError> {
        match (word, self.statement, self.depth) {
            ("{", Statement::Header, 0) => self.open.push(self.line),
            ("}", Statement::None, 0) => {
                self.open.pop().ok_or(BodyError::Closed(self.line))?;
            }
            _ if word.starts_with(['{', '}']) => return Err(BodyError::Misplaced(self.line)),
            _ => return self.part_of_rule(word),
        }
        self.statement = Statement::None;
        Ok(())
    }

    fn part_of_rule(&mut self, word: &str) -> Result<(), BodyError> {
        if self.statement == Statement::None {
            self.statement = match word {
                "profile" | "hat" => Statement::Header,
                _ if word.starts_with('^') => Statement::Header,
                _ if word.trim_start_matches('#').starts_with("include") => Statement::Include,
                _ => Statement::Rule,
            };
        }
        let mut braces = 0_usize;
        for (n, part) in word.split('"').enumerate() {
            // Every other part is quoted.
            if n % 2 == 1 {
                continue;
            }
            for c in part.chars() {
                match c {
                    '{' => braces += 1,
                    '}' => {
                        braces = braces.checked_sub(1).ok_or(BodyError::Unbalanced(self.line))?;
                    }
                    '(' | ')' | '=' | '!' if braces > 0 => {
                        return Err(BodyError::Unbalanced(self.line));
                    }
                    '(' => self.depth += 1,
                    ')' => {
                        let depth = self.depth.checked_sub(1);
                        self.depth = depth.ok_or(BodyError::Parenthesis(self.line))?;
                    }
                    _ => (),
                }
            }
            if braces > 0 {
                return Err(BodyError::Unbalanced(self.line));
            }
        }
        if word.ends_with(',') && self.depth == 0 {
            self.statement = Statement::None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("# }\n")]
    #[case("/a/{b,c{d,}}/** r,\nsignal (send, receive) peer={a,b}, # {")]
    #[case("#include <abstractions/base>\ninclude if exists <local/x>\n/a r,")]
    #[case("profile z /bin/z flags=(complain, attach_disconnected) {\n  /b r,\n}\n/bin/z px -> z,")]
    #[case("hat h {\n}\n^g {\n  \"/a } \\* b\" r,\n}\n")]
    #[case("mount options=(ro,\n  nosuid) /a -> /b,\r\n/c r,")]
    fn what_stays_in_its_profile_is_accepted(#[case] policy: &str) {
        assert_eq!(check(policy), Ok(()));
    }

    #[rstest]
    #[case("/a r,\n}\nprofile evil {\n", BodyError::Closed(2))]
    #[case("#include <abstractions/base> }\nprofile evil {", BodyError::Misplaced(1))]
    #[case("profile z {", BodyError::Open(1))]
    #[case("change_profile -> { ,", BodyError::Misplaced(1))]
    #[case("profile z {\nchange_profile -> }\n,", BodyError::Misplaced(2))]
    #[case("mount fstype=(a, profile { , b) -> /a,", BodyError::Misplaced(1))]
    #[case("/a {", BodyError::Misplaced(1))]
    #[case("/x{ r,\n}\nprofile evil {\n/y} r,", BodyError::Unbalanced(1))]
    #[case("/x[{] r,", BodyError::Unbalanced(1))]
    #[case(r"/x\{ r,", BodyError::Unbalanced(1))]
    #[case("/x} r,", BodyError::Unbalanced(1))]
    #[case("/x{\"a\"} r,", BodyError::Unbalanced(1))]
    #[case("profile z{ }", BodyError::Unbalanced(1))]
    #[case("/a r,#, profile z {\n}", BodyError::Hash(1))]
    #[case("\"/a\\\"b\" r,", BodyError::Quote(1))]
    #[case("\"/a\nb\" r,", BodyError::Quote(1))]
    #[case("\"/a\\\\\" r,", BodyError::Quote(1))]
    #[case("/a\\ # r,", BodyError::Backslash(1))]
    #[case("/a\\\n} r,", BodyError::Backslash(1))]
    #[case("/a) r,", BodyError::Parenthesis(1))]
    #[case("/a r,\n/b\0 r,", BodyError::Control(2))]
    #[case("/a r, # b\r}", BodyError::Control(1))]
    fn what_could_leave_its_profile_is_refused(#[case] policy: &str, #[case] error: BodyError) {
        assert_eq!(check(policy), Err(error));
    }
}
