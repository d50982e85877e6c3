//! Explanations as people read them in a terminal. Pure.

use std::fmt::Write as _;

use super::{Answer, Explanation, Group, PARTLY, risk::Level};

/// Columns of a line.
const WIDTH: usize = 100;

/// Of longer lists of paths, only so many are shown.
const SHOWN: usize = 60;

pub(super) fn explanation(of: &Explanation) -> String {
    let Explanation { kind, name, description, enforced, summary, risks, groups, rare, warnings } =
        of;
    let mut text = format!("{name} ({kind})\n");
    if let Some(description) = description {
        text += &wrapped(
            "  ",
            "  ",
            &format!("\"{}\"", description.split_whitespace().collect::<Vec<_>>().join(" ")),
        );
    }
    if !enforced {
        text += "\n  IT REFUSES NOTHING.\n";
    }
    text.push('\n');
    for sentence in summary {
        text += &wrapped("  ", "  ", sentence);
    }
    if !warnings.is_empty() {
        text += "\nLikely to go wrong\n";
        for warning in warnings {
            text += &wrapped("  * ", "    ", warning);
        }
    }
    if !risks.is_empty() {
        text += "\nWorth a second look\n";
        for risk in risks {
            let mark = if risk.level == Level::High { "!" } else { "-" };
            text += &wrapped(
                &format!("  {mark} "),
                "    ",
                &format!("{}: {}", risk.what.join(", "), risk.why),
            );
        }
    }
    if let Some(first) = rare.first() {
        let _ = writeln!(text, "\nDone by few of {} instances", first.of);
        for one in rare.iter().take(SHOWN) {
            let _ = writeln!(text, "  {:>4}  {}", one.instances, one.what);
        }
        if let Some(more) = rare.len().checked_sub(SHOWN + 1) {
            let _ = writeln!(text, "        and {} more: --output json has all", more + 1);
        }
    }
    if !groups.is_empty() {
        text += "\nWhat is in it\n";
        let longest = groups.iter().map(|group| group.name.len()).max().unwrap_or_default().min(28);
        for group in groups {
            text += &entries(group, longest);
        }
    }
    if groups.iter().flat_map(|group| &group.entries).any(|entry| entry.ends_with(PARTLY)) {
        text += "\nWith which arguments: cinch explain FILE CALL\n";
    }
    text
}

fn entries(group: &Group, longest: usize) -> String {
    let Group { name, entries } = group;
    let paths = entries.iter().any(|entry| entry.contains(['/', ':']));
    let before = format!("  {name:<longest$} {:>4}  ", entries.len());
    let indent = " ".repeat(before.chars().count());
    if !paths {
        return wrapped(&before, &indent, &entries.join(", "));
    }
    let more = entries.len().saturating_sub(SHOWN);
    let mut text = String::new();
    for (at, entry) in entries.iter().take(SHOWN).enumerate() {
        let _ = writeln!(text, "{}{entry}", if at == 0 { &before } else { &indent });
    }
    if more > 0 {
        let _ = writeln!(text, "{indent}and {more} more: --output json has all");
    }
    text
}

pub(super) fn answer(of: &Answer) -> String {
    let Answer { name, asked, allowed, because, .. } = of;
    let verdict = if *allowed { "allowed" } else { "refused" };
    let mut text = format!("{asked} is {verdict} by {name}\n");
    for line in because {
        text += &wrapped("  ", "    ", line);
    }
    text
}

/// The words in lines that are not too long, each ending in a line break.
fn wrapped(first: &str, next: &str, words: &str) -> String {
    let mut text = String::new();
    let mut line = first.to_owned();
    let mut begun = false;
    for word in words.split_whitespace() {
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text += line.trim_end();
            text.push('\n');
            next.clone_into(&mut line);
            begun = false;
        }
        if begun {
            line.push(' ');
        }
        line += word;
        begun = true;
    }
    text + line.trim_end() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_they_are_too_long() {
        let text = wrapped("  * ", "    ", &"word ".repeat(60));
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(text.split_whitespace().filter(|word| *word == "word").count(), 60);
        assert!(
            text.starts_with("  * word") && text.lines().nth(1).unwrap().starts_with("    word")
        );
    }
}
