//! CIL text, compiled beside a small policy that has the template `container`.

use std::{fs, path::Path};

use profile::{
    kinds::{RawSelinuxProfileSpec, SelinuxProfile, SelinuxProfileSpec, selinux::Permitted},
    render::{raw_selinux, selinux},
};

use crate::{
    cases,
    tools::{CHECKPOLICY, SECILC, SEMODULE},
};

cases![&[SECILC, SEMODULE, CHECKPOLICY];
    what_is_rendered_is_what_the_policy_allows,
    the_manifest_of_the_wild_compiles,
    a_permissive_profile_leaves_its_heirs_enforcing,
    what_is_refused_would_have_got_around_the_refusals,
    a_raw_policy_stays_in_its_block,
    a_comment_at_the_end_hides_nothing,
    a_module_is_installed_by_every_name_that_is_not_refused,
    a_template_inherited_twice_is_refused_by_the_compiler_too,
];

const POLICY: &str = include_str!("../fixtures/render/policy.cil");

fn render(name: &str, yaml: &str) -> String {
    let spec: SelinuxProfileSpec = serde_saphyr::from_str(yaml).unwrap();
    selinux::render(name, &spec, &Permitted::default()).unwrap()
}

/// Compiles modules beside the policy, and takes the result apart again: its statements, sorted.
fn compile(modules: &[&str]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut arguments = vec!["-o".to_owned(), path("policy"), "-f".to_owned(), path("contexts")];
    for (n, module) in [POLICY].iter().chain(modules).enumerate() {
        fs::write(path(&format!("{n}.cil")), module).unwrap();
        arguments.push(path(&format!("{n}.cil")));
    }
    SECILC.run(arguments, "")?;
    CHECKPOLICY.run(["-b", "-M", "-C", "-o", &path("text"), &path("policy")], "")?;
    let text = fs::read_to_string(path("text")).unwrap();
    let mut lines: Vec<_> = text.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    Ok(lines)
}

/// The statements of some kinds that speak of a block.
fn about(lines: &[String], block: &str) -> Vec<String> {
    let of = |line: &&String| {
        ["(allow ", "(typepermissive "].iter().any(|start| line.starts_with(start))
            && line.split([' ', '(', ')']).any(|word| word == format!("{block}.process"))
    };
    lines.iter().filter(of).cloned().collect()
}

fn what_is_rendered_is_what_the_policy_allows() {
    let yaml = "
        inherit: [{ name: net_container }, { name: container }]
        allow: { var_log_t: { file: [read, open, read], dir: [search] }, '@self': { process: [transition] } }";
    let lines = compile(&[&render("web-1", yaml)]).unwrap();
    assert_eq!(
        about(&lines, "web-1"),
        [
            "(allow web-1.process etc_t (file (read)))",
            "(allow web-1.process self (process (fork transition)))",
            "(allow web-1.process self (tcp_socket (create listen)))",
            "(allow web-1.process var_log_t (dir (search)))",
            "(allow web-1.process var_log_t (file (open read)))",
        ]
    );
}

fn the_manifest_of_the_wild_compiles() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/manifests/selinuxprofile-v1alpha2.yaml");
    let profile: SelinuxProfile =
        serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let name = profile.metadata.name.as_deref().unwrap();
    let text = selinux::render(name, &profile.spec, &Permitted::default()).unwrap();
    let lines = about(&compile(&[&text]).unwrap(), name);
    let sockets =
        "(allow errorlogger.process var_log_t (sock_file (getattr read write append open)))";
    assert!(lines.iter().any(|line| line == sockets), "{lines:#?}");
}

fn a_permissive_profile_leaves_its_heirs_enforcing() {
    let soft = render("soft", "mode: Permissive");
    let heir = render("heir", "inherit: [{ kind: SelinuxProfile, name: soft }]");
    let lines = compile(&[&soft, &heir]).unwrap();
    assert!(about(&lines, "soft").contains(&"(typepermissive soft.process)".to_owned()));
    assert_eq!(about(&lines, "heir").len(), about(&lines, "soft").len() - 1, "{lines:#?}");
}

/// That the compiler takes these is why a profile may not have them.
fn what_is_refused_would_have_got_around_the_refusals() {
    for (rule, means) in [
        ("(allow process .shadow_t (file (read)))", "shadow_t (file (read))"),
        ("(allow process etc_t (file (all)))", "relabelto"),
        ("(allow process etc_t (file (not read)))", "relabelto"),
    ] {
        let text = format!("(block x (blockinherit container) {rule})");
        let lines = about(&compile(&[&text]).unwrap(), "x");
        assert!(lines.iter().any(|line| line.contains(means)), "{rule}: {lines:#?}");
    }
    for allow in
        [".shadow_t: { file: [read] }", "etc_t: { file: [all] }", "etc_t: { file: [not, read] }"]
    {
        let spec = serde_saphyr::from_str(&format!("allow: {{ {allow} }}")).unwrap();
        selinux::render("x", &spec, &Permitted::default()).unwrap_err();
    }
}

fn raw(name: &str, policy: &str) -> Result<String, raw_selinux::RawSelinuxError> {
    let spec: RawSelinuxProfileSpec =
        serde_json::from_value(serde_json::json!({ "policy": policy })).unwrap();
    raw_selinux::render(name, &spec)
}

fn a_raw_policy_stays_in_its_block() {
    let text =
        raw("raw", "(blockinherit container)\n(type mine)\n(allow process mine (file (read)))");
    let lines = compile(&[&text.unwrap()]).unwrap();
    assert!(lines.contains(&"(allow raw.process raw.mine (file (read)))".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"(type raw.mine)".to_owned()), "{lines:#?}");
}

fn a_comment_at_the_end_hides_nothing() {
    let text = raw("raw", "(blockinherit container) ; (the end").unwrap();
    let heir = render("heir", "{}");
    compile(&[&format!("{text}{heir}")]).unwrap();
}

fn a_module_is_installed_by_every_name_that_is_not_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("etc/selinux/test/contexts/files")).unwrap();
    fs::create_dir_all(root.join("etc/selinux/test/policy")).unwrap();
    fs::create_dir_all(root.join("var/lib/selinux")).unwrap();
    fs::write(root.join("etc/selinux/semanage.conf"), "module-store = direct\n").unwrap();
    fs::write(root.join("base.cil"), POLICY).unwrap();
    let longest = "a".repeat(251);
    let names = ["a", "errorlogger", "all", "self", "allow", "x509-v2", &longest];
    let mut files = vec![root.join("base.cil")];
    for name in names {
        files.push(root.join(format!("{name}.cil")));
        fs::write(&files[files.len() - 1], render(name, "{}")).unwrap();
    }
    let common = ["-s", "test", "-n", "-p", root.to_str().unwrap()];
    let install = |file: &Path| {
        let arguments =
            common.iter().chain(&["-X", "400", "-i"]).map(AsRef::<std::ffi::OsStr>::as_ref);
        SEMODULE.run(arguments.chain([file.as_os_str()]), "")
    };
    for file in &files {
        install(file).unwrap();
    }
    let listed = SEMODULE.run(common.iter().chain(&["-l"]), "").unwrap();
    for name in names {
        assert!(listed.lines().any(|line| line.trim() == name), "{name} in {listed}");
    }
    for name in ["1password", "nginx-1.27"] {
        let file = root.join(format!("{name}.cil"));
        fs::write(&file, format!("(block {name} (blockinherit container))\n")).unwrap();
        install(&file).unwrap_err();
    }
}

fn a_template_inherited_twice_is_refused_by_the_compiler_too() {
    let base = render("base", "{}");
    let both = "inherit: [{ name: container }, { kind: SelinuxProfile, name: base }]";
    let error = compile(&[&base, &render("heir", both)]).unwrap_err();
    assert!(error.contains("Re-declaration of type process"), "{error}");
}
