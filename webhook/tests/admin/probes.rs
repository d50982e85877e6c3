//! `/livez` and `/readyz`, and what is answered before everything is there.

use std::sync::atomic::Ordering;

use crate::process::{Process, SMALL};

#[tokio::test]
async fn ready_from_the_first_snapshot_until_the_stop() {
    let process = Process::new().await;
    let (status, detail) = process.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(detail.contains("[-] objects: not loaded yet\n"), "{detail}");

    process.load();
    let (status, detail) = process.get("/readyz").await;
    assert_eq!(status, 200, "{detail}");
    assert!(detail.contains("[+] objects: loaded\n[+] serving: yes\n"), "{detail}");

    process.stop.send_replace(true);
    let (status, detail) = process.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(detail.contains("[-] serving: stopping\n"), "{detail}");
}

#[tokio::test]
async fn alive_whatever_else_is_wrong() {
    let process = Process::new().await;
    assert_eq!(process.get("/livez").await, (200, "ok\n".to_owned()));
    process.stop.send_replace(true);
    assert_eq!(process.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_lost_watch_shows_in_the_detail_and_in_a_metric_but_reviews_go_on() {
    let process = Process::loaded().await;
    process.watch.0.store(42, Ordering::Relaxed);
    let (status, detail) = process.get("/readyz").await;
    assert_eq!(status, 200, "reviews can be answered from what was last seen");
    assert!(detail.contains("[+] Namespace: up to date\n"), "{detail}");
    let line = "[-] ProfileBinding: not heard of for 42 s, serving what was last seen\n";
    assert!(detail.contains(line), "{detail}");
    let age = async |kind: &str| {
        process.count(&format!("cinch_webhook_watch_age_seconds{{kind=\"{kind}\"}}")).await
    };
    assert_eq!((age("ProfileBinding").await, age("Namespace").await), (42, 0));
    assert_eq!(process.review(SMALL).await, 200);
}

#[tokio::test]
async fn a_review_before_the_first_snapshot_is_not_admitted_unbound() {
    let process = Process::new().await;
    assert_eq!(process.review(SMALL).await, 503);
    let late = async {
        tokio::task::yield_now().await;
        process.load();
    };
    let (status, ()) = tokio::join!(process.review(SMALL), late);
    assert_eq!(status, 200, "it is answered as soon as the snapshot is there");
}
