//! Holds the pages of `docs/` against what they speak of: tests, files, flags, values of the chart, texts of programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, Output},
};

use tests::programs::repository;

use crate::pages::{commands, pages, sources, spans, yaml};

#[path = "docs/pages.rs"]
mod pages;

/// A sentence with underscores: no other name in code is as long.
fn is_test(span: &str) -> bool {
    let last = span.rsplit("::").next().unwrap_or_default();
    last.matches('_').count() >= 3
        && !is_metric(last)
        && last.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_metric(word: &str) -> bool {
    ["cinch_", "security_profiles_operator_"].iter().any(|prefix| word.starts_with(prefix))
}

#[test]
fn every_test_that_is_named_is_there() {
    let sources: String =
        sources(&[".rs"]).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut named = 0;
    for (page, text) in pages() {
        for span in spans(&text).into_iter().filter(|span| is_test(span)) {
            let last = span.rsplit("::").next().unwrap();
            let there = [format!("fn {last}("), format!("\"{last}\""), format!("\"{span}\"")];
            assert!(there.iter().any(|text| sources.contains(text)), "{page}: no test {span}");
            named += 1;
        }
    }
    assert!(named > 110, "only {named} tests are named: are they still found?");
}

#[test]
fn every_threat_of_the_model_has_its_answer() {
    let page = fs::read_to_string(repository().join("docs/security.md")).unwrap();
    let model = page.split("\n## ").find(|part| part.starts_with("Threats")).unwrap();
    let threats: Vec<_> = model.split("\n### Threat ").skip(1).collect();
    let ids: Vec<_> = threats.iter().map(|threat| threat.split(':').next().unwrap()).collect();
    assert_eq!(ids, (1..=18).map(|id| id.to_string()).collect::<Vec<_>>());
    // The model itself has no answer to these: somebody is root, or administrator.
    let without = ["6", "17"];
    for (id, threat) in ids.into_iter().zip(threats) {
        let shown = spans(threat).iter().any(|span| is_test(span));
        assert_eq!(shown, !without.contains(&id), "threat {id}");
    }
}

#[test]
fn every_link_leads_to_a_file_or_a_heading() {
    for (page, text) in pages() {
        let folder = repository().join(&page).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { repository().join(&page) } else { folder.join(file) };
            assert!(path.exists(), "{page}: no {target}");
            let anchors = || -> BTreeSet<String> {
                let text = fs::read_to_string(&path).unwrap();
                text.lines().filter_map(|line| line.strip_prefix('#')).map(anchor_of).collect()
            };
            assert!(anchor.is_empty() || anchors().contains(anchor), "{page}: no {target}");
        }
    }
}

/// As hosts of repositories make it of a heading.
fn anchor_of(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_value_of_the_chart_that_is_named_is_there() {
    let values = fs::read_to_string(repository().join("charts/cinch/values.yaml")).unwrap();
    let values: serde_json::Value = serde_saphyr::from_str(&values).unwrap();
    let mut named = 0;
    for (page, text) in pages() {
        for span in spans(&text) {
            let path = span.split([':', '=', ' ']).next().unwrap();
            let mut steps = path.split('.');
            let first = steps.next().unwrap();
            let is_path = path.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
            if !is_path || !path.contains('.') || values.get(first).is_none() {
                continue;
            }
            let end = steps.try_fold(&values[first], |value, step| value.get(step));
            assert!(end.is_some(), "{page}: the chart has no value {path}");
            named += 1;
        }
    }
    assert!(named > 5, "only {named} values are named: are they still found?");
}

#[test]
fn every_target_and_every_file_that_a_command_names_is_there() {
    let makefile = fs::read_to_string(repository().join("Makefile")).unwrap();
    for (page, text) in pages() {
        for command in commands(&text, "sh") {
            let command = command.split(" #").next().unwrap();
            let words: Vec<_> = command.split_whitespace().collect();
            if let ["make", target, ..] = *words {
                assert!(makefile.contains(&format!("\n{target}:")), "{page}: no make {target}");
            }
            for word in &words {
                let ours = ["examples/", "charts/", "tests/"].iter().any(|to| word.starts_with(to));
                assert!(!ours || repository().join(word).exists(), "{page}: no {word}");
            }
        }
    }
}

/// Runs a program that cargo has built beside this one.
fn run(program: &str, arguments: &[&str]) -> Output {
    let here = std::env::current_exe().expect("this is a program");
    let folder = here.ancestors().nth(2).expect("a test lives in target/debug/deps");
    let mut command = Command::new(folder.join(program));
    command.args(arguments).current_dir(repository());
    command.output().expect("cargo build has made it")
}

/// What a program says of a subcommand, the one of which it prints the flags.
fn help(cache: &mut BTreeMap<String, String>, program: &str, verb: &str) -> String {
    let key = format!("{program} {verb}");
    let ask = || {
        let output = run(program, &[verb, "--help"]);
        assert!(output.status.success(), "{program} has no {verb}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    cache.entry(key).or_insert_with(ask).clone()
}

#[test]
fn every_command_takes_the_flags_that_it_is_given() {
    let programs = ["cinch", "cinch-webhook", "cinch-node-installer", "cinch-recorder"];
    let mut cache = BTreeMap::new();
    let mut asked = 0;
    for (page, text) in pages() {
        let spans = spans(&text).into_iter().filter(|span| span.contains(' '));
        for command in commands(&text, "sh").into_iter().chain(spans) {
            // Commands may follow one another, and what comes after the dashes is the command of somebody else.
            for part in command.split(['|', ';', '#', '$']).map(|part| part.replace("-- ", "\0")) {
                let words: Vec<_> = part.split('\0').next().unwrap().split_whitespace().collect();
                let name = |word: &&str| {
                    programs.iter().find(|name| word.rsplit('/').next() == Some(name))
                };
                let Some((at, program)) =
                    words.iter().enumerate().find_map(|(at, word)| Some((at, *name(word)?)))
                else {
                    continue;
                };
                let Some(verb) =
                    words.get(at + 1).filter(|verb| verb.chars().all(|c| c.is_ascii_lowercase()))
                else {
                    continue;
                };
                let help = help(&mut cache, program, verb);
                for flag in words[at + 1..].iter().filter(|word| word.starts_with("--")) {
                    let flag = flag.split('=').next().unwrap();
                    let is_there = help.split([' ', ',', '\n', '[', '<']).any(|word| word == flag);
                    assert!(is_there, "{page}: {program} {verb} has no {flag}");
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 25, "only {asked} commands are found: are they still?");
}

#[test]
fn every_text_that_is_quoted_is_one_that_a_program_prints() {
    let text = |path| fs::read_to_string(path).unwrap();
    let sources: String = sources(&[".rs", ".yaml", ".txt"]).iter().map(text).collect();
    // Texts that are longer than a line.
    let sources = sources.replace("\\\n", "\n").split_whitespace().collect::<Vec<_>>().join(" ");
    for (page, text) in pages() {
        for line in commands(&text, "text") {
            for part in line.split('…').map(str::trim).filter(|part| part.len() > 3) {
                assert!(sources.contains(part), "{page}: no program prints {part:?}");
            }
        }
    }
}

#[test]
fn every_metric_that_an_alert_asks_for_is_in_a_table() {
    let mut asked = 0;
    for (page, text) in pages() {
        let rules = yaml(&text);
        for metric in rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if is_metric(metric) {
                let name = metric.trim_end_matches("_bucket");
                assert!(text.contains(&format!("\n| `{name}` |")), "{page}: no metric {metric}");
                asked += 1;
            }
        }
        let parsed = serde_saphyr::from_str::<serde_json::Value>(&rules);
        assert!(parsed.is_ok(), "{page}: {parsed:?}");
    }
    assert!(asked > 9, "only {asked} metrics are asked for: are they still found?");
}

#[test]
fn the_pods_of_the_tour_get_the_profiles_that_it_speaks_of() {
    let explain = |pod: &str, pattern: &str| {
        let pod = format!("examples/tour/{pod}.yaml");
        let output = run("cinch-webhook", &["explain", "--manifests", "examples/tour", "-f", &pod]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(pattern), "{said}");
    };
    explain("shell", "* no-folders (SeccompProfile no-folders, docker.io/library/busybox:latest)");
    explain("web", "* web (SeccompProfile web-nginx, docker.io/library/nginx:1.*)");
    explain("web", "by ProfileRecording web");
}
