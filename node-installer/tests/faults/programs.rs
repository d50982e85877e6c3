//! Programs in the place of `apparmor_parser` and `semodule`, and folders in the place of the kernel's interfaces: what is
//! made of it when they fail. What real ones do is asked of real kernels.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use crate::node::{Done, Node, PROGRAM, done};

/// Takes every profile but those in which `refuse` is written; the kernel then lists it.
const PARSER: &str = r#"
text=$(cat)
name=$(printf '%s' "$text" | sed -n 's/^profile "\([^"]*\)".*/\1/p')
case "$text" in
*refuse*) echo "AppArmor parser error at line 3: syntax error" >&2; exit 1 ;;
*kill*) kill -9 $$ ;;
*forget*) ;;
*) echo "$name (enforce)" >>"$ROOT/sys/kernel/security/apparmor/profiles" ;;
esac
"#;

/// Takes modules, all of them or none, and writes down each call. The store is not compressed.
const SEMODULE: &str = r#"
echo "$@" >>"$ROOT/calls"
store="$ROOT/var/lib/selinux/targeted/active/modules/400"
for file; do
    case "$file" in *.cil) ;; *) continue ;; esac
    grep -q full "$file" && { echo "libsemanage: No space left on device" >&2; exit 1; }
    grep -q silent "$file" && { echo "semodule: Failed!" >&2; exit 1; }
    grep -q refuse "$file" && { echo "Failed to resolve allow statement at $file:2" >&2; exit 1; }
done
before=
for argument; do
    case "$before" in
    -i) name=$(basename "$argument" .cil); mkdir -p "$store/$name"; cp "$argument" "$store/$name/cil" ;;
    -r) rm -r "$store/$argument" ;;
    esac
    before=$argument
done
"#;

/// A node whose kernel has both AppArmor and SELinux, as far as files can tell.
pub(crate) fn node() -> Node {
    let node = Node::new();
    let root = node.root();
    for folder in [
        "sys/kernel/security/apparmor",
        "sys/fs/selinux",
        "var/lib/selinux/targeted/active/modules",
        "etc/selinux",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["profiles", ".replace", ".remove"] {
        fs::write(root.join("sys/kernel/security/apparmor").join(file), "").unwrap();
    }
    fs::write(root.join("sys/fs/selinux/policyvers"), "33").unwrap();
    fs::write(root.join("etc/selinux/config"), "SELINUXTYPE=targeted\n").unwrap();
    fs::create_dir(node.beside("bin")).unwrap();
    for (name, text) in [("apparmor_parser", PARSER), ("semodule", SEMODULE)] {
        let path = node.beside("bin").join(name);
        fs::write(&path, format!("#!/bin/sh{text}")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    node
}

/// Installs the profiles of one mechanism, once.
pub(crate) fn once(node: &Node, mechanism: &str) -> Done {
    let manifests = node.manifests();
    run(node, &["run", "--once", "--manifests", manifests.to_str().unwrap()], mechanism)
}

/// Takes away those of one mechanism.
pub(crate) fn purge(node: &Node, mechanism: &str, force: bool) -> Done {
    let flags: &[&str] = if force { &["purge", "--force"] } else { &["purge"] };
    run(node, flags, mechanism)
}

fn run(node: &Node, flags: &[&str], mechanism: &str) -> Done {
    let path = format!("{}:/usr/bin:/bin", node.beside("bin").display());
    let mut command = Command::new(PROGRAM);
    command.args(flags).args(["--mechanisms", mechanism, "--root"]).arg(node.root());
    done(command.env("PATH", path).env("ROOT", node.root()))
}
