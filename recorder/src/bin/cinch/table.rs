//! Tables and times as a terminal shows them. Pure.

use std::fmt::Write as _;

use k8s_openapi::jiff::Timestamp;

/// A cell is cut beyond so many characters.
const WIDEST: usize = 60;

/// Rows below heads, each column as wide as it must be.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.len())).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..heads.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            // Writing into a string does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut heads.iter().copied());
    for row in &rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

/// A text that no terminal obeys, on one line and not too long; something where there is nothing.
fn shown(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let mut shown: String = text.chars().take(WIDEST).map(plain).collect();
    if text.chars().nth(WIDEST).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// A character that changes nothing but its own place: neither a command to a terminal nor one that turns text round.
pub(crate) fn plain(c: char) -> char {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// A span of time in its largest unit: `40s`, `12m`, `5h`, `3d`.
pub(crate) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86400),
    }
}

/// How long ago something was; nothing where that is not known.
pub(crate) fn since(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map(|then| span(now.as_second() - then.as_second())).unwrap_or_default()
}

/// A time as people read it, to the minute.
pub(crate) fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A number as people read it: `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 pod`, `12,345 pods`.
pub(crate) fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be_and_no_cell_is_a_command() {
        let long = "x".repeat(80);
        let rows = [
            vec!["web".to_owned(), "3".to_owned(), String::new()],
            vec!["\u{1b}[2Jdb\u{202e}".to_owned(), "12".to_owned(), long],
        ];
        let text = table(&["NAME", "PODS", "NOTE"], &rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "NAME     PODS  NOTE");
        assert_eq!(lines[1], "web      3     -");
        assert_eq!(lines[2], format!("\u{fffd}[2Jdb\u{fffd}  12    {}…", "x".repeat(59)));
    }

    #[test]
    fn spans_and_numbers_are_short() {
        let spans = [0, 119, 120, 7199, 7200, 172_799, 172_800, -5].map(span);
        assert_eq!(spans, ["0s", "119s", "2m", "119m", "2h", "47h", "2d", "0s"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([count(1, "pod"), count(1200, "pod")], ["1 pod", "1,200 pods"]);
    }
}
