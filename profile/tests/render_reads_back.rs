//! What is rendered means what the profile says: a reader of CIL and one of AppArmor's language, each written here for
//! itself, get the same back, whatever names and paths there are.

#![expect(clippy::unwrap_used, reason = "in helpers of tests too")]

use std::collections::{BTreeMap, BTreeSet};

use profile::{
    kinds::{
        AppArmorProfileSpec, SelinuxProfileSpec,
        apparmor::{Abstract, ExecutableRules, FilesystemRules},
        selinux::{Inherit, InheritKind, Permitted},
    },
    render::{apparmor, raw_selinux, selinux},
};
use proptest::prelude::*;

/// A text of CIL as nested lists.
#[derive(Debug, PartialEq)]
enum Cil {
    Word(String),
    List(Vec<Self>),
}

/// Reads CIL by its grammar: words, parentheses, quoted texts, comments.
fn read_cil(text: &str) -> Option<Vec<Cil>> {
    let mut open = vec![Vec::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '(' => open.push(Vec::new()),
            ')' => {
                let list = Cil::List(open.pop()?);
                open.last_mut()?.push(list);
            }
            ';' => while rest.next_if(|c| *c != '\n').is_some() {},
            c if c.is_whitespace() => (),
            c => {
                let mut word = String::from(c);
                while let Some(next) = rest.next_if(|next| match c {
                    '"' => *next != '"',
                    _ => !next.is_whitespace() && !"();\"".contains(*next),
                }) {
                    word.push(next);
                }
                if c == '"' {
                    word.push(rest.next()?);
                }
                open.last_mut()?.push(Cil::Word(word));
            }
        }
    }
    let all = open.pop()?;
    open.is_empty().then_some(all)
}

impl Cil {
    fn words(&self) -> Vec<&str> {
        match self {
            Self::Word(word) => vec![word],
            Self::List(list) => list.iter().flat_map(Self::words).collect(),
        }
    }
}

/// Names that SELinux takes, and some that would be something else.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z][a-z0-9_]{0,3}",
        1 => prop::sample::select(&["all", "not", ".a", "a)", "a b", "a;", "\"a", "(a", "", "self", "a\n"][..])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn a_selinux_profile_reads_back_as_what_it_allows(
        module in "[a-z][a-z0-9]{0,8}",
        inherit in prop::collection::btree_set(name(), 1..3),
        allow in prop::collection::btree_map(
            prop_oneof![name(), Just("@self".to_owned())],
            prop::collection::btree_map(name(), prop::collection::vec(name(), 0..4), 0..3),
            0..4,
        ),
    ) {
        let spec: SelinuxProfileSpec = serde_saphyr::from_str("{}").unwrap();
        let from = |name: &String| Inherit { kind: InheritKind::System, name: name.clone() };
        let spec = SelinuxProfileSpec { inherit: inherit.iter().map(from).collect(), allow, ..spec };
        let Ok(text) = selinux::render(&module, &spec, &Permitted::default()) else { return Ok(()) };
        let read = read_cil(&text).unwrap();
        prop_assert_eq!(read.len(), 1);
        let Cil::List(block) = &read[0] else { panic!("a word outside of the block") };
        prop_assert_eq!(&block[..2], &[Cil::Word("block".to_owned()), Cil::Word(module)]);
        let mut inherited = BTreeSet::new();
        let mut allowed = BTreeSet::new();
        for statement in &block[2..] {
            match statement.words().as_slice() {
                ["blockinherit", name] => {
                    inherited.insert((*name).to_owned());
                }
                ["allow", "process", target, class, permissions @ ..] => {
                    for permission in permissions {
                        allowed.insert([*target, *class, *permission].map(str::to_owned));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(inherited, inherit);
        let meant: BTreeSet<_> = spec.allow.iter().flat_map(|(target, classes)| {
            let target = if target == "@self" { "process" } else { target };
            classes.iter().flat_map(move |(class, permissions)| {
                permissions.iter().map(move |permission| [target, class, permission].map(str::to_owned))
            })
        }).collect();
        prop_assert_eq!(allowed, meant);
    }

    #[test]
    fn a_raw_policy_is_one_block_whatever_is_in_it(
        policy in prop::collection::vec(
            prop::sample::select(&["(", ")", ";", "\"", "\n", " ", "(type t)", "allow", ";;* lme", "\\", "(block b ", "\r"][..]),
            1..12,
        ),
    ) {
        let spec = serde_json::from_value(serde_json::json!({ "policy": policy.concat() })).unwrap();
        if let Ok(text) = raw_selinux::render("raw", &spec) {
            let read = read_cil(&text).unwrap();
            prop_assert_eq!(read.len(), 1, "{}", text);
            let words = read[0].words();
            prop_assert_eq!(&words[..2], &["block", "raw"]);
        }
    }
}

/// The rules about files: path, rights, and whether they are denied. The parser's way with quoted texts: one ends at a
/// quotation mark without a backslash before it.
fn read_files(text: &str) -> BTreeMap<(String, String), bool> {
    let body = text.split_once("{\n").unwrap().1;
    let mut rules = BTreeMap::new();
    let mut rest = body;
    while let Some(start) = rest.find('"') {
        let line = &rest[rest[..start].rfind('\n').map_or(0, |place| place + 1)..start];
        let after = &rest[start + 1..];
        let ends = after.match_indices('"').map(|(place, _)| place);
        let end = ends.into_iter().find(|end| !after[..*end].ends_with('\\')).unwrap();
        let path = &after[..end];
        rest = &after[end + 1..];
        let rights = rest.split_once(',').unwrap().0.trim();
        let denied = line.trim() == "audit deny";
        if (line.trim().is_empty() || denied) && rights.bytes().all(|b| b.is_ascii_lowercase()) {
            rules.insert((path.to_owned(), rights.to_owned()), denied);
        }
    }
    rules
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    let piece = prop::sample::select(
        &[
            "a", "b", "/", "*", "**", " ", ",", "#", "\"", "\\", "\n", "{", "}", "[", "]",
            "@{pid}", "@{x}", "é", "rwx,",
        ][..],
    );
    let path = prop::collection::vec(piece, 0..6).prop_map(|all| format!("/x{}", all.concat()));
    prop::collection::vec(path, 0..3)
}

proptest! {
    #[test]
    fn an_apparmor_profile_reads_back_as_what_it_allows(
        lists in prop::array::uniform6(paths()),
    ) {
        let render = |lists: &[Vec<String>; 6]| {
            let [run, load, read, write, both, deny] = lists.clone();
            let spec = AppArmorProfileSpec {
                abstract_: Some(Abstract {
                    executable: Some(ExecutableRules { allowed_executables: run, allowed_libraries: load }),
                    filesystem: Some(FilesystemRules {
                        read_only_paths: read,
                        write_only_paths: write,
                        read_write_paths: both,
                        denied_paths: deny,
                    }),
                    ..Abstract::default()
                }),
                ..AppArmorProfileSpec::default()
            };
            apparmor::render("p", &spec)
        };
        // One bad path is enough for a refusal: so only the good ones are put together.
        let good = |path: &String| render(&[vec![path.clone()], vec![], vec![], vec![], vec![], vec![]]).is_ok();
        let lists = lists.map(|list| list.into_iter().filter(good).collect::<Vec<_>>());
        let always = read_files(&render(&Default::default()).unwrap());
        let mut found = read_files(&render(&lists).unwrap());
        found.retain(|rule, _| !always.contains_key(rule));
        let rights = ["mrix", "mr", "r", "wlk", "rwlk", "mrwlkx"];
        let meant: BTreeMap<_, _> = lists.iter().zip(rights).flat_map(|(list, rights)| {
            list.iter().map(move |path| ((path.clone(), rights.to_owned()), rights == "mrwlkx"))
        }).collect();
        prop_assert_eq!(found, meant);
    }
}
