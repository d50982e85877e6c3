//! From a pod to a profile, and what begins and ends that.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{node::Node, until::until};

use super::{
    LIMIT, allows, daemon::Recorder, is_partial, profile, recording, stage, until_profile,
    until_status, workload::Pod,
};
use crate::{
    questions,
    shared::{Shared, Skipped},
    write,
};

questions![
    a_pod_is_recorded_while_it_runs_and_to_its_end,
    a_pod_that_runs_already_is_recorded,
    nothing_runs_in_the_kernel_while_nothing_is_recorded,
    what_a_node_cannot_record_is_told_where_it_would_be,
    an_annotation_alone_arms_nothing,
    a_namespace_that_has_not_opted_in_is_not_recorded,
    what_is_not_selected_is_not_published,
    a_recording_ends_when_its_time_is_over,
    a_recording_ends_when_nothing_is_new,
    a_recording_that_is_deleted_leaves_whole_profiles,
    ten_replicas_become_one_profile,
    replicas_on_two_nodes_become_one_profile,
    two_kinds_are_recorded_at_once,
];

const KIND: &str = "SeccompProfile";
const PHASE: &str = "phase";

fn generated(name: &str) -> Value {
    json!({ "generateName": format!("{name}-") })
}

async fn a_pod_is_recorded_while_it_runs_and_to_its_end(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &generated(&name)).await?;
    recorder.watches("calls").await?;
    let mut container = pod.started().await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    let suffix = pod.name.trim_start_matches(&format!("{name}-"));
    let profile = format!("{name}-main-{suffix}");
    let partial =
        until_profile(cluster, KIND, &profile, "is there", |it| allows(it, "rmdir")).await?;
    ensure!(is_partial(&partial), "{partial}");
    let labels = &partial["metadata"]["labels"];
    for (label, value) in [
        ("recording-id", &name),
        ("recording-namespace", &space.name),
        ("container-id", &"main".to_owned()),
    ] {
        ensure!(labels[format!("spo.x-k8s.io/{label}")] == json!(value), "{label}: {labels}");
    }
    let status = until_status(&space, &name, "says who is recorded", |status| {
        status[PHASE] == "Recording" && status["containers"][0]["profile"] == json!(profile)
    })
    .await?;
    ensure!(status["activeWorkloads"] == json!([format!("{}/{}", space.name, pod.name)]));
    let told = &status["containers"][0];
    ensure!(told["seen"].as_i64() > Some(10) && told["lost"] == json!(0), "{told}");
    ensure!(told["lastNewAt"].is_string() && told["name"] == "main", "{told}");
    container.does("ln -s a /tmp/$$.l; rm /tmp/$$.l").await?;
    container.end()?;
    pod.succeed().await?;
    let whole = until_profile(cluster, KIND, &profile, "is final", |it| !is_partial(it)).await?;
    for call in ["mkdir", "rmdir", "execve", "exit_group"] {
        ensure!(allows(&whole, call), "no {call}: {whole}");
    }
    ensure!(allows(&whole, "symlinkat") || allows(&whole, "symlink"), "{whole}");
    ensure!(!allows(&whole, "ptrace") && !allows(&whole, "listen"), "{whole}");
    ensure!(
        whole["spec"]["state"] == "Enabled" && whole["spec"]["defaultAction"] == "SCMP_ACT_ERRNO"
    );
    until_status(&space, &name, "says that nobody is recorded", |status| {
        status[PHASE] == "Waiting" && status["activeWorkloads"].as_array().is_none_or(Vec::is_empty)
    })
    .await?;
    Ok(())
}

async fn a_pod_that_runs_already_is_recorded(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let mut pod = Pod::new(&space, &node, "old", &["main"], &json!({})).await?;
    let mut container = pod.started().await?;
    container.does("true").await?;
    let object = write::recording(
        "later",
        KIND,
        "Bpf",
        &json!({
            "podSelector": { "matchLabels": { "app": "old" } }, "disableProfileAfterRecording": true,
        }),
    );
    space.create_object(&object).await?.granted()?;
    recorder.watches("calls").await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    container.end()?;
    pod.delete().await?;
    // The pod's name is its own: its profile has no other end.
    let it = until_profile(cluster, KIND, "later-main", "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "rmdir") && it["spec"]["state"] == "Disabled", "{it}");
    Ok(())
}

async fn nothing_runs_in_the_kernel_while_nothing_is_recorded(shared: &Shared) -> Result<()> {
    let (node, recorder, space) = stage(shared).await?;
    // Of another app.
    let _other = Pod::new(&space, &node, "other", &["main"], &json!({})).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    until("programs are loaded for who may come", LIMIT, async || {
        Ok((recorder.in_kernel()?.len() > 3).then_some(()))
    })
    .await?;
    ensure!(recorder.running()?.is_empty(), "{:?}", recorder.running()?);
    let pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    ensure!(recorder.running()?.len() == 2, "{:?}", recorder.running()?);
    pod.delete().await?;
    until("nothing runs in the kernel", LIMIT, async || {
        Ok(recorder.running()?.is_empty().then_some(()))
    })
    .await
}

async fn what_a_node_cannot_record_is_told_where_it_would_be(shared: &Shared) -> Result<()> {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        return Err(Skipped("this node can record permissions of SELinux").into());
    }
    let (node, mut recorder, space) = stage(shared).await?;
    let permissions = recording(&space, "SelinuxProfile", &json!({})).await?;
    let calls = recording(&space, KIND, &json!({})).await?;
    // Other nodes may be able to, and nobody is recorded here.
    let mut pod = Pod::new(&space, &node, &calls, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    recorder.ready().await?;
    let mut container = pod.started().await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    // As the webhook marks it, which is not there.
    let mark = format!("{permissions}_main_12345_1");
    let mark = json!({ "annotations": { "io.containers.trace-bpf-selinux/main": mark } });
    let _here = Pod::new(&space, &node, &permissions, &["main"], &mark).await?;
    let said = recorder.not_ready().await?;
    ensure!(said.contains("SELinux is not on in this kernel"), "{said}");
    container.does("ln -s a /tmp/$$.l; rm /tmp/$$.l").await?;
    container.end()?;
    pod.succeed().await?;
    let whole = format!("{calls}-main");
    let whole = until_profile(&shared.cluster, KIND, &whole, "is final", |it| !is_partial(it));
    let whole = whole.await?;
    ensure!(allows(&whole, "rmdir") && allows(&whole, "unlinkat"), "{whole}");
    Ok(())
}

async fn an_annotation_alone_arms_nothing(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let marked = json!({ "annotations": { "io.containers.trace-bpf/main": "ghost_main_1_1" } });
    let mut pod = Pod::new(&space, &node, "marked", &["main"], &marked).await?;
    let mut container = pod.started().await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    ensure!(recorder.running()?.is_empty(), "{:?}", recorder.running()?);
    // What comes later and is published shows that there was time for it.
    let mut selected = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    let mut other = selected.started().await?;
    container.does("true").await?;
    other.does("true").await?;
    until_profile(cluster, KIND, &format!("{name}-main"), "is there", |_| true).await?;
    ensure!(profile(cluster, KIND, "ghost-main").await?.is_none());
    Ok(())
}

async fn a_namespace_that_has_not_opted_in_is_not_recorded(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let node = Node::new(cluster).await?;
    let recorder = Recorder::start(&node).await?;
    let space = shared.own(&[]).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    let mut container = pod.started().await?;
    container.does("true").await?;
    ensure!(recorder.running()?.is_empty(), "{:?}", recorder.running()?);
    // Once it opts in, pods that are there are recorded.
    space.label(tests::namespace::RECORDING, Some("")).await?;
    recorder.watches("calls").await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    let it = format!("{name}-main");
    until_profile(cluster, KIND, &it, "is there", |it| allows(it, "mkdir")).await?;
    // And when it says no, that is the end.
    space.label(tests::namespace::RECORDING, Some("false")).await?;
    until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    Ok(())
}

async fn what_is_not_selected_is_not_published(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({ "containers": ["main"] })).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main", "side"], &json!({})).await?;
    let mut other = Pod::new(&space, &node, "other", &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    let (mut main, mut side) = (pod.start()?, pod.start()?);
    pod.tell("main", &main.id).await?;
    pod.tell("side", &side.id).await?;
    let mut elsewhere = other.started().await?;
    side.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    elsewhere.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    main.does("ln -s a /tmp/$$.l; rm /tmp/$$.l").await?;
    for container in [main, side, elsewhere] {
        container.end()?;
    }
    pod.succeed().await?;
    let it = format!("{name}-main");
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(!allows(&it, "mkdir") && !allows(&it, "rmdir"), "{it}");
    ensure!(allows(&it, "unlinkat") || allows(&it, "unlink"), "{it}");
    ensure!(profile(cluster, KIND, &format!("{name}-side")).await?.is_none());
    Ok(())
}

async fn a_recording_ends_when_its_time_is_over(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({ "stopAfter": "20s" })).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    let mut container = pod.started().await?;
    container.does("{ (while sleep 0.1; do :; done) & }").await?;
    let it = format!("{name}-main");
    until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    until_status(&space, &name, "is complete", |status| status[PHASE] == "Complete").await?;
    until("nothing runs in the kernel", LIMIT, async || {
        Ok(recorder.running()?.is_empty().then_some(()))
    })
    .await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    let it = profile(cluster, KIND, &it).await?.context("it is gone")?;
    ensure!(!allows(&it, "mkdir"), "{it}");
    Ok(())
}

async fn a_recording_ends_when_nothing_is_new(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({ "stableFor": "4s" })).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    let mut container = pod.started().await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    let status =
        until_status(&space, &name, "is complete", |status| status[PHASE] == "Complete").await?;
    let said = &status["containers"][0];
    ensure!(said["stableSeconds"].as_i64() >= Some(4), "{status}");
    let points = said["history"].as_array().context("no history")?;
    ensure!(points.last().is_some_and(|last| last["seen"] == said["seen"]), "{status}");
    let it = format!("{name}-main");
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "mkdir"), "{it}");
    Ok(())
}

async fn a_recording_that_is_deleted_leaves_whole_profiles(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let merged = json!({ "mergeStrategy": "Containers" });
    let name = recording(&space, KIND, &merged).await?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &generated(&name)).await?;
    recorder.watches("calls").await?;
    let mut container = pod.started().await?;
    container.does("mkdir /tmp/$$; rmdir /tmp/$$").await?;
    let it = format!("{name}-main");
    until_profile(cluster, KIND, &it, "is there", is_partial).await?;
    space.delete(&write::v1(), "ProfileRecording", &name).await?;
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "mkdir"), "{it}");
    Ok(())
}

async fn ten_replicas_become_one_profile(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({ "mergeStrategy": "Containers" })).await?;
    let deeds = [
        ("mkdir /tmp/$$; rmdir /tmp/$$", "mkdir"),
        ("ln -s a /tmp/$$.l; rm /tmp/$$.l", "unlinkat"),
        ("mkfifo /tmp/$$.f; rm /tmp/$$.f", "mknodat"),
        ("nice true", "getpriority"),
        (": > /tmp/$$.c; chmod 600 /tmp/$$.c; rm /tmp/$$.c", "fchmodat"),
        ("sync /tmp", "fsync"),
        ("sleep 0.01", "clock_nanosleep"),
        ("kill -0 $$", "kill"),
        ("umask 22", "umask"),
        ("cat /proc/self/stat | tail -c1", "lseek"),
    ];
    let mut pods = Vec::new();
    for _ in &deeds {
        pods.push(Pod::new(&space, &node, &name, &["main"], &generated(&name)).await?);
    }
    recorder.watches("calls").await?;
    for (pod, (deed, _)) in pods.iter_mut().zip(deeds) {
        let mut container = pod.started().await?;
        container.does(deed).await?;
        container.end()?;
        pod.succeed().await?;
    }
    let it = format!("{name}-main");
    until_profile(cluster, KIND, &it, "has what each did, and is final", |it| {
        deeds.iter().all(|(_, call)| allows(it, call)) && !is_partial(it)
    })
    .await?;
    Ok(())
}

async fn replicas_on_two_nodes_become_one_profile(shared: &Shared) -> Result<()> {
    let cluster = &shared.cluster;
    let (here, one, space) = stage(shared).await?;
    let there = Node::new(cluster).await?;
    let other = Recorder::start(&there).await?;
    let name = recording(&space, KIND, &json!({ "mergeStrategy": "Containers" })).await?;
    let deeds = [
        (&here, "mkdir /tmp/$$; rmdir /tmp/$$", "mkdir"),
        (&here, "umask 22", "umask"),
        (&there, "kill -0 $$", "kill"),
    ];
    let mut pods = Vec::new();
    for (node, ..) in &deeds {
        pods.push(Pod::new(&space, node, &name, &["main"], &generated(&name)).await?);
    }
    one.watches("calls").await?;
    other.watches("calls").await?;
    let mut containers = Vec::new();
    for (pod, (_, deed, _)) in pods.iter_mut().zip(deeds) {
        let mut container = pod.started().await?;
        container.does(deed).await?;
        containers.push(container);
    }
    let status = until_status(&space, &name, "names the pods of both nodes", |status| {
        status["activeWorkloads"].as_array().is_some_and(|pods| pods.len() == deeds.len())
    })
    .await?;
    ensure!(status[PHASE] == "Recording" && status["startedAt"].is_string(), "{status}");
    let it = format!("{name}-main");
    until_profile(cluster, KIND, &it, "has what each did", |it| {
        deeds.iter().all(|(_, _, call)| allows(it, call)) && is_partial(it)
    })
    .await?;
    // What one node has ended with is not whole while another one goes on.
    let last = containers.pop().context("no container")?;
    for (container, pod) in containers.into_iter().zip(&pods) {
        container.end()?;
        pod.succeed().await?;
    }
    until_status(&space, &name, "names the pod of the other node alone", |status| {
        status["activeWorkloads"] == json!([format!("{}/{}", space.name, pods[2].name)])
    })
    .await?;
    let so_far = profile(cluster, KIND, &it).await?.context("it is gone")?;
    ensure!(is_partial(&so_far), "{so_far}");
    last.end()?;
    pods[2].succeed().await?;
    let whole = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    let counts = whole["metadata"]["annotations"]["spo.x-k8s.io/seen-by"].as_str();
    let counts: Value = serde_json::from_str(counts.context("it has no counts")?)?;
    ensure!(counts["instances"] == json!(deeds.len()), "{counts}");
    for (.., call) in deeds {
        ensure!(allows(&whole, call), "no {call}: {whole}");
        // Both nodes have written it several times.
        ensure!(counts["some"][call] == json!(1), "{call}: {counts}");
    }
    ensure!(counts["some"]["execve"].is_null() && counts["more"].is_null(), "{counts}");
    until_status(&space, &name, "says that nobody is recorded", |status| {
        status[PHASE] == "Waiting" && status["activeWorkloads"].as_array().is_none_or(Vec::is_empty)
    })
    .await?;
    Ok(())
}

async fn two_kinds_are_recorded_at_once(shared: &Shared) -> Result<()> {
    const APPARMOR: &str = "AppArmorProfile";
    let cluster = &shared.cluster;
    let (node, recorder, space) = stage(shared).await?;
    let name = recording(&space, KIND, &json!({})).await?;
    let files = format!("{name}-files");
    let same = json!({ "podSelector": { "matchLabels": { "app": name } } });
    let object = write::recording(&files, APPARMOR, "Bpf", &same);
    space.create_object(&object).await?.granted()?;
    let mut pod = Pod::new(&space, &node, &name, &["main"], &json!({})).await?;
    recorder.watches("calls").await?;
    recorder.watches("accesses").await?;
    let mut container = pod.started().await?;
    container.does("read x </etc/hostname; mkdir /tmp/cinch-two; rmdir /tmp/cinch-two").await?;
    container.end()?;
    pod.succeed().await?;
    let it = format!("{name}-main");
    let it = until_profile(cluster, KIND, &it, "is final", |it| !is_partial(it)).await?;
    ensure!(allows(&it, "mkdir"), "{it}");
    let it = format!("{files}-main");
    let it = until_profile(cluster, APPARMOR, &it, "is final", |it| !is_partial(it)).await?;
    let rules = &it["spec"]["abstract"];
    let lists = |path: &str| rules.pointer(path).map(Value::to_string).unwrap_or_default();
    ensure!(lists("/filesystem/readOnlyPaths").contains("\"/etc/hostname\""), "{it}");
    ensure!(lists("/executable/allowedExecutables").contains("mkdir"), "{it}");
    Ok(())
}
