//! Rules about unix sockets. Pure.

use super::{quote::quote_address, rules::peer};
use crate::kinds::apparmor::UnixRule;

/// The rules, or why there can be none.
///
/// A socket's owner and whoever connects to it name the same address, each in another place.
pub(super) fn lines(name: &str, rule: &UnixRule) -> Result<Vec<String>, String> {
    let label = rule.peer.as_deref().map(|other| peer(name, other)).transpose()?;
    let label = label.map(|label| format!("label={label}"));
    let address = rule.address.as_deref().map(address).transpose()?;
    let kind = match rule.socket_type {
        Some(kind) => format!(" type={}", kind.as_str().to_ascii_lowercase()),
        None => String::new(),
    };
    let here = address.as_ref().map(|address| format!(" {address}")).unwrap_or_default();
    let there = |parts: &[&Option<String>]| {
        let parts: Vec<_> = parts.iter().filter_map(|part| part.as_deref()).collect();
        if parts.is_empty() { String::new() } else { format!(" peer=({})", parts.join(", ")) }
    };
    let own = "bind, create, getattr, getopt, listen, setattr, setopt, shutdown";
    let mut lines = vec![
        format!("unix ({own}){kind}{here},"),
        format!("unix (accept, connect, receive, send){kind}{here}{},", there(&[&label])),
    ];
    if address.is_some() {
        let there = there(&[&address, &label]);
        lines.push(format!("unix (connect, receive, send){kind}{there},"));
    }
    Ok(lines)
}

fn address(text: &str) -> Result<String, String> {
    if text != "none" && !text.starts_with('@') {
        return Err(format!(
            "the address {text:?} is not that of an abstract socket, such as @name: a socket in the file system is a path, \
             and goes into filesystem.readWritePaths"
        ));
    }
    Ok(format!("addr={}", quote_address(text)?))
}
