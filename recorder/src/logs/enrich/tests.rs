//! What gets a name, and what waits for one.

use std::sync::Mutex;

use super::*;
use crate::{
    audit::parse,
    logs::{
        names::Name,
        origin::{Origin, Place, Unknown},
        output::Rotation,
    },
};

/// Knows a name after it was asked so often.
struct Late(Mutex<u32>);

impl Names for Late {
    fn of(&self, container: &Container) -> Option<Name> {
        let mut left = self.0.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return None;
        }
        drop(left);
        let namespace = if container.id == "abc" { "shop" } else { "bank" };
        Some(Name { namespace: namespace.into(), pod: "cart-0".into(), container: "web".into() })
    }
}

fn container(id: &str) -> Origin {
    let container = Some(Container { pod: None, id: id.into() });
    Origin::Known(Arc::new(Place { container, ..Place::default() }))
}

fn call(number: u32) -> String {
    format!("1326 audit(1.1:1): pid=1 arch=c000003e syscall={number} code=0x50001")
}

/// What is written of these records.
fn written(enrichment: Enrichment, late: u32, events: &[(String, Origin)]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let output = Output::file(&path, Rotation { size: u64::MAX, kept: 1 }).unwrap();
    let names = Arc::new(Late(Mutex::new(late)));
    let mut enricher = Enricher::start(enrichment, names, output).unwrap();
    for (line, origin) in events {
        let record = parse(line).unwrap();
        enricher.take(&Event::Record(&record, origin.clone(), true));
    }
    let unwritten = enricher.unwritten();
    drop(enricher);
    assert_eq!(unwritten.load(Relaxed), 0);
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn some(values: &[Value], key: &str) -> Vec<Value> {
    values.iter().map(|value| value[key].clone()).collect()
}

#[test]
fn a_name_that_comes_late_is_waited_for() {
    let written = written(Enrichment::default(), 1, &[(call(1), container("abc"))]);
    assert_eq!(some(&written, "namespace"), ["shop"]);
}

#[test]
fn filters_know_the_names() {
    let rule = r#"[{"priority": 1, "level": "None", "matchKeys": ["namespace"], "matchValues": ["bank"]}]"#;
    let enrichment = Enrichment { filters: rule.parse().unwrap(), ..Enrichment::default() };
    let events = [(call(1), container("abc")), (call(1), container("def"))];
    let written = written(enrichment, 2, &events);
    assert_eq!(some(&written, "namespace"), ["shop"]);
}

#[test]
fn what_is_nobodys_is_left_out_unless_all_is_wanted() {
    let events = [
        (call(1), container("abc")),
        (call(2), Origin::Known(Arc::default())),
        (call(3), Origin::Unknown(Unknown::Gone)),
    ];
    let own = written(Enrichment::default(), 0, &events);
    assert_eq!(some(&own, "syscallName"), ["write"]);
    let all = written(Enrichment { all: true, ..Enrichment::default() }, 0, &events);
    assert_eq!(some(&all, "syscallName"), ["write", "open", "close"]);
    assert_eq!(some(&all, "unknown"), [Value::Null, Value::Null, json!("gone")]);
}

#[test]
fn a_flood_of_one_rule_is_a_few_lines_and_tells_how_many_it_was() {
    let limit = Limit { burst: 3, every: Duration::from_hours(1) };
    let enrichment = Enrichment { limit, ..Enrichment::default() };
    let mut events = vec![(call(1), container("abc")); 1000];
    events.push((call(2), container("abc")));
    events.push((call(1), container("def")));
    let written = written(enrichment, 0, &events);
    assert_eq!(
        some(&written, "syscallName"),
        [
            json!("write"),
            json!("write"),
            json!("write"),
            json!("open"),
            json!("write"),
            Value::Null
        ]
    );
    let last = written.last().unwrap();
    assert_eq!((&last["type"], &last["suppressed"]), (&json!("suppressed"), &json!(997)));
}

#[test]
fn what_was_lost_is_a_line_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let output = Output::file(&path, Rotation { size: u64::MAX, kept: 1 }).unwrap();
    let names = Arc::new(Late(Mutex::new(0)));
    let mut enricher = Enricher::start(Enrichment::default(), names, output).unwrap();
    enricher.take(&Event::Lost(Loss::Overrun));
    drop(enricher);
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((&line["type"], &line["reason"]), (&json!("lost"), &json!("overrun")));
}
