//! Durations as Go writes them, which is how Kubernetes users do: `300ms`, `1.5h`, `2h45m`. Pure.

use std::time::Duration;

/// The units, the greatest first, in nanoseconds. The two microseconds are different characters that look the same.
const UNITS: [(&str, u64); 8] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
];

/// Go counts nanoseconds in 63 bits: 292 years.
const MAX: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("a duration must not be empty: write one such as 30m")]
    Empty,
    #[error("a duration must not be negative: {0:?}")]
    Negative(String),
    #[error("expected a number in {text:?} at {rest:?}: write a duration such as 1.5h or 2h45m")]
    NoNumber { text: String, rest: String },
    #[error("the number {number} in {text:?} has no unit: one of h, m, s, ms, us, ns is needed")]
    NoUnit { text: String, number: String },
    #[error("unknown unit {unit:?} in {text:?}: one of h, m, s, ms, us, ns is needed")]
    UnknownUnit { text: String, unit: String },
    #[error("{0:?} is longer than a duration can be: 2562047h47m16.854775807s at most")]
    TooLong(String),
}

/// Parses what Go's `time.ParseDuration` parses, but for negative durations.
///
/// # Errors
/// When the text is no duration, a negative one or one of more than 292 years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut sum = Duration::ZERO;
    let mut rest = unsigned;
    while !rest.is_empty() && unsigned != "0" {
        let (part, after) = part(text, rest)?;
        sum = sum.checked_add(part).filter(|sum| *sum <= MAX).ok_or_else(|| too_long(text))?;
        rest = after;
    }
    if text.starts_with('-') && !sum.is_zero() {
        return Err(DurationError::Negative(text.to_owned()));
    }
    Ok(sum)
}

/// Writes a duration as Go prints it: `1h30m0s`, `1.5s`, `300ms`.
pub fn format(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), u64::from(duration.subsec_nanos()));
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => decimal(nanos, 1, "ns"),
            1_000..1_000_000 => decimal(nanos, 1_000, "\u{b5}s"),
            _ => decimal(nanos, 1_000_000, "ms"),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let last = decimal((seconds % 60) * 1_000_000_000 + nanos, 1_000_000_000, "s");
    match (hours, minutes) {
        (0, 0) => last,
        (0, _) => format!("{minutes}m{last}"),
        _ => format!("{hours}h{minutes}m{last}"),
    }
}

/// A number of units, with as many decimals as it needs.
fn decimal(nanos: u64, unit: u64, name: &str) -> String {
    let (whole, fraction) = (nanos / unit, nanos % unit);
    let digits = unit.ilog10() as usize;
    let fraction = format!(".{fraction:0digits$}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{whole}{fraction}{name}")
}

/// The first number with its unit, and what comes after it.
fn part<'a>(text: &str, rest: &'a str) -> Result<(Duration, &'a str), DurationError> {
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, after) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        let (text, rest) = (text.to_owned(), rest.to_owned());
        return Err(DurationError::NoNumber { text, rest });
    }
    let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
    let (name, after) = after.split_at(end);
    let unit = unit(text, number, name)?;
    let whole = if whole.is_empty() { Ok(0) } else { whole.parse::<u64>() };
    let nanos =
        whole.ok().and_then(|whole| whole.checked_mul(unit)).ok_or_else(|| too_long(text))?;
    Ok((Duration::from_nanos(nanos) + Duration::from_nanos(part_of(fraction, unit)), after))
}

fn unit(text: &str, number: &str, name: &str) -> Result<u64, DurationError> {
    let (text, unit) = (text.to_owned(), name.to_owned());
    if name.is_empty() {
        return Err(DurationError::NoUnit { text, number: number.to_owned() });
    }
    let found = UNITS.iter().find(|(known, _)| *known == name);
    found.map(|(_, nanos)| *nanos).ok_or(DurationError::UnknownUnit { text, unit })
}

/// A fraction of a unit in nanoseconds, rounded down. No unit has more than 13 decimals of them.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let mut place = u128::from(unit) * 1_000_000_000_000_000;
    let mut sum = 0;
    for digit in fraction.bytes().take(15) {
        place /= 10;
        sum += place * u128::from(digit - b'0');
    }
    u64::try_from(sum / 1_000_000_000_000_000).expect("a fraction of a unit is less than the unit")
}

fn too_long(text: &str) -> DurationError {
    DurationError::TooLong(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", 0)]
    #[case("-0s", 0)]
    #[case("300ms", 300_000_000)]
    #[case("1.5h", 5_400_000_000_000)]
    #[case("2h45m", 9_900_000_000_000)]
    #[case("+5s", 5_000_000_000)]
    #[case(".5s", 500_000_000)]
    #[case("1.s", 1_000_000_000)]
    #[case("1\u{b5}s2\u{3bc}s3us", 6_000)]
    #[case("0.3333333333333333333h", 1_199_999_999_999)]
    #[case("9223372036854775807ns", i64::MAX.unsigned_abs())]
    fn reads_what_go_reads(#[case] text: &str, #[case] nanos: u64) {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)));
    }

    #[rstest]
    #[case("", "a duration must not be empty: write one such as 30m")]
    #[case("-1s", "a duration must not be negative: \"-1s\"")]
    #[case(
        "soon",
        "expected a number in \"soon\" at \"soon\": write a duration such as 1.5h or 2h45m"
    )]
    #[case(
        "1h.m",
        "expected a number in \"1h.m\" at \".m\": write a duration such as 1.5h or 2h45m"
    )]
    #[case("10", "the number 10 in \"10\" has no unit: one of h, m, s, ms, us, ns is needed")]
    #[case("1d", "unknown unit \"d\" in \"1d\": one of h, m, s, ms, us, ns is needed")]
    #[case("1 h", "unknown unit \" h\" in \"1 h\": one of h, m, s, ms, us, ns is needed")]
    #[case(
        "2562048h",
        "\"2562048h\" is longer than a duration can be: 2562047h47m16.854775807s at most"
    )]
    #[case(
        "99999999999999999999s",
        "\"99999999999999999999s\" is longer than a duration can be: 2562047h47m16.854775807s at most"
    )]
    fn says_what_is_wrong(#[case] text: &str, #[case] message: &str) {
        assert_eq!(parse(text).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case(0, "0s")]
    #[case(1_100, "1.1\u{b5}s")]
    #[case(2_200_000, "2.2ms")]
    #[case(3_300_000_000, "3.3s")]
    #[case(300_000_000_000, "5m0s")]
    #[case(3_600_000_000_001, "1h0m0.000000001s")]
    fn writes_what_go_writes(#[case] nanos: u64, #[case] text: &str) {
        assert_eq!(format(Duration::from_nanos(nanos)), text);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0..=i64::MAX.unsigned_abs()) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.hmsunµx ]{0,12}") {
            drop(parse(&text));
        }
    }
}
