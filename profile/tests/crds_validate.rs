//! What is wrong with an object from a folder, in the words of the API server.

#![expect(clippy::unwrap_used, reason = "in helpers of tests too")]

use std::{fs, path::Path};

use insta::assert_snapshot;
use k8s_openapi::serde::de::DeserializeOwned;
use profile::kinds::{
    AppArmorProfile, ProfileBinding, ProfileRecording, RawSelinuxProfile, SeccompProfile,
    SelinuxProfile, Validate,
};

/// The problems of an object, a line each.
fn problems<K: Validate + DeserializeOwned>(spec: &str) -> String {
    let object = format!("{{ apiVersion: g/v1, kind: K, metadata: {{ name: t }}, spec: {spec} }}");
    let object: K = serde_saphyr::from_str(&object).unwrap();
    object.validate().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn accepts<K: Validate + DeserializeOwned>(file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/manifests");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let object: K = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(object.validate(), []);
}

#[test]
fn manifests_in_the_wild_are_accepted_as_they_stand() {
    accepts::<ProfileBinding>("profilebinding-v1alpha1.yaml");
    accepts::<ProfileRecording>("profilerecording-v1alpha1.yaml");
    accepts::<SeccompProfile>("seccompprofile-v1beta1.yaml");
    accepts::<SelinuxProfile>("selinuxprofile-v1alpha2.yaml");
}

fn arguments(args: &str) -> String {
    problems::<SeccompProfile>(&format!(
        "{{ defaultAction: SCMP_ACT_ERRNO, syscalls: [
            {{ names: [socket], action: SCMP_ACT_ALLOW, args: {args} }} ] }}"
    ))
}

#[test]
fn conditions_that_contradict_each_other_are_refused() {
    let two = "[{ index: 0, op: SCMP_CMP_EQ, value: 1 }, { index: 0, op: SCMP_CMP_EQ, value: 2 }]";
    assert_snapshot!(arguments(two), @"spec.syscalls[0].args: two conditions of one rule contradict each other: they are on the same argument, and runtimes let either suffice then; write a rule for each, with the same names and action");
    let with_mask = "[{ index: 0, op: SCMP_CMP_EQ, value: 1, valueTwo: 2 }]";
    assert_snapshot!(arguments(with_mask), @"spec.syscalls[0].args[0]: valueTwo is for op SCMP_CMP_MASKED_EQ alone, which compares (argument AND value) with it: leave it out");
    assert_snapshot!(arguments("[{ index: 6, op: SCMP_CMP_EQ }]"), @"spec.syscalls[0].args[0].index: must be from 0 to 5");
}

#[test]
fn conditions_on_different_arguments_are_accepted() {
    let zero =
        "[{ index: 0, op: SCMP_CMP_EQ, value: 1, valueTwo: 0 }, { index: 1, op: SCMP_CMP_NE }]";
    assert_eq!(arguments(zero), "");
    let mask = "[{ index: 0, op: SCMP_CMP_MASKED_EQ, value: 2114060288, valueTwo: '0x3' }]";
    assert_eq!(arguments(mask), "");
}

#[test]
fn a_seccomp_profile_is_checked_field_by_field() {
    let spec =
        "{ defaultAction: SCMP_ACT_LOG, baseProfileName: Base, listenerPath: /tmp/x, syscalls: [
        { names: [read, write, read], action: SCMP_ACT_ALLOW },
        { names: [], action: SCMP_ACT_ALLOW },
        { names: ['open at'], action: SCMP_ACT_ERRNO, errnoRet: 70000 } ] }";
    assert_snapshot!(problems::<SeccompProfile>(spec), @r#"
    spec.baseProfileName: baseProfileName must be the name of a SeccompProfile, or oci:// and an image reference, such as oci://ghcr.io/acme/profiles/runc:v1.1.5
    spec.listenerPath: listenerPath must be a socket in /var/run/security-profiles-operator, such as /var/run/security-profiles-operator/agent.sock
    spec.syscalls[0].names[2]: "read" is there already: leave out the second one
    spec.syscalls[1].names: must have 1 or more items
    spec.syscalls[2].errnoRet: must be from 0 to 65535
    spec.syscalls[2].names[0]: "open at" must match ^[a-zA-Z0-9_]+$
    "#);
}

#[test]
fn an_image_that_does_not_parse_is_refused() {
    let binding = |image: &str| {
        let profile = "profileRef: { kind: SeccompProfile, name: p }";
        problems::<ProfileBinding>(&format!("{{ {profile}, image: '{image}' }}"))
    };
    assert_snapshot!(binding("Nginx"), @"spec.image: the repository must be lower case: an image's name has no capitals");
    assert_snapshot!(binding("nginx@sha256:6c3c*"), @"spec.image: a digest must be written in full: '*' and '?' have no place in it");
    assert_snapshot!(binding("nginx@sha256:6c3c"), @"spec.image: a digest must be algorithm:hex in full, such as sha256: and 64 hex digits");
    assert_eq!(binding("*"), "");
}

#[test]
fn a_binding_is_checked_field_by_field() {
    let spec = "{ profileRef: { kind: seccompprofile, name: My_Profile }, image: nginx,
        containers: [ok-*, Bad], podSelector: { matchLabels: { app: 'a b' }, matchExpressions: [
            { key: tier, operator: In }, { key: tier, operator: Exists, values: [x] } ] } }";
    assert_snapshot!(problems::<ProfileBinding>(spec), @r#"
    spec.containers[1]: a container's name must be lower-case letters, digits and '-', with the globs '*' and '?', such as log-*
    spec.podSelector.matchExpressions[0]: operators In and NotIn need at least one of values, Exists and DoesNotExist take none
    spec.podSelector.matchExpressions[1]: operators In and NotIn need at least one of values, Exists and DoesNotExist take none
    spec.podSelector.matchLabels.app: "a b" must match ^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$
    spec.profileRef.name: a name must be lower-case letters, digits, '-' and '.', and begin and end with a letter or digit, such as nginx-1.27
    "#);
}

#[test]
fn the_end_of_a_recording_is_one_duration() {
    let recording = |end: &str| {
        problems::<ProfileRecording>(&format!(
            "{{ kind: SeccompProfile, podSelector: {{}}, {end} }}"
        ))
    };
    assert_snapshot!(recording("stopAfter: soon"), @"spec.stopAfter: must be a duration greater than zero: numbers with the units h, m, s or ms, such as 90s, 1.5h or 2h45m");
    assert_snapshot!(recording("stableFor: 0s"), @"spec.stableFor: must be a duration greater than zero: numbers with the units h, m, s or ms, such as 90s, 1.5h or 2h45m");
    assert_snapshot!(recording("stopAfter: 1h, stableFor: 10m"), @"spec: stopAfter and stableFor cannot be given together: the one ends a recording after a time, the other when nothing new was seen for a time");
    for good in ["stopAfter: 300ms", "stopAfter: 1.5h", "stableFor: 2h45m", "recorder: logs"] {
        assert_eq!(recording(good), "");
    }
}

#[test]
fn names_in_an_selinux_policy_cannot_leave_their_rule() {
    let spec = "{ inherit: [{ name: 'net container' }], allow: { '@self': { tcp_socket: [listen] },
        'var log': { file: [read] }, etc_t: { 'a)': ['read)'] } } }";
    assert_snapshot!(problems::<SelinuxProfile>(spec), @r#"
    spec.allow: a type must be letters, digits, '.', '-' and '_' only, such as var_log_t; the profile's own type is @self
    spec.allow.etc_t: a class must be letters, digits, '.', '-' and '_' only, such as sock_file
    spec.allow.etc_t.a)[0]: "read)" must match ^[a-zA-Z0-9.\-_]+$
    spec.inherit[0].name: an SELinux name must be letters, digits, '.', '-' and '_' only, such as var_log_t
    "#);
}

#[test]
fn a_raw_policy_has_at_most_500_000_characters() {
    let policy =
        |size| problems::<RawSelinuxProfile>(&format!("{{ policy: '{}' }}", " ".repeat(size)));
    assert_eq!(policy(500_000), "");
    assert_snapshot!(policy(500_001), @"spec.policy: must have at most 500000 characters, but has 500001");
}

#[test]
fn a_raw_policy_stays_in_its_block() {
    let spec = "{ policy: '(blockinherit container)) (typepermissive process' }";
    assert_snapshot!(problems::<RawSelinuxProfile>(spec), @"spec.policy: line 1: this ) has no ( before it: a policy must not end the block that it is put into");
}

#[test]
fn texts_in_an_apparmor_profile_cannot_leave_their_rule() {
    let spec = r#"{ abstract: {
        filesystem: { readOnlyPaths: ["/a b/**", "/x\" rw,\ncapability sys_admin,#", "etc", "/x\\"] },
        capability: { allowedCapabilities: [net_admin, CAP_BPF, all] },
        signal: [{ access: [Send], signals: [SIGTERM, rtmin+1, "term,"], peer: "a\"" }],
        mount: [{ operation: Mount, source: /a, fsType: "tmpfs,", options: [ro, "a b"] }] },
        policy: "file," }"#;
    assert_snapshot!(problems::<AppArmorProfile>(spec), @r"
    spec: policy and abstract cannot be given together: policy is the whole body of the profile
    spec.abstract.capability.allowedCapabilities[2]: must be a capability of Linux, such as NET_ADMIN, CAP_NET_ADMIN or net_admin
    spec.abstract.filesystem.readOnlyPaths[1]: a path must begin with / (or a variable such as @{PROC}) and have no quotation mark, line break or lone backslash, such as /var/log/**
    spec.abstract.filesystem.readOnlyPaths[2]: a path must begin with / (or a variable such as @{PROC}) and have no quotation mark, line break or lone backslash, such as /var/log/**
    spec.abstract.filesystem.readOnlyPaths[3]: a path must begin with / (or a variable such as @{PROC}) and have no quotation mark, line break or lone backslash, such as /var/log/**
    spec.abstract.mount[0].fsType: must be letters, digits, '_', '.', '=' and '-' only, such as tmpfs or nosuid
    spec.abstract.mount[0].options[1]: must be letters, digits, '_', '.', '=' and '-' only, such as tmpfs or nosuid
    spec.abstract.signal[0].peer: must not be empty and have no quotation mark, line break or lone backslash
    spec.abstract.signal[0].signals[2]: must be a signal, such as term, SIGTERM or rtmin+1
    ");
}

#[test]
fn an_object_has_a_name_that_kubernetes_takes() {
    let yaml = "{ apiVersion: g/v1, kind: K, metadata: { name: ../etc }, spec: { policy: ';' } }";
    let object: RawSelinuxProfile = serde_saphyr::from_str(yaml).unwrap();
    assert_snapshot!(object.validate()[0], @"metadata.name: a name must be lower-case letters, digits, '-' and '.', and begin and end with a letter or digit, such as nginx-1.27");
}

#[test]
fn switches_as_they_were_spelled_before_v1_still_switch() {
    let seccomp =
        |spec: &str| -> profile::kinds::SeccompProfileSpec { serde_json::from_str(spec).unwrap() };
    let selinux =
        |spec: &str| -> profile::kinds::SelinuxProfileSpec { serde_json::from_str(spec).unwrap() };
    let apparmor =
        |spec: &str| -> profile::kinds::AppArmorProfileSpec { serde_json::from_str(spec).unwrap() };
    let states = [
        r#"{"defaultAction": "SCMP_ACT_LOG"}"#,
        r#"{"defaultAction": "SCMP_ACT_LOG", "disabled": false}"#,
        r#"{"defaultAction": "SCMP_ACT_LOG", "disabled": false, "state": "Disabled"}"#,
        r#"{"defaultAction": "SCMP_ACT_LOG", "disabled": true}"#,
    ]
    .map(|spec| seccomp(spec).effective_state().as_str());
    assert_eq!(states, ["Enabled", "Enabled", "Disabled", "Disabled"]);
    let modes = ["{}", r#"{"permissive": true}"#, r#"{"mode": "Permissive", "permissive": false}"#]
        .map(|spec| selinux(spec).effective_mode().as_str());
    assert_eq!(modes, ["Enforcing", "Permissive", "Permissive"]);
    let modes =
        ["{}", r#"{"complainMode": true}"#].map(|spec| apparmor(spec).effective_mode().as_str());
    assert_eq!(modes, ["Enforce", "Complain"]);
}
