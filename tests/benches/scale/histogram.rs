//! A histogram as Prometheus reads it. Pure.

/// How many were at most so large, by growing bounds; the last is infinite.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram(Vec<(f64, u64)>);

impl Histogram {
    /// Adds up what a text says of this name, whatever the labels; none where it says nothing.
    pub(crate) fn read(text: &str, name: &str) -> Option<Self> {
        let bucket = format!("{name}_bucket{{");
        let mut sums: Vec<(f64, u64)> = Vec::new();
        for line in text.lines() {
            let Some((labels, count)) =
                line.strip_prefix(&bucket).and_then(|rest| rest.rsplit_once("} "))
            else {
                continue;
            };
            let bound = labels.split(',').find_map(|label| {
                let text = label.strip_prefix("le=\"")?.strip_suffix('"')?;
                if text == "+Inf" { Some(f64::INFINITY) } else { text.parse().ok() }
            })?;
            let count: u64 = count.trim().parse().ok()?;
            match sums.iter_mut().find(|(b, _)| b.total_cmp(&bound).is_eq()) {
                Some((_, sum)) => *sum += count,
                None => sums.push((bound, count)),
            }
        }
        sums.sort_by(|a, b| a.0.total_cmp(&b.0));
        (!sums.is_empty()).then_some(Self(sums))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// The smallest bound that this share is within.
    #[expect(clippy::cast_precision_loss, reason = "nobody makes that many reviews")]
    pub(crate) fn below(&self, share: f64) -> f64 {
        let wanted = self.count() as f64 * share;
        let found = self.0.iter().find(|(_, count)| *count as f64 >= wanted);
        found.map_or(f64::INFINITY, |(bound, _)| *bound)
    }
}
