//! Puts a decision into words: warnings for the client, annotations for the audit log. Pure.

use std::{borrow::Cow, fmt::Write as _};

use profile::{
    decide::{Bound, Decision, Note, Recorded},
    pod::PROFILE_NOT_READY,
};
use rustc_hash::FxHashMap;

/// The API server cuts a longer warning, and all of them when they are more than 4 KiB together.
const WARNING_MAX: usize = 256;
const WARNINGS_MAX: usize = 12;
const CONTAINERS_MAX: usize = 4;
const AUDIT_MAX: usize = 2048;

/// The warnings, each told once for all the containers that it is about.
pub fn warnings(notes: &[Note<'_>]) -> Vec<String> {
    let mut grouped: Vec<(String, Vec<&str>)> = Vec::new();
    let mut places = FxHashMap::default();
    for note in notes {
        let text = note.to_string();
        let place = *places.entry(text).or_insert_with_key(|text| {
            grouped.push((text.clone(), Vec::new()));
            grouped.len() - 1
        });
        grouped[place].1.extend(note.container());
    }
    let more = grouped.len().saturating_sub(WARNINGS_MAX);
    let mut warnings: Vec<_> = grouped
        .into_iter()
        .take(WARNINGS_MAX)
        .map(|(text, about)| warning(&text, &about))
        .collect();
    if more > 0 {
        warnings.push(format!("cinch: and {more} more warnings"));
    }
    warnings
}

fn warning(text: &str, containers: &[&str]) -> String {
    let mut warning = "cinch: ".to_owned();
    if let Some((first, rest)) = containers.split_first() {
        warning += if rest.is_empty() { "container " } else { "containers " };
        warning += first;
        for name in rest.iter().take(CONTAINERS_MAX - 1) {
            warning += ", ";
            warning += name;
        }
        if containers.len() > CONTAINERS_MAX {
            write!(warning, " and {} more", containers.len() - CONTAINERS_MAX)
                .expect("into memory");
        }
        warning += ": ";
    }
    warning += text;
    cut(warning, WARNING_MAX)
}

/// What the audit log is told of a decision.
pub fn audit_annotations(decision: &Decision<'_>) -> Vec<(&'static str, String)> {
    let bound = list(&decision.bound, |text, bound| {
        let Bound { container, mechanism, kind, profile, binding, class, result } = *bound;
        let (mechanism, kind) = (mechanism.as_str(), kind.as_str());
        let (class, result) = (class.as_str(), result.as_str());
        text.extend([container, ": ", mechanism, " ", kind, "/", profile, " by ", binding]);
        text.extend([" (", class, "): ", result]);
    });
    let recorded = list(&decision.recorded, |text, recorded| {
        let Recorded { container, recording, key } = recorded;
        text.extend([container, ": ", key, " by ", recording]);
    });
    let gated = if decision.gated { PROFILE_NOT_READY.to_owned() } else { String::new() };
    [("bound", bound), ("recorded", recorded), ("gated", gated)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn list<T>(entries: &[T], write: impl Fn(&mut String, &T)) -> String {
    let mut text = String::new();
    for entry in entries {
        if text.len() > AUDIT_MAX {
            break;
        }
        if !text.is_empty() {
            text += "; ";
        }
        write(&mut text, entry);
    }
    cut(text, AUDIT_MAX)
}

/// Shortens to a number of bytes, and takes out what has no place in a header or a log line.
pub(crate) fn cut<'t>(text: impl Into<Cow<'t, str>>, max: usize) -> String {
    let text = text.into();
    if text.len() <= max && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.into_owned();
    }
    let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.len() > max {
        let end = (0..=max - 3).rev().find(|&n| clean.is_char_boundary(n)).unwrap_or_default();
        clean.truncate(end);
        clean += "...";
    }
    clean
}

#[cfg(test)]
mod tests {
    use profile::kinds::ProfileKind;

    use super::*;

    fn missing(container: &str) -> Note<'_> {
        Note::Missing { container, kind: ProfileKind::SeccompProfile, profile: "p", binding: "b" }
    }

    #[test]
    fn tells_a_warning_once_for_all_its_containers() {
        let names: Vec<_> = (0..6).map(|n| format!("c{n}")).collect();
        let notes: Vec<_> = names.iter().map(|name| missing(name)).collect();
        assert_eq!(
            warnings(&notes),
            ["cinch: containers c0, c1, c2, c3 and 2 more: SeccompProfile p does not exist: \
              not applied, although ProfileBinding b asks for it"]
        );
    }

    #[test]
    fn takes_out_what_has_no_place_in_a_header_and_shortens_between_characters() {
        assert_eq!(cut("as it is ~", 10), "as it is ~");
        assert_eq!(cut("a\tb\u{7f}c\u{85}d", 10), "a b c d");
        assert_eq!(cut("more than ten", 10), "more th...");
        assert_eq!(cut("ééééé1", 10), "ééé...");
    }

    #[test]
    fn a_hundred_different_warnings_stay_within_what_the_api_server_passes_on() {
        let keys: Vec<_> = (0..100).map(|n| format!("key-{n}-{}\n", "é".repeat(300))).collect();
        let notes: Vec<_> = keys.iter().map(|key| Note::ForeignMark { key }).collect();
        let warnings = warnings(&notes);
        assert!(warnings.iter().map(String::len).sum::<usize>() < 4096);
        assert!(warnings.iter().all(|w| w.len() <= WARNING_MAX && !w.contains('\n')));
        assert_eq!(warnings.last().unwrap(), "cinch: and 88 more warnings");
    }
}
