//! The curve of what a recording has seen over time. Pure.

use std::fmt::Write as _;

use k8s_openapi::jiff::Timestamp;
use profile::kinds::recording::RecordedContainer;

use super::html::{Html, Place};
use crate::table::{minute, span};

const WIDE: f64 = 240.0;
const HIGH: f64 = 56.0;

/// Draws it as steps, up to `end`; nothing where no history is known.
pub(super) fn curve(html: &mut Html, of: &RecordedContainer, end: Timestamp) {
    let (Some(first), Some(last)) = (of.history.first(), of.history.last()) else { return };
    let begin = first.at.0.as_second();
    let end = end.as_second().max(last.at.0.as_second());
    let most = of.history.iter().map(|point| point.seen).max().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a drawing is no finer than this")]
    let part = |part: i64, whole: i64| part.max(0) as f64 / whole.max(1) as f64;
    let x = |second: i64| WIDE * part(second - begin, end - begin);
    // Some room above, so that the line is not cut.
    let y = |seen: i64| HIGH - (HIGH - 4.0) * part(seen, most) - 1.0;
    let mut line = format!("M0 {}", Place(y(0)));
    // Writing into a string does not fail.
    for point in &of.history {
        let (x, y) = (Place(x(point.at.0.as_second())), Place(y(point.seen)));
        let _ = write!(line, "H{x}V{y}");
    }
    let _ = write!(line, "H{}", Place(WIDE));
    html.raw("<svg class=\"curve\" viewBox=\"0 0 240 56\" preserveAspectRatio=\"none\" role=\"img\"><title>");
    html.text(format_args!(
        "Container {}: {} seen at {}, {} at {}",
        of.name,
        first.seen,
        minute(first.at.0),
        last.seen,
        minute(last.at.0)
    ));
    html.raw("</title><path class=\"area\"").attribute("d", format_args!("{line}V56H0Z")).raw("/>");
    html.raw("<path class=\"line\"").attribute("d", line).raw("/></svg>");
    html.raw("<p class=\"axis\"><span>").text(minute(first.at.0)).raw("</span><span>");
    html.text(span(end - begin)).raw(" later</span></p>");
}
