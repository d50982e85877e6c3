//! Whatever stands in a cluster, a page is markup of ours around text.

use kube::api::ObjectMeta;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        gather::{Gather, Item, made},
        tests::{now, small},
    },
    *,
};
use crate::table::plain;

/// What a page is made of: its tags with the names of their attributes, and its texts with the values of these. Stops at
/// what is not well formed.
fn parts(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut tags, mut texts, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").unwrap();
    while let Some((text, more)) = rest.split_once('<') {
        assert!(!text.contains('>'), "{text:?}");
        texts.push(unescaped(text));
        if let Some(more) = more.strip_prefix('/') {
            let (name, more) = more.split_once('>').unwrap();
            assert_eq!(open.pop().as_deref(), Some(name));
            rest = more;
            continue;
        }
        let end = more.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
        let (name, mut more) = more.split_at(end);
        let mut tag = name.to_owned();
        loop {
            if let Some(after) = more.strip_prefix('>') {
                rest = after;
                open.push(name.to_owned());
                break;
            }
            if let Some(after) = more.strip_prefix("/>") {
                rest = after;
                break;
            }
            let (attribute, after) = more.strip_prefix(' ').unwrap().split_once("=\"").unwrap();
            assert!(
                attribute.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
                "{attribute:?}"
            );
            let (value, after) = after.split_once('"').unwrap();
            assert!(!value.contains(['<', '>']), "{value:?}");
            tag.push(' ');
            tag += attribute;
            texts.push(unescaped(value));
            more = after;
        }
        if name == "style" || name == "script" {
            let end = format!("</{name}>");
            rest = rest.split_once(&end).unwrap().1;
            open.pop();
        }
        tags.push(tag);
    }
    assert!(open.is_empty(), "{open:?}");
    (tags, texts)
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split('&');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, after) = part.split_once(';').unwrap();
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            name => panic!("{name}"),
        });
        plain.push_str(after);
    }
    plain
}

/// A page with one of everything, each name and each message of which is told apart by its end.
fn with(text: &str) -> (String, Vec<String>) {
    let named = |end: &str| format!("{text}{end}");
    let all: Vec<String> = [
        "namespace",
        "pod",
        "container",
        "image",
        "profile",
        "recording",
        "note",
        "version",
        "url",
        "local",
        "other",
    ]
    .iter()
    .map(|end| named(end))
    .collect();
    let [namespace, pod, container, image, profile, recording, note, version, url, local, other] =
        &all[..]
    else {
        unreachable!()
    };
    let mut gather = Gather::default();
    let on = json!({ "spo.x-k8s.io/enable-binding": "", "spo.x-k8s.io/enable-recording": "" });
    let of = |value: Value| -> ObjectMeta { serde_json::from_value(value).unwrap() };
    gather.take(Item::Namespace(Box::new(of(json!({ "name": namespace, "labels": on })))));
    let object = json!({
        "apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "ProfileRecording",
        "metadata": { "name": recording, "namespace": namespace },
        "spec": { "kind": "SeccompProfile", "podSelector": {} },
        "status": { "phase": "Recording", "activeWorkloads": [format!("{namespace}/{pod}")], "containers": [{
            "name": container, "profile": profile, "seen": 5, "lost": 2, "lastNewAt": "2026-11-30T01:00:00Z",
            "history": [{ "at": "2026-11-30T00:00:00Z", "seen": 3 }, { "at": "2026-11-30T01:00:00Z", "seen": 5 }],
        }]},
    });
    gather.take(Item::Recording(serde_json::from_value(object).unwrap()));
    let object = json!({
        "metadata": { "name": pod, "namespace": namespace },
        "spec": { "containers": [
            { "name": container, "image": image, "securityContext": {
                "seccompProfile": { "type": "Localhost", "localhostProfile": local },
                "seLinuxOptions": { "type": other } } },
            { "name": "fixed", "image": "fixed" },
        ]},
    });
    gather.take(Item::Pod(serde_json::from_value(object).unwrap()));
    let object = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {}, "reason": "ProfileViolation",
        "reportingController": "cinch-recorder", "note": note, "eventTime": "2026-11-30T01:00:00.000000Z",
        "regarding": { "namespace": namespace, "name": pod },
    });
    gather.take(Item::Event(serde_json::from_value(object).unwrap()));
    gather.note(note.clone());
    let made = made(now(), url.clone(), Some(version.clone()), std::slice::from_ref(namespace));
    (page(&gather.report(made)), all)
}

proptest! {
    #[test]
    fn no_name_and_no_message_becomes_markup(
        text in prop_oneof![
            any::<String>(),
            "[<>\"'&/=!a-z \u{0}\u{1b}\u{202e}-]{0,40}",
            Just("</title></style></script><script>alert(1)</script>".to_owned()),
            Just("\" onload=\"alert(1)\" x='".to_owned()),
            Just("--><!--<![CDATA[&lt;&#60;".to_owned()),
        ],
    ) {
        let (harmless, _) = parts(&with("a").0);
        let (page, all) = with(&text);
        let (tags, texts) = parts(&page);
        prop_assert_eq!(tags, harmless);
        for name in all {
            let shown: String = name.chars().map(plain).collect();
            prop_assert!(texts.iter().any(|text| text.contains(&shown)), "{shown:?} is not in the page");
        }
    }
}

#[test]
fn the_page_of_a_small_cluster_is_well_formed_and_asks_for_nothing_else() {
    let page = page(&small());
    let (tags, texts) = parts(&page);
    for tag in &tags {
        let name = tag.split(' ').next().unwrap();
        assert!(
            !["img", "link", "iframe", "object", "embed", "form", "a", "base"].contains(&name),
            "{tag}"
        );
        assert!(!tag.contains(" style") && !tag.contains(" src") && !tag.contains(" on"), "{tag}");
    }
    for never in ["@import", "url(", "http://", "fetch(", "XMLHttpRequest", "innerHTML"] {
        assert!(!page.contains(never), "{never}");
    }
    // Each drawing says in words what it shows.
    let drawings =
        tags.iter().filter(|tag| tag.starts_with("svg") && tag.contains(" role")).count();
    assert_eq!(tags.iter().filter(|tag| *tag == "title").count(), drawings + 1);
    for text in ["shop", "CronJob", "being recorded", "web-server", "by binding web", "checkout"] {
        assert!(texts.iter().any(|it| it.contains(text)), "{text}");
    }
}

#[test]
fn the_policy_lets_the_style_and_the_script_of_the_page_pass_and_nothing_else() {
    let page = page(&small());
    let policy = page.split_once("Content-Security-Policy\" content=\"").unwrap().1;
    let policy = unescaped(policy.split_once('"').unwrap().0);
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    // It says nothing of what stands before it.
    let before = page.split_once("http-equiv").unwrap().0;
    assert_eq!(before, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta ");
}

#[test]
fn a_share_is_whole_only_when_it_is() {
    let all = [(0, 0), (0, 9), (1, 1000), (999, 1000), (5, 5), (1, 3)].map(|(a, b)| percent(a, b));
    assert_eq!(all, ["0 %", "0 %", "<1 %", "99 %", "100 %", "33 %"]);
}

#[test]
fn a_curve_goes_up_in_steps_and_up_to_its_end() {
    let page = page(&small());
    let line = page.split_once("<path class=\"line\" d=\"").unwrap().1.split_once('"').unwrap().0;
    assert!(line.starts_with("M0 55H0V"), "{line}");
    assert!(line.ends_with("V3H240"), "{line}");
    assert_eq!(line.matches('V').count(), 7);
}
