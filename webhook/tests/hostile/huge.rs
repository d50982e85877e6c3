//! Pods far larger than any real one: the answer is right, and it is bounded where the API server bounds it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    client::{JSON, Verdict, post},
    reviews::{SMALL, changed},
    server::Server,
};

const CONTAINERS: usize = 1000;
const WARNINGS_MAX: usize = 13;
const WARNING_MAX: usize = 256;
const AUDIT_MAX: usize = 2048;

fn bounded(verdict: &Verdict) {
    assert!(verdict.warnings.len() <= WARNINGS_MAX, "{:?}", verdict.warnings);
    assert!(verdict.warnings.iter().all(|warning| warning.len() <= WARNING_MAX));
    for (key, value) in verdict.audit.as_object().into_iter().flatten() {
        assert!(value.as_str().unwrap().len() <= AUDIT_MAX, "{key}");
    }
}

#[tokio::test]
async fn a_thousand_containers_are_each_bound_and_warned_of_in_a_few_words() {
    let server = Server::start().await;
    let review = changed(|review| {
        let containers = (0..CONTAINERS).map(|n| {
            let image = if n % 2 == 0 { "registry.example.com/shop/web:1.27.3" } else { "nginx" };
            // Different values, so that no two warnings of an override are the same.
            let profile = format!("mine-{n}.json");
            let context =
                json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": profile } });
            json!({ "name": format!("web-{n}"), "image": image, "securityContext": context })
        });
        review["request"]["object"]["spec"]["containers"] = containers.collect();
    });
    let verdict = server.connect().await.review(&review).await.verdict();
    assert!(verdict.allowed);
    bounded(&verdict);
    assert_eq!(verdict.warnings.len(), WARNINGS_MAX);
    let last = verdict.warnings.last().unwrap();
    assert!(last.starts_with("cinch: and ") && last.ends_with(" more warnings"), "{last}");

    let pod = verdict.patched_pod(&review);
    for (n, container) in pod["spec"]["containers"].as_array().unwrap().iter().enumerate() {
        let context = &container["securityContext"];
        let kept = format!("mine-{n}.json");
        let (seccomp, selinux) = match n % 2 {
            0 => ("operator/web.json", json!("web.process")),
            _ => (&*kept, Value::Null),
        };
        assert_eq!(context["seccompProfile"]["localhostProfile"], seccomp, "container {n}");
        assert_eq!(context["seLinuxOptions"]["type"], selinux, "container {n}");
    }
    server.is_well().await;
}

#[tokio::test]
async fn a_thousand_containers_are_each_marked_for_recording() {
    let server = Server::start().await;
    let review = changed(|review| {
        let pod = &mut review["request"]["object"];
        pod["metadata"]["labels"] = json!({ "record": "yes" });
        let containers =
            (0..CONTAINERS).map(|n| json!({ "name": format!("c-{n}"), "image": "nginx" }));
        pod["spec"]["containers"] = containers.collect();
    });
    let mut client = server.connect().await;
    client.send(post("/mutate-v1-pod", &[JSON], &review)).await.unwrap();
    let verdict = client.response().await.verdict();
    bounded(&verdict);
    let pod = verdict.patched_pod(&review);
    for n in 0..CONTAINERS {
        let mark = &pod["metadata"]["annotations"][format!("io.containers.trace-logs/c-{n}")];
        assert!(mark.as_str().unwrap().starts_with(&format!("rec_c-{n}_")), "{mark}");
        let profile = &pod["spec"]["containers"][n]["securityContext"]["seccompProfile"];
        assert_eq!(profile["localhostProfile"], "operator/log-enricher-trace.json");
    }
    server.is_well().await;
}

#[tokio::test]
async fn annotations_of_a_megabyte_are_not_sent_back() {
    let server = Server::start().await;
    let megabyte = "é".repeat(1 << 19);
    let review = changed(|review| {
        let pod = &mut review["request"]["object"];
        // One that nobody reads, one that is translated, one that pretends to be ours.
        pod["metadata"]["annotations"] = json!({
            "note": "x",
            "seccomp.security.alpha.kubernetes.io/pod": megabyte,
            format!("io.containers.trace-logs/{}", &megabyte[..1000]): "x",
        });
    });
    let response = server.connect().await.review(&review).await;
    assert!(response.body.len() < 16 << 10, "{} bytes", response.body.len());
    let verdict = response.verdict();
    bounded(&verdict);
    assert!(verdict.warnings.iter().any(|warning| warning.ends_with("...")));
    server.is_well().await;
}

#[tokio::test]
async fn a_denial_for_a_thousand_containers_stays_short() {
    let server = Server::start().await;
    let review = changed(|review| {
        let containers = (0..CONTAINERS).map(
            |n| json!({ "name": format!("{n}-{}", "x".repeat(60)), "image": "denied.example/x" }),
        );
        review["request"]["object"]["spec"]["containers"] = containers.collect();
    });
    let response = server.connect().await.review(&review).await;
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["response"]["allowed"], false);
    let message = body["response"]["status"]["message"].as_str().unwrap();
    assert!(message.contains("0-xxx") && message.len() < 4096, "{} bytes", message.len());
    assert!(response.body.len() < 16 << 10, "{} bytes", response.body.len());
    server.is_well().await;
}

#[tokio::test]
async fn a_denial_does_not_repeat_names_of_a_megabyte() {
    let server = Server::start().await;
    let name = "\u{1b}[31m".repeat(1 << 18);
    let review = changed(|review| {
        let container = json!({ "name": name, "image": "denied.example/x" });
        review["request"]["object"]["spec"]["containers"] = json!([container]);
    });
    let response = server.connect().await.review(&review).await;
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["response"]["allowed"], false);
    let message = body["response"]["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("cinch: container  [31m") && message.len() < 4096, "{message}");
    assert!(!message.contains(char::is_control));
    assert!(response.body.len() < 16 << 10, "{} bytes", response.body.len());
    server.is_well().await;
}

/// Each of so many containers has warnings, annotations and changes that no other one has.
#[tokio::test]
async fn the_time_for_many_containers_does_not_grow_with_their_square() {
    let server = Server::start().await;
    let review = |count: usize| {
        changed(|review| {
            let pod = &mut review["request"]["object"];
            pod["metadata"]["labels"] = json!({ "record": "yes" });
            let annotation = |n| {
                let apparmor = format!("container.apparmor.security.beta.kubernetes.io/c-{n}");
                [(format!("io.containers.trace-logs/x-{n}"), "x"), (apparmor, "unconfined")]
            };
            pod["metadata"]["annotations"] = (0..count).flat_map(annotation).collect();
            let container = |n| {
                let profile = format!("mine-{n}.json");
                let context = json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": profile } });
                json!({ "name": format!("c-{n}"), "image": "nginx", "securityContext": context })
            };
            pod["spec"]["containers"] = (0..count).map(container).collect();
        })
    };
    let mut client = server.connect().await;
    let mut time = async |count: usize| {
        let request = post("/mutate-v1-pod", &[JSON], review(count));
        let start = Instant::now();
        client.send(request).await.unwrap();
        bounded(&client.response().await.verdict());
        start.elapsed()
    };
    time(100).await;
    let (few, many) = (time(500).await, time(8000).await);
    // Sixteen times as many take about 16 times as long, or 256 times where each is held against each.
    assert!(many < few * 80, "{few:?} for 500, {many:?} for 8000");
}

#[tokio::test]
async fn a_body_as_large_as_may_be_is_answered_or_refused() {
    let server = Server::start().await;
    let mut review = SMALL.to_owned();
    let rest = webhook::routes::BODY_MAX - review.len();
    review.push_str(&" ".repeat(rest));
    assert!(server.connect().await.review(&review).await.verdict().patch.is_some());
    review.push(' ');
    server.connect().await.review(&review).await.says(413, "the body is larger than 3145728 bytes");
    server.is_well().await;
}
