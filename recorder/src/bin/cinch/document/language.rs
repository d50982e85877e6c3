//! Profiles in the languages of AppArmor's and SELinux's compilers: the body is taken as it stands. Pure.

use std::error::Error as _;

use profile::{
    kinds::{
        AppArmorProfile, AppArmorProfileSpec, ProfileState, RawSelinuxProfile,
        RawSelinuxProfileSpec, SelinuxProfileSpec, apparmor::AppArmorMode, selinux::Permitted,
    },
    render,
};

use super::Document;

/// Reads a text that is one of these languages; none where it is neither. The error says in which line what is wrong.
pub(super) fn read(text: &str) -> Result<Option<Document>, String> {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with([';', '#']));
    let Some(first) = first else { return Ok(None) };
    if first.starts_with('(') {
        return cil(text).map(|profile| Some(Document::RawSelinux(Box::new(profile))));
    }
    let of_apparmor = ["profile ", "include <", "#include <", "abi <", "@{"];
    if of_apparmor.iter().any(|start| first.starts_with(start)) {
        return apparmor(text).map(|profile| Some(Document::AppArmor(Box::new(profile))));
    }
    Ok(None)
}

/// `(block NAME BODY)`: the form in which nodes are given a policy.
fn cil(text: &str) -> Result<RawSelinuxProfile, String> {
    let outside = "CIL: one (block NAME …) is needed, and nothing outside of it: a profile is a block of its own";
    let start = text.find("(block").ok_or(outside)?;
    let before = &text[..start];
    if before.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with(';')) {
        return Err(outside.to_owned());
    }
    let rest = text[start + "(block".len()..].trim_start();
    let name_end = rest.find(|c: char| c.is_whitespace() || c == '(' || c == ')').ok_or(outside)?;
    let (name, body) = rest.split_at(name_end);
    let end = closing(body).ok_or("CIL: the ) of the block is missing")?;
    let (body, after) = body.split_at(end);
    if after[1..].lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with(';')) {
        return Err(outside.to_owned());
    }
    let body = body.strip_prefix('\n').unwrap_or(body);
    let spec = RawSelinuxProfileSpec {
        state: ProfileState::Enabled,
        disabled: None,
        policy: body.to_owned(),
    };
    render::raw_selinux::render(name, &spec).map_err(|error| error.to_string())?;
    Ok(RawSelinuxProfile::new(name, spec))
}

/// Where the parenthesis is that closes what is open before the text.
fn closing(text: &str) -> Option<usize> {
    let (mut open, mut comment, mut quoted) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            '\n' => comment = false,
            _ if comment => {}
            '"' => quoted = !quoted,
            _ if quoted => {}
            ';' => comment = true,
            '(' => open += 1,
            ')' if open == 0 => return Some(at),
            ')' => open -= 1,
            _ => {}
        }
    }
    None
}

/// `profile NAME [PATH] [flags=(…)] { BODY }`, after lines that only make names known.
fn apparmor(text: &str) -> Result<AppArmorProfile, String> {
    let known = ["#", "include <tunables/global>", "abi <", "@{"];
    let mut at = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let trimmed = line.trim();
        if trimmed.starts_with("profile ") {
            break;
        }
        if !trimmed.is_empty() && !known.iter().any(|start| trimmed.starts_with(start)) {
            return Err(format!(
                "line {number}: {trimmed:?} stands outside of a profile, and an object is one profile alone"
            ));
        }
        at += line.len();
    }
    let rest = text[at..].trim_start();
    let head_end =
        rest.find("{\n").or_else(|| rest.find('{')).ok_or("AppArmor: profile NAME { is missing")?;
    let (head, body) = rest.split_at(head_end);
    let body_end = body.rfind('}').ok_or("AppArmor: the } of the profile is missing")?;
    if !body[body_end + 1..].trim().is_empty() {
        return Err("AppArmor: something stands behind the } of the profile, and an object is one profile alone".to_owned());
    }
    let inside = body[1..body_end].trim_start_matches('\n');
    let head = head["profile ".len()..].trim();
    let name = match head.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => head.split_whitespace().next(),
    };
    let name = name.filter(|name| !name.is_empty()).ok_or("AppArmor: the profile has no name")?;
    let flags = head.split_once("flags=(").and_then(|(_, rest)| rest.split(')').next());
    let mut mode = AppArmorMode::Enforce;
    for flag in flags.unwrap_or_default().split([',', ' ']).filter(|flag| !flag.is_empty()) {
        match flag {
            "complain" => mode = AppArmorMode::Complain,
            // These are given to every profile.
            "attach_disconnected" | "mediate_deleted" | "enforce" => {}
            other => return Err(format!("flags: an AppArmorProfile cannot have the flag {other}")),
        }
    }
    let spec = AppArmorProfileSpec {
        mode,
        policy: Some(inside.to_owned()),
        ..AppArmorProfileSpec::default()
    };
    render::apparmor::render(name, &spec).map_err(|error| match error.source() {
        Some(source) => format!("AppArmor: {error}: {source}"),
        None => format!("AppArmor: {error}"),
    })?;
    Ok(AppArmorProfile::new(name, spec))
}

/// Leave for whatever a profile names: whether a node gives it is the node's business, and its installer says so.
pub(super) fn permitting(spec: &SelinuxProfileSpec) -> Permitted {
    let classes = spec.allow.values().flat_map(|classes| classes.keys());
    let permissions = spec.allow.values().flat_map(|classes| classes.values().flatten());
    Permitted {
        types: spec.allow.keys().cloned().collect(),
        classes: classes.cloned().collect(),
        permissions: permissions.cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rendered_is_read_back_as_its_body() {
        let text = "; ours\n(block web\n    (blockinherit container)\n    ; a ) in a comment\n    (allow process etc_t (file (read)))\n)\n";
        let Some(Document::RawSelinux(read)) = read(text).unwrap() else { unreachable!() };
        assert_eq!(read.metadata.name.as_deref(), Some("web"));
        assert!(read.spec.policy.starts_with("    (blockinherit container)"));
        assert!(read.spec.policy.ends_with("(file (read)))\n"), "{}", read.spec.policy);
    }

    #[test]
    fn a_profile_of_apparmor_keeps_name_mode_and_body() {
        let text = "# ours\n@{pid}=[1-9]*\nprofile \"web\" flags=(attach_disconnected,complain) {\n  /etc/{a,b} r,\n}\n";
        let Some(Document::AppArmor(read)) = read(text).unwrap() else { unreachable!() };
        assert_eq!(read.metadata.name.as_deref(), Some("web"));
        assert_eq!(read.spec.mode, AppArmorMode::Complain);
        assert_eq!(read.spec.policy.as_deref(), Some("  /etc/{a,b} r,\n"));
    }

    #[test]
    fn what_is_more_than_one_profile_is_refused() {
        for (text, told) in [
            ("(block a)\n(block b)\n", "nothing outside"),
            ("(typeattribute x)\n", "one (block NAME"),
            ("(block a\n(allow process etc_t (file (read)))\n", ") of the block is missing"),
            ("include <local/x>\nprofile a {\n}\n", "line 1"),
            ("profile a flags=(unconfined) {\n}\n", "flag unconfined"),
            ("profile a {\n/b r,\n}\nprofile b {\n}\n/c r,\n", "behind the }"),
            ("profile a {\n/b r,\n}\nprofile b {\n}\n", "must not end the profile"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!(read("apiVersion: v1\nkind: Pod\n").unwrap().is_none());
        assert!(read("{\"defaultAction\": \"SCMP_ACT_ALLOW\"}").unwrap().is_none());
    }
}
