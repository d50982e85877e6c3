//! Paths as a profile names them: what is another one each time becomes a glob. Pure.
//!
//! Nothing becomes broader than this: a component of a path that is a number below `/proc` is any process; one that is a
//! UUID, 16 or more hexadecimal digits, or a temporary name (`.` or `-` or `_` and six or more letters and digits of mixed
//! sort at its end) is any text in its place, without a `/`; and of a folder in which more than [`FILES_MAX`] files were
//! used, every file, but not those of folders below.

/// The path of a rule.
pub fn general(path: &str) -> String {
    let mut below_proc = false;
    let components = path.split('/').enumerate().map(|(place, component)| match component {
        "proc" if place == 1 => {
            below_proc = true;
            component.to_owned()
        }
        _ if below_proc && place == 2 && is_number(component) => "@{pid}".to_owned(),
        _ if below_proc && place == 4 && is_number(component) => "@{tid}".to_owned(),
        _ if is_uuid(component) || is_hash(component) => "*".to_owned(),
        _ => temporary(component).unwrap_or_else(|| escaped(component)),
    });
    components.collect::<Vec<_>>().join("/")
}

/// What AppArmor would read as a glob is the character itself; one that it has no way to write is any.
fn escaped(component: &str) -> String {
    let mut text = String::new();
    for c in component.chars() {
        match c {
            '*' | '?' | '[' | ']' | '{' | '}' | '^' | ',' => text.extend(['\\', c]),
            // What stood for bytes that are no text; nobody knows how many.
            char::REPLACEMENT_CHARACTER => text.push('*'),
            '"' | '\\' => text.push('?'),
            _ if c.is_control() => (0..c.len_utf8()).for_each(|_| text.push('?')),
            _ => text.push(c),
        }
    }
    text
}

fn is_number(component: &str) -> bool {
    !component.is_empty() && component.bytes().all(|b| b.is_ascii_digit())
}

fn is_hash(component: &str) -> bool {
    component.len() >= 16
        && component.bytes().all(|b| b.is_ascii_hexdigit())
        && component.bytes().any(|b| b.is_ascii_digit())
}

fn is_uuid(component: &str) -> bool {
    let parts: Vec<_> = component.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && component.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// A name with a random end, without that end.
fn temporary(component: &str) -> Option<String> {
    let (place, _) = component.char_indices().rfind(|(_, c)| matches!(c, '.' | '-' | '_'))?;
    let (kept, random) = component.split_at(place + 1);
    let mixed = |test: fn(&u8) -> bool| random.bytes().any(|b| test(&b));
    let sorts =
        [mixed(u8::is_ascii_digit), mixed(u8::is_ascii_lowercase), mixed(u8::is_ascii_uppercase)];
    let random = random.len() >= 6
        && random.bytes().all(|b| b.is_ascii_alphanumeric())
        && sorts.into_iter().filter(|sort| *sort).count() >= 2;
    random.then(|| escaped(kept) + "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_another_one_each_time_becomes_a_glob() {
        for (path, rule) in [
            ("/etc/passwd", "/etc/passwd"),
            ("/proc/4711/status", "/proc/@{pid}/status"),
            ("/proc/4711/task/4712/comm", "/proc/@{pid}/task/@{tid}/comm"),
            ("/var/4711/status", "/var/4711/status"),
            ("/run/9f86d081884c7d659a2feaa0c55ad015/x", "/run/*/x"),
            ("/v/123e4567-e89b-12d3-a456-426614174000", "/v/*"),
            ("/tmp/tmp.Xk29fQpL0a", "/tmp/tmp.*"),
            ("/usr/lib/libssl.so.3", "/usr/lib/libssl.so.3"),
            ("/usr/share/readme-english", "/usr/share/readme-english"),
            ("/srv/a[1].txt", "/srv/a\\[1\\].txt"),
        ] {
            assert_eq!(general(path), rule, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_path_is_its_rule_renders(path in "/[ -~]{0,40}(/[ -~]{0,20}){0,3}") {
            let rules = serde_json::json!({ "filesystem": { "readOnlyPaths": [general(&path)] } });
            let spec = serde_json::from_value(serde_json::json!({ "abstract": rules })).unwrap();
            let rendered = profile::render::apparmor::render("p", &spec);
            proptest::prop_assert!(rendered.is_ok(), "{}: {:?}", general(&path), rendered);
        }
    }
}
