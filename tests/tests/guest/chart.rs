//! Can the node installer do its work with the mounts and capabilities that the chart gives it, and with nothing else?

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    chart::Helm,
    guest::{
        Lsm::{self, AppArmor, Selinux},
        images::Images,
    },
};

use crate::{
    Skipped,
    agent::{guest, script},
    questions,
};

questions![
    a_seccomp_profile_is_installed_by_the_container_of_the_chart,
    an_apparmor_profile_is_installed_by_the_container_of_the_chart,
    a_selinux_profile_is_installed_by_the_container_of_the_chart,
];

/// What stands in the image of the installer, taken from the guest itself.
const IMAGE: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];

const WORDS: &str = r"
rootfs=/srv/pod/rootfs
mkdir -p $rootfs/proc $rootfs/sys $rootfs/tmp $rootfs/host
# A kubelet makes these.
mkdir -p /var/lib/kubelet/seccomp /var/lib/security-profiles-operator
once() { (cd /srv/pod && runc run pod); }
";

/// What a runtime is told of the container that the chart makes for a feature.
fn config(lsm: Lsm, feature: &str) -> Result<Value> {
    let helm = Helm::find().ok_or(Skipped("needs helm: install Go and run make test"))?;
    let mut features = json!({ "seccomp": false, "apparmor": false, "selinux": false });
    features[feature] = json!(true);
    let objects = helm.template(&json!({ "features": features }))?;
    let named = |object: &&Value| {
        object["kind"] == "DaemonSet" && object["metadata"]["name"] == "cinch-node-installer"
    };
    let daemon = objects.iter().find(named).context("the chart has no installer")?;
    let pod = &daemon["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let context = &container["securityContext"];

    let words = |list: &Value| -> Vec<String> {
        let words = list.as_array().into_iter().flatten();
        words.filter_map(|word| Some(word.as_str()?.to_owned())).collect()
    };
    let added = words(&context["capabilities"]["add"]);
    let capabilities: Vec<_> = added.iter().map(|name| format!("CAP_{name}")).collect();
    let mut arguments = words(&container["command"]);
    // Without a cluster, and to an end.
    let of_cluster = |argument: &String| !argument.contains("NODE_NAME");
    arguments.extend(words(&container["args"]).into_iter().filter(of_cluster));
    arguments.extend(["--manifests=/manifests".into(), "--once".into()]);

    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] }),
        json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }),
    ];
    for path in IMAGE.iter().chain(&["/manifests"]) {
        mounts.push(json!({
            "destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"],
        }));
    }
    for mount in container["volumeMounts"].as_array().context("no mounts")? {
        let volumes = pod["volumes"].as_array().context("no volumes")?;
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
        let volume = volume.context("a mount of no volume")?;
        let access = if mount["readOnly"] == true { "ro" } else { "rw" };
        let propagation =
            if mount["mountPropagation"] == "HostToContainer" { "rslave" } else { "rprivate" };
        mounts.push(json!({
            "destination": mount["mountPath"], "type": "bind", "source": volume["hostPath"]["path"],
            "options": ["rbind", access, propagation],
        }));
    }
    let mut process = json!({
        "user": { "uid": context["runAsUser"], "gid": context["runAsGroup"] },
        "cwd": "/",
        "env": ["PATH=/usr/sbin:/usr/bin"],
        "args": arguments,
        "noNewPrivileges": context["allowPrivilegeEscalation"] == false,
        "capabilities": {
            "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
        },
    });
    if lsm == Selinux {
        // The domain of this policy that may do everything, as spc_t does elsewhere.
        assert_eq!(context["seLinuxOptions"]["type"], "spc_t");
        process["selinuxLabel"] = json!("system_u:system_r:guest_t:s0");
    }
    let namespaces = ["pid", "mount", "ipc", "uts", "network"].map(|kind| json!({ "type": kind }));
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs", "readonly": context["readOnlyRootFilesystem"] },
        "process": process,
        "mounts": mounts,
        "linux": { "namespaces": namespaces },
    }))
}

async fn ask(images: &Images, lsm: Lsm, feature: &str, object: &str, body: &str) -> Result<()> {
    let config = config(lsm, feature)?.to_string();
    let guest = guest(images, lsm, &[("one", object)])?.text("/srv/pod/config.json", &config)?;
    guest.run(&script(&format!("{WORDS}{body}"))).await?.success()?;
    Ok(())
}

async fn a_seccomp_profile_is_installed_by_the_container_of_the_chart(
    images: &Images,
) -> Result<()> {
    let object =
        "kind: SeccompProfile\nmetadata: {name: one}\nspec: {defaultAction: SCMP_ACT_LOG}\n";
    let body = "once || fail not installed
        grep -q SCMP_ACT_LOG /var/lib/kubelet/seccomp/operator/one.json || fail no file
        rm /manifests/one.yaml
        once || fail not removed
        gone present /var/lib/kubelet/seccomp/operator/one.json || fail still there";
    ask(images, AppArmor, "seccomp", object, body).await
}

async fn an_apparmor_profile_is_installed_by_the_container_of_the_chart(
    images: &Images,
) -> Result<()> {
    let object = "kind: AppArmorProfile
metadata: {name: one}
spec: {abstract: {executable: {allowedExecutables: [/usr/bin/sleep]}}}
";
    let body = "once || fail not installed
        loaded one || fail not in the kernel
        rm /manifests/one.yaml
        aa-exec -p one -- sleep 1000 &
        under() { grep -q ^one /proc/$!/attr/current; }
        within 10 under
        once | grep one || fail it does not say that the profile stays
        loaded one || fail taken away from a process
        kill $!
        wait $!
        once || fail not removed
        gone loaded one || fail still there";
    ask(images, AppArmor, "apparmor", object, body).await
}

async fn a_selinux_profile_is_installed_by_the_container_of_the_chart(
    images: &Images,
) -> Result<()> {
    let object = "kind: SelinuxProfile
metadata: {name: one}
spec: {allow: {var_log_t: {dir: [search]}}}
";
    let body = "once || fail not installed
        module one || fail not in the store
        runcon -t one.process cat /etc/passwd >/dev/null || fail not in the kernel
        rm /manifests/one.yaml
        once || fail not removed
        gone module one || fail still there";
    ask(images, Selinux, "selinux", object, body).await
}
