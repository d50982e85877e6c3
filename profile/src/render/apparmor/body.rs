//! The body of a profile in AppArmor's own language, which must not end the profile that it is put into. Pure.

/// Why a body is refused; the numbers are those of lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error(
        "line {0}: this }} has no {{ before it: a policy must not end the profile that it is put into"
    )]
    Closed(usize),
    #[error("line {0}: this {{ is never closed")]
    Open(usize),
    #[error("line {0}: this quotation mark is never closed")]
    Quote(usize),
    #[error("line {0}: a policy is text without control characters")]
    Control(usize),
}

/// Finds the first thing for which a body is refused.
pub(super) fn check(policy: &str) -> Result<(), BodyError> {
    let mut open = Vec::new();
    for (line, text) in (1..).zip(policy.split('\n')) {
        let mut quoted = false;
        for c in text.chars() {
            match c {
                _ if c.is_control() && c != '\t' => return Err(BodyError::Control(line)),
                '"' => quoted = !quoted,
                _ if quoted => (),
                '#' => break,
                '{' => open.push(line),
                '}' => drop(open.pop().ok_or(BodyError::Closed(line))?),
                _ => (),
            }
        }
        if quoted {
            return Err(BodyError::Quote(line));
        }
    }
    open.last().map_or(Ok(()), |line| Err(BodyError::Open(*line)))
}
