//! Text of a profile's author as a quoted text that AppArmor's parser reads as one. Pure.

use super::variable;

/// Quotes a path, a profile's name or an address, or says why that cannot be.
pub(super) fn quote(text: &str) -> Result<String, String> {
    check(text)?;
    Ok(format!("\"{text}\""))
}

fn check(text: &str) -> Result<(), String> {
    if text.contains(|c: char| c == '"' || c.is_control()) {
        return Err(format!("{text:?} must have no quotation mark and no control character"));
    }
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        // A letter or digit would make it a character of its own, and a quotation mark might no longer end the text.
        if !rest[place + 1..].starts_with(|c: char| c.is_ascii_punctuation() && c != '\\') {
            return Err(format!("{text:?} may have \\ before a character such as * or [ only"));
        }
        rest = &rest[place + 2..];
    }
    variables(text)?;
    groups(text)
}

fn variables(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(place) = rest.find("@{") {
        rest = &rest[place + 2..];
        let name = rest.split('}').next().unwrap_or_default();
        if !variable::is_known(name) {
            return Err(format!(
                "{text:?} has an unknown variable @{{{name}}}: known are {}",
                variable::known()
            ));
        }
    }
    Ok(())
}

/// Checks that every { and [ is closed: AppArmor's parser refuses the profile otherwise.
fn groups(text: &str) -> Result<(), String> {
    let mut open = Vec::new();
    let mut in_set = false;
    let mut escaped = false;
    let mut before = ' ';
    for c in text.chars() {
        let special = !std::mem::take(&mut escaped);
        match c {
            '\\' if special => escaped = true,
            ']' if special && in_set => in_set = false,
            _ if in_set => (),
            '[' if special => in_set = true,
            '{' if special => open.push((before == '@', 1)),
            ',' if special => open.iter_mut().last().into_iter().for_each(|(_, items)| *items += 1),
            '}' if special => match open.pop() {
                Some((variable, items)) if variable || items > 1 => (),
                Some(_) => {
                    return Err(format!("{text:?} has a {{}} without a comma: write {{a,b}}"));
                }
                None => return Err(format!("{text:?} has a }} that closes nothing")),
            },
            _ => (),
        }
        before = if special { c } else { ' ' };
    }
    if in_set || !open.is_empty() {
        return Err(format!("{text:?} has a {{ or [ that is not closed"));
    }
    Ok(())
}
