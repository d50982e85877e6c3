//! AppArmor text, compiled for the features of a kernel.

use std::path::Path;

use profile::{
    kinds::AppArmorProfileSpec,
    render::apparmor::{self, AppArmorError},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{cases, tools::PARSER};

cases![&[PARSER];
    every_field_compiles,
    nothing_of_the_distribution_is_needed,
    rules_about_networks_reach_the_kernel,
    complaining_and_enforcing_are_different,
    a_policy_may_include_abstractions_and_have_hats,
    a_braces_meaning_is_what_the_parser_sees,
    no_policy_that_is_accepted_makes_another_profile,
    no_path_that_is_accepted_makes_another_rule,
];

const FEATURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/render/features");

fn spec(yaml: &str) -> AppArmorProfileSpec {
    serde_saphyr::from_str(yaml).unwrap()
}

fn render(fields: &str) -> String {
    apparmor::render("p", &spec(&format!("abstract: {fields}"))).unwrap()
}

/// What the kernel would be given, as text: it has other bytes too.
fn compile(text: &str) -> Result<String, String> {
    PARSER.run(["-Q", "-K", "-S", "-M", FEATURES], text)
}

/// The names of the profiles in a text.
fn names(text: &str) -> Result<Vec<String>, String> {
    let names = PARSER.run(["-Q", "-N", "-M", FEATURES], text)?;
    Ok(names.lines().map(str::to_owned).collect())
}

const EVERYTHING: &str = "
    executable: { allowedExecutables: ['/bin/*', /usr/bin/python3.11], allowedLibraries: ['/opt/@{multiarch}/**.so*'] }
    filesystem:
      readOnlyPaths: ['/etc/my conf/**', /, '/a,b#c!d', '/proc/@{pid}/maps', '/srv/{a,{b,c}}/[^x-z]*', '/\\*', '/é']
      writeOnlyPaths: ['@{run}/log', '@{HOME}/x', '@{HOMEDIRS}/x']
      readWritePaths: ['/tmp/**', '@{PROC}/@{pids}/task/@{tid}/comm', '@{sys}/x/@{uid}/@{uids}', '/@{profile_name}']
      deniedPaths: [/etc/shadow, '/tmp/**/no']
    network: { allowRaw: true, allowedProtocols: { allowTcp: true, allowUdp: true } }
    capability: { allowedCapabilities: [CAP_BPF, net_raw, checkpoint_restore] }
    ptrace: [{ access: [Trace, Read, TracedBy, ReadBy] }, { access: [Read], peer: 'a//b c' }]
    signal:
    - { access: [Send, Receive], signals: [SIGTERM, tstp, poll, rtmin+1, rtmin+32, exists, emt, pwr, stkflt, cont] }
    - { access: [Send], peer: '{a,b}*' }
    mount:
    - { operation: Mount, source: /a, target: /b, fsType: tmpfs, options: [ro, nosuid, rbind] }
    - { operation: Mount }
    - { operation: Remount, target: /b, options: [ro] }
    - { operation: Umount, target: '/b/**' }
    - { operation: PivotRoot, source: /new/old, target: /new }
    unix: [{}, { type: Stream, address: '@a b', peer: other }, { type: Dgram, address: none }, { peer: '@self' },
    { address: '@a\\000' }]";

fn every_field_compiles() {
    let text = render(EVERYTHING);
    compile(&text).unwrap();
    assert_eq!(names(&text).unwrap(), ["p"]);
}

fn nothing_of_the_distribution_is_needed() {
    let empty = tempfile::tempdir().unwrap();
    let base = empty.path().to_str().unwrap();
    let text = render(EVERYTHING);
    PARSER.run(["-Q", "-K", "-S", "-M", FEATURES, "--base", base], &text).unwrap();
    let with = "abi <abi/3.0>,\n".to_owned() + &text;
    PARSER.run(["-Q", "-K", "-S", "-M", FEATURES, "--base", base], &with).unwrap_err();
}

fn rules_about_networks_reach_the_kernel() {
    let none = compile(&render("{}")).unwrap();
    let tcp = compile(&render("{ network: { allowedProtocols: { allowTcp: true } } }")).unwrap();
    let udp = compile(&render("{ network: { allowedProtocols: { allowUdp: true } } }")).unwrap();
    let raw = compile(&render("{ network: { allowRaw: true } }")).unwrap();
    let both = "{ network: { allowedProtocols: { allowTcp: true, allowUdp: true } } }";
    let all = [none, tcp, udp, raw, compile(&render(both)).unwrap()];
    for (n, one) in all.iter().enumerate() {
        assert!(!all[..n].contains(one), "{n} is as another");
    }
}

fn complaining_and_enforcing_are_different() {
    let soft = apparmor::render("p", &spec("mode: Complain")).unwrap();
    assert_ne!(compile(&soft).unwrap(), compile(&render("{}")).unwrap());
}

fn policy(text: &str) -> Result<String, AppArmorError> {
    let spec: AppArmorProfileSpec =
        serde_json::from_value(serde_json::json!({ "policy": text })).unwrap();
    apparmor::render("p", &spec)
}

fn a_policy_may_include_abstractions_and_have_hats() {
    let text = policy(
        "/a px -> p//z,\nhat h {\n  /b{c,d} r,\n}\nprofile z flags=(complain) {\n  /e r, # }\n}",
    );
    assert_eq!(names(&text.unwrap()).unwrap(), ["p", "p//h", "p//z"]);
    if Path::new("/etc/apparmor.d/abstractions/base").exists() {
        compile(&policy("#include <abstractions/base>\nfile,").unwrap()).unwrap();
    }
}

/// What may stand before a brace, and after it, so that the parser takes the brace for something else.
const BEFORE: &[&str] = &[
    "",
    "#include <abstractions/base> ",
    "/a r, # ",
    "/a r,# ",
    "/a r,#,",
    "/a r, profile x ",
    "/x",
    "/x\"",
    "/x[",
    "/x\\",
    "/x\\ ",
    "\"/x ",
    "\"/x\\\" ",
    "^h",
    "change_profile -> ",
    "change_profile -> x",
    "include <abstractions/base> ",
    "mount fstype=(a, profile x ",
    "mount fstype=(",
    "mount fstype=",
    "signal peer=",
    "signal peer=(label=",
];
const AFTER: &[&str] =
    &["", " ", ",", " ,", " r,", "] r,", ") -> /a,", " , b) -> /a,", "\" r,", "\"", ") ,", " x,"];

/// A policy that ends its profile, if its other braces can be taken for something else: then it makes another one.
fn a_braces_meaning_is_what_the_parser_sees() {
    let mut leaving = 0;
    for before in BEFORE {
        for after in AFTER {
            let hidden = |brace: char| format!("{before}{brace}{after}\n");
            let body = format!("{}}}\nprofile evil {{\n{}", hidden('{'), hidden('}'));
            let found = names(&format!("profile p {{\n{body}}}\n")).unwrap_or_default();
            if found.contains(&"evil".to_owned()) {
                leaving += 1;
                assert!(policy(&body).is_err(), "{body}");
            }
        }
    }
    assert!(leaving > 30, "only {leaving} show anything");
}

/// Pieces of AppArmor's language that go together in ways nobody meant.
const PIECES: &[&str] = &[
    "{",
    "}",
    "\n",
    " ",
    ",",
    "\"",
    "#",
    "\\",
    "(",
    ")",
    "=",
    "[",
    "]",
    "^",
    "!",
    "/a",
    " r,\n",
    "profile evil {\n",
    "\n}\n",
    "hat h {\n",
    "change_profile -> ",
    "include <abstractions/base>",
    "#include",
    "signal peer=",
    "mount fstype=(",
    "if defined @{a} ",
    "@{profile_name}",
    "\r",
    "\t",
    "flags=(complain)",
    "/b rix,\n",
    "'",
];

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|all| all.concat())
}

fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&strategy, test).unwrap();
}

fn no_policy_that_is_accepted_makes_another_profile() {
    run(3000, pieces(), |body| {
        let Ok(text) = policy(&body) else { return Ok(()) };
        // What the parser does not take makes no profile at all.
        for name in names(&text).unwrap_or_default() {
            prop_assert!(name == "p" || name.starts_with("p//"), "{} of {:?}", name, body);
        }
        Ok(())
    });
}

fn no_path_that_is_accepted_makes_another_rule() {
    let path = prop::collection::vec(
        prop::sample::select(
            &[
                "{", "}", "[", "]", ",", "\"", "#", "\\", "*", "^", " r,", "a", "@{pid}", "@", "!",
                "(",
            ][..],
        ),
        0..8,
    );
    let list = prop::collection::vec(path.prop_map(|all| format!("/{}", all.concat())), 12);
    run(60, list, |paths| {
        let spec = |paths: &[String]| -> AppArmorProfileSpec {
            let rules = serde_json::json!({ "filesystem": { "readOnlyPaths": paths } });
            serde_json::from_value(serde_json::json!({ "abstract": rules })).unwrap()
        };
        let good = |path: &String| apparmor::render("p", &spec(std::slice::from_ref(path))).is_ok();
        let paths: Vec<_> = paths.into_iter().filter(good).collect();
        let text = apparmor::render("p", &spec(&paths)).unwrap();
        let compiled = compile(&text);
        prop_assert!(compiled.is_ok(), "{:?}: {:?}", paths, compiled);
        prop_assert_eq!(names(&text), Ok(vec!["p".to_owned()]));
        Ok(())
    });
}
