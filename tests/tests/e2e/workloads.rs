//! What users have: images, and manifests of what runs from them.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use tests::{image::Image, worker::parts::Parts};

/// A shell and its small programs.
pub(crate) const SHELL: &str = "localhost/shell:1";
/// A web server.
pub(crate) const NGINX: &str = "localhost/nginx:1";
/// What it serves.
pub(crate) const PAGE: &str = "a page\n";

const CONFIGURATION: &str = "
user nobody nogroup;
daemon off;
worker_processes 2;
error_log stderr;
pid /run/nginx.pid;
events { worker_connections 64; }
http {
    access_log off;
    sendfile on;
    server { listen 80; root /srv; }
}
";

/// Makes the images; tells where their archives are.
pub(crate) fn images(parts: &Parts, folder: &Path) -> Result<[std::path::PathBuf; 2]> {
    let names = ["sh", "mkdir", "grep", "sleep", "ln", "mkfifo", "sync", "renice"];
    let shell = Image::new("shell:1")?
        .file("/bin/busybox", &parts.busybox())?
        .links("/bin", "busybox", &names)?
        .folder("/tmp")?
        .command(&["sh"]);
    let root = parts.files.root();
    let nginx = Image::new("nginx:1")?
        .program(&root, "/usr/sbin/nginx")?
        .file("/bin/busybox", &parts.busybox())?
        .file("/etc/passwd", &root.join("etc/passwd"))?
        .file("/etc/group", &root.join("etc/group"))?
        .text("/etc/nginx/nginx.conf", CONFIGURATION)?
        .text("/srv/index.html", PAGE)?
        .folder("/tmp")?
        .folder("/run")?
        .folder("/var/lib/nginx")?
        .folder("/var/log/nginx")?
        .command(&["/usr/sbin/nginx"]);
    Ok([shell.write(folder)?, nginx.write(folder)?])
}

/// A pod that runs a script, and then stays.
pub(crate) fn pod(name: &str, script: &str) -> String {
    let metadata = json!({ "name": name });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec(SHELL, script) })
        .to_string()
}

/// A pod of an app that runs a script, and then ends.
pub(crate) fn job(name: &str, app: &str, script: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": app } },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "main", "image": SHELL, "command": ["sh", "-c", script] }],
        },
    })
    .to_string()
}

/// A Deployment with one pod; of the shell with a script.
pub(crate) fn deployment(name: &str, image: &str, script: &str) -> String {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec(image, script) },
        },
    })
    .to_string()
}

fn spec(image: &str, script: &str) -> Value {
    let mut container = json!({ "name": "main", "image": image });
    if image == SHELL {
        container["command"] = json!(["sh", "-c", format!("{script}; exec sleep 2147483647")]);
    }
    json!({ "terminationGracePeriodSeconds": 0, "containers": [container] })
}

/// Binds all containers of an image to a `SeccompProfile`.
pub(crate) fn binding(profile: &str, image: &str) -> String {
    format!(
        "
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: ProfileBinding
metadata: {{name: {profile}}}
spec:
  profileRef: {{kind: SeccompProfile, name: {profile}}}
  image: {image}
"
    )
}

/// Denies making folders, and ends who makes links.
pub(crate) fn no_folders(name: &str) -> String {
    format!(
        "
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SeccompProfile
metadata: {{name: {name}}}
spec:
  defaultAction: SCMP_ACT_ALLOW
  syscalls:
  - {{action: SCMP_ACT_ERRNO, names: [mkdir, mkdirat]}}
  - {{action: SCMP_ACT_KILL_PROCESS, names: [symlink, symlinkat]}}
"
    )
}

/// Records the system calls of an app: one profile of all its pods.
pub(crate) fn recording(name: &str, recorder: &str, app: &str) -> String {
    format!(
        "
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: ProfileRecording
metadata: {{name: {name}}}
spec:
  kind: SeccompProfile
  recorder: {recorder}
  mergeStrategy: Containers
  podSelector: {{matchLabels: {{app: {app}}}}}
"
    )
}

/// Whether the first container of a pod has a profile of the node's.
pub(crate) fn is_bound(pod: &Value) -> bool {
    let kind = pod.pointer("/spec/containers/0/securityContext/seccompProfile/type");
    kind == Some(&"Localhost".into())
}

/// Whether a `SeccompProfile` names such a call.
pub(crate) fn allows(profile: &Value, is: impl Fn(&str) -> bool) -> bool {
    let rules = profile.pointer("/spec/syscalls").and_then(Value::as_array);
    let names = rules.into_iter().flatten().filter_map(|rule| rule["names"].as_array()).flatten();
    names.filter_map(Value::as_str).any(is)
}
