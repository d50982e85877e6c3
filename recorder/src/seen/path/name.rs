//! What in the name of a file or folder is another one each time. Pure.

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Below a folder that comes with the image: names with numbers are versions.
    OfImage,
    /// Below a folder in which every program makes files with random names.
    Temporary,
    /// Below `/sys`.
    Device,
    /// Anywhere else: data.
    Data,
}

/// The name as a glob.
pub(super) fn general(name: &str, place: Place, is_file: bool) -> String {
    if is_library(name) || name.is_empty() {
        return escaped(name);
    }
    if name.strip_prefix("..").is_some_and(is_volume_stamp) {
        return "..[0-9]*".to_owned();
    }
    if place == Place::Device {
        return device(name).unwrap_or_else(|| escaped(name));
    }
    if let Some(glob) = uuid(name).or_else(|| of_pod(name)).or_else(|| known(name, place)) {
        return glob;
    }
    let tokens = tokens(name);
    let last = tokens.len() - 1;
    let mut glob = String::new();
    let mut numbers = false;
    for (at, (before, token)) in tokens.iter().enumerate() {
        glob.push_str(&escaped(before));
        let ends = at == last && at > 0;
        let next = tokens.get(at + 1).map(|(mark, _)| *mark);
        if is_hexadecimal(token) {
            let upper = token.bytes().any(|b| b.is_ascii_uppercase());
            glob.push_str(if upper { "[0-9A-F]*" } else { "[0-9a-f]*" });
        } else if is_number(token) {
            numbers |= is_variable(token, place, is_file, at == 0, ends && *before == ".", next);
            glob.push_str(if numbers { "[0-9]*" } else { token });
        } else if is_random(token, place, ends || next == Some(".")) && at > 0 {
            // Whoever makes random names makes them equally long.
            glob.push_str(&"?".repeat(token.len()));
        } else {
            glob.push_str(&escaped(token));
        }
    }
    glob
}

/// Where what is random in a name begins; none where nothing is.
pub(super) fn random_at(name: &str) -> Option<usize> {
    let globs = [Place::OfImage, Place::Temporary, Place::Device, Place::Data]
        .into_iter()
        .flat_map(|place| [true, false].map(|is_file| general(name, place, is_file)));
    globs.filter_map(|glob| shared(&glob, name)).min()
}

/// How many bytes of a name its glob says as they are; none where it says all.
fn shared(glob: &str, name: &str) -> Option<usize> {
    let (mut glob, mut bytes) = (glob.bytes().peekable(), name.bytes().enumerate());
    loop {
        let (first, at) = (glob.next(), bytes.next());
        match (first, at) {
            (Some(b'\\'), Some((at, _))) => {
                // What is escaped is one byte of both.
                if glob.next().is_none() {
                    return Some(at);
                }
            }
            (Some(b'?' | b'*' | b'[' | b'@'), Some((at, _))) => return Some(at),
            (Some(b'?' | b'*' | b'['), None) => return Some(name.len()),
            (Some(_), Some(_)) => {}
            (None, _) | (_, None) => return None,
        }
    }
}

/// Parts of letters and digits, each with what is before it.
fn tokens(name: &str) -> Vec<(&str, &str)> {
    let mut tokens = Vec::new();
    let mut rest = name;
    loop {
        let start = rest.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len());
        let (token, after) = from.split_at(end);
        tokens.push((before, token));
        if after.is_empty() {
            return tokens;
        }
        rest = after;
    }
}

/// Whether a number is another one each time.
fn is_variable(
    number: &str,
    place: Place,
    is_file: bool,
    is_first: bool,
    is_extension: bool,
    next: Option<&str>,
) -> bool {
    let long = number.len();
    match place {
        // A file that is written beside another before it takes its place: NAME.PID, or NAME.ADDRESS.
        Place::OfImage => is_extension && is_file && long >= 6,
        Place::Temporary => is_extension || long >= 4 || (is_first && is_file),
        // 15/main is a version; 16384 is not, nor is 0000, 1_fsm or log.1.
        Place::Data => long >= 4 || (is_file && (is_extension || (is_first && next != Some("-")))),
        Place::Device => false,
    }
}

/// Whether a part of a name looks as if it were made of random letters and digits.
fn is_random(token: &str, place: Place, ends: bool) -> bool {
    let least = if place == Place::Temporary { 1 } else { 2 };
    // `sha256`, `x86`
    let word = token.trim_end_matches(|c: char| c.is_ascii_digit());
    ends && (6..=32).contains(&token.len()) && !is_word(word) && changes(token) >= least
}

/// A word, with a capital letter or all of them.
fn is_word(token: &str) -> bool {
    let rest = token.get(1..).unwrap_or_default();
    let lower = rest.bytes().all(|b| b.is_ascii_lowercase());
    lower || token.bytes().all(|b| b.is_ascii_uppercase())
}

/// How often a letter of one sort (small, capital, digit) follows one of another.
fn changes(token: &str) -> usize {
    let sort = |byte: &u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        _ => 2,
    };
    token.as_bytes().windows(2).filter(|pair| sort(&pair[0]) != sort(&pair[1])).count()
}

/// Names that some programs make without a mark between what stays and what is random.
fn known(name: &str, place: Place) -> Option<String> {
    // sed -i beside the file that it writes; among temporary files a compiler, and Python.
    let makers = [("sed", 6), ("cc", 6), ("tmp", 8)];
    let makers = if place == Place::Temporary { &makers[..] } else { &makers[..1] };
    makers.iter().find_map(|(prefix, length)| {
        let rest = name.strip_prefix(prefix)?;
        let (random, after) = rest.split_at_checked(*length)?;
        let ends = after.is_empty() || after.starts_with('.');
        let all = random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let word = is_word(random) && *prefix != "tmp";
        (ends && all && !word).then(|| format!("{prefix}{}{}", "?".repeat(*length), escaped(after)))
    })
}

/// A UUID somewhere in it; cgroups write it with `_`.
fn uuid(name: &str) -> Option<String> {
    const PARTS: [usize; 5] = [8, 4, 4, 4, 12];
    const LENGTH: usize = 36;
    let bytes = name.as_bytes();
    let at = bytes.windows(LENGTH).position(|window| {
        let mut parts = window.split(|b| matches!(b, b'-' | b'_'));
        let all = PARTS.iter().all(|length| {
            parts
                .next()
                .is_some_and(|part| part.len() == *length && part.iter().all(u8::is_ascii_hexdigit))
        });
        all && parts.next().is_none()
    })?;
    let (before, rest) = name.split_at_checked(at)?;
    let (found, after) = rest.split_at_checked(LENGTH)?;
    let mark = if found.contains('_') { "_" } else { "-" };
    let glob = ["[0-9a-fA-F]*", "*", "*", "*", "*"].join(mark);
    Some(escaped(before) + &glob + &escaped(after))
}

/// The name of a pod of a Deployment, `NAME-HASH-RANDOM`, somewhere between `_` or alone.
fn of_pod(name: &str) -> Option<String> {
    let mut found = false;
    let parts: Vec<_> = name
        .split('_')
        .map(|part| {
            let mut ends = part.rsplitn(3, '-');
            let (last, hash, kept) = (ends.next()?, ends.next()?, ends.next()?);
            let safe =
                |text: &str| text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b));
            let digits = hash.bytes().any(|b| b.is_ascii_digit());
            let is = last.len() == 5 && (8..=10).contains(&hash.len()) && digits;
            (is && safe(last) && safe(hash)).then(|| format!("{}-*-?????", escaped(kept)))
        })
        .zip(name.split('_'))
        .map(|(pod, part)| {
            found |= pod.is_some();
            pod.unwrap_or_else(|| escaped(part))
        })
        .collect();
    found.then(|| parts.join("_"))
}

/// `cpu17`, `node0`, `event3`: another one on each machine.
fn device(name: &str) -> Option<String> {
    const COUNTED: [&str; 6] = ["cpu", "node", "index", "policy", "state", "memory"];
    let kept = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (kept.len() < name.len() && COUNTED.contains(&kept)).then(|| format!("{kept}[0-9]*"))
}

/// `2026_11_21_10_20_30.123456789`, after two dots.
fn is_volume_stamp(rest: &str) -> bool {
    let (date, number) = rest.split_once('.').unwrap_or((rest, "0"));
    let mut parts = date.split('_');
    parts.next().is_some_and(|year| year.len() == 4 && is_number(year))
        && parts.all(is_number)
        && is_number(number)
}

/// `libssl.so.3`, `_ssl.cpython-311-x86_64-linux-gnu.so`.
fn is_library(name: &str) -> bool {
    name.match_indices(".so").any(|(at, found)| {
        let after = &name[at + found.len()..];
        after.is_empty()
            || (after.starts_with('.') && after.bytes().all(|b| b == b'.' || b.is_ascii_digit()))
    })
}

/// Enough hexadecimal digits that no word has them.
fn is_hexadecimal(token: &str) -> bool {
    let one_case = !(token.bytes().any(|b| b.is_ascii_lowercase())
        && token.bytes().any(|b| b.is_ascii_uppercase()));
    token.len() >= 12
        && one_case
        && token.bytes().all(|b| b.is_ascii_hexdigit())
        && token.bytes().filter(u8::is_ascii_digit).count() >= 2
        && !(is_number(token) && token.len() < 24)
}

pub(super) fn is_number(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit())
}

/// What AppArmor would read as a glob is the character itself; one that it has no way to write is any.
pub(crate) fn escaped(text: &str) -> String {
    let mut glob = String::new();
    for c in text.chars() {
        match c {
            '*' | '?' | '[' | ']' | '{' | '}' | '^' | ',' => glob.extend(['\\', c]),
            // What stood for bytes that are no text; nobody knows how many.
            char::REPLACEMENT_CHARACTER => glob.push('*'),
            '"' | '\\' => glob.push('?'),
            _ if c.is_control() => glob.push_str(&"?".repeat(c.len_utf8())),
            _ => glob.push(c),
        }
    }
    glob
}
