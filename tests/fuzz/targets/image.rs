//! Lines of text, the last one an image, the others what bindings may name: parsed, matched, ranked.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use profile::{
    bindings::{Binding, Bindings, Target},
    glob::Glob,
    image::{Pattern, Reference},
    kinds::{Override, ProfileKind, WhenMissing, WhenNotReady},
    mechanism::Mechanism,
};

fuzz_target!(|text: &str| {
    let mut lines: Vec<_> = text.lines().collect();
    let image = lines.pop().unwrap_or_default();
    let reference = Reference::parse(image).ok();
    if let Some(reference) = &reference {
        of_reference(image, reference);
    }
    let mut bindings = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        of_glob(line, image);
        if let Ok(pattern) = Pattern::parse(line) {
            of_pattern(&pattern, reference.as_ref());
            bindings.push(Arc::new(binding(n, pattern)));
        }
    }
    of_bindings(&bindings, reference.as_ref());
});

fn of_reference(image: &str, reference: &Reference<'_>) {
    let normal = reference.to_string();
    let again = Reference::parse(&normal).expect("a normal form parses");
    assert_eq!(again, *reference, "normalised twice");
    assert_eq!(again.to_string(), normal);
    for text in [image, &normal] {
        let pattern = Pattern::parse(text).expect("a reference is a pattern");
        assert!(pattern.matches(Some(reference)), "{text} does not match itself");
    }
}

fn of_pattern(pattern: &Pattern, reference: Option<&Reference<'_>>) {
    let normal = pattern.to_string();
    let again = Pattern::parse(&normal).expect("a normal form parses");
    assert_eq!(again, *pattern, "normalised twice: {normal}");
    assert!(again.compare_rank(pattern).is_eq());
    assert_eq!(again.matches(reference), pattern.matches(reference));
}

fn of_glob(glob: &str, text: &str) {
    let compiled = Glob::new(glob);
    // The reference below takes time that grows with the product of both.
    if glob.len() * text.len() <= 1 << 16 {
        let expected = slow_match(glob, text);
        assert_eq!(compiled.matches(text), expected, "{glob:?} on {text:?}");
        if expected {
            assert!(text.starts_with(compiled.prefix()) && text.ends_with(compiled.suffix()));
        }
    }
    assert_eq!(Glob::new(compiled.as_str()), compiled);
}

/// Which prefixes of the text are matched by a growing prefix of the glob.
fn slow_match(glob: &str, text: &str) -> bool {
    let text: Vec<_> = text.chars().collect();
    let mut matched = vec![false; text.len() + 1];
    matched[0] = true;
    for c in glob.chars() {
        let before = std::mem::replace(&mut matched, vec![false; text.len() + 1]);
        for n in 0..=text.len() {
            matched[n] = match c {
                '*' => before[n] || n > 0 && matched[n - 1],
                '?' => n > 0 && before[n - 1],
                c => n > 0 && before[n - 1] && text[n - 1] == c,
            };
        }
    }
    matched[text.len()]
}

fn of_bindings(bindings: &[Arc<Binding>], image: Option<&Reference<'_>>) {
    let labels = std::collections::BTreeMap::<String, String>::new();
    let target = Target { image, container: "c", labels: &labels };
    let found = Bindings::new(bindings.iter().cloned());
    let expected =
        bindings.iter().filter(|b| b.matches(&target)).min_by(|a, b| a.compare_rank(b));
    let winner = found.winner(Mechanism::Seccomp, &target);
    assert_eq!(winner.map(|b| &b.name), expected.map(|b| &b.name));
    let backwards = Bindings::new(bindings.iter().rev().cloned());
    assert_eq!(backwards.winner(Mechanism::Seccomp, &target), winner);
}

fn binding(n: usize, image: Pattern) -> Binding {
    Binding {
        name: format!("{n:05}").into(),
        kind: ProfileKind::SeccompProfile,
        profile: "p".into(),
        image,
        selector: None,
        containers: Box::default(),
        overriding: Override::Always,
        when_missing: WhenMissing::Admit,
        when_not_ready: WhenNotReady::Bind,
    }
}
