//! `/metrics`: the names that dashboards rely on, and no label that grows.

use std::time::UNIX_EPOCH;

use crate::process::{BOTH, Process, SMALL};

#[tokio::test]
async fn counts_reviews_by_verdict_and_by_reason() {
    let process = Process::loaded().await;
    assert_eq!(process.review(SMALL).await, 200);
    assert_eq!(process.review(SMALL.replace("\"pods\"", "\"jobs\"")).await, 200);
    assert_eq!(process.review(SMALL.replace("example.com/shop/web:1.27.3", "x")).await, 200);
    assert_eq!(process.review("{}").await, 400);

    let verdicts = async |verdict: &str| {
        let key = format!("{{path=\"{BOTH}\",verdict=\"{verdict}\"}}");
        process.count(&format!("cinch_webhook_reviews_total{key}")).await
    };
    assert_eq!((verdicts("patched").await, verdicts("ignored").await), (1, 1));
    assert_eq!(verdicts("unchanged").await, 1);
    let reasons = async |reason: &str| {
        let key = format!("{{path=\"{BOTH}\",reason=\"{reason}\"}}");
        process.count(&format!("cinch_webhook_reasons_total{key}")).await
    };
    assert_eq!(reasons("written").await, 3, "seccomp, SELinux and AppArmor");
    // The wildcard: two other containers of the first pod, all three of the last.
    assert_eq!((reasons("profile-missing").await, reasons("missing").await), (5, 5));
    let refused = format!("cinch_webhook_refusals_total{{path=\"{BOTH}\",reason=\"bad-review\"}}");
    assert_eq!(process.count(&refused).await, 1);
    let durations = format!("cinch_webhook_review_duration_seconds_count{{path=\"{BOTH}\"}}");
    assert_eq!(process.count(&durations).await, 3);
}

#[tokio::test]
async fn tells_of_objects_and_of_the_certificate() {
    let process = Process::loaded().await;
    assert_eq!(process.count("cinch_webhook_objects{kind=\"ProfileBinding\"}").await, 5);
    assert_eq!(process.count("cinch_webhook_objects{kind=\"SeccompProfile\"}").await, 1);
    let invalid = "cinch_webhook_invalid_objects{kind=\"ProfileBinding\"}";
    assert_eq!(process.count(invalid).await, 0);
    let expires = process.count("cinch_webhook_certificate_expiry_timestamp_seconds").await;
    let not_after = process.serving.not_after().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(expires, not_after.as_secs());
    assert_eq!(process.count("cinch_webhook_certificate_failures").await, 0);
}

/// Each label has a few values of ours: a label per image or pod would fill a Prometheus.
#[tokio::test]
async fn series_do_not_grow_with_what_users_send() {
    let process = Process::loaded().await;
    let ask = async |n: usize| {
        let review = SMALL
            .replace("registry.example.com/shop/migrate", &format!("example.com/image-{n}"))
            .replace("\"metrics\"", &format!("\"container-{n}\""))
            .replace("\"operation\":\"CREATE\"", "\"operation\":\"CREATE\",\"name\":\"pod\"");
        assert_eq!(process.review(review).await, 200);
        assert_eq!(process.review(format!("{{\"kind\": \"Kind{n}\"}}")).await, 400);
    };
    ask(0).await;
    let before = process.metrics().await.lines().count();
    for n in 1..50 {
        ask(n).await;
    }
    let text = process.metrics().await;
    assert_eq!(text.lines().count(), before, "{text}");
    assert!(text.ends_with("# EOF\n") && text.len() < 64 << 10);
}
