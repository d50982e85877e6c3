//! When a recording ends. Pure.

use super::{Rule, groups};
use crate::duration;

groups! {
    /// A duration of a recording.
    duration(attach) = vec![Rule::new(
        r"self.matches(r'^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$') && duration(self) > duration('0s')",
        "must be a duration greater than zero: numbers with the units h, m, s or ms, such as 90s, 1.5h or 2h45m",
        |value| {
            let text = value.as_str().unwrap_or_default();
            !text.starts_with(['+', '-']) && duration::parse(text).is_ok_and(|d| !d.is_zero())
        },
    )];
    /// The spec of a recording.
    end(attach) = vec![Rule::new(
        "!(has(self.stopAfter) && has(self.stableFor))",
        "stopAfter and stableFor cannot be given together: the one ends a recording after a time, the other when \
         nothing new was seen for a time",
        |value| value.get("stopAfter").is_none() || value.get("stableFor").is_none(),
    )];
}
