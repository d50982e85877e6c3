//! Shares as bars and rings: drawings that also say in words what they show. Pure.

use super::html::Html;
use crate::{
    report::content::{Share, States},
    table::grouped,
};

/// The class of a piece of a bar, its name, and how many it stands for.
type Piece = (&'static str, &'static str, fn(&Share) -> u64);

/// What a bar is made of, in its order.
const PIECES: [Piece; 6] = [
    ("ours", "profile of ours", |share| share.profile),
    ("learning", "being recorded", |share| share.recording),
    ("default", "RuntimeDefault", |share| share.runtime_default),
    ("local", "other profile of the node", |share| share.localhost),
    ("unset", "not set", |share| share.unset),
    ("open", "Unconfined", |share| share.unconfined),
];

/// A share in per cent: never 100 unless it is all, never 0 unless it is none.
pub(super) fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".to_owned(),
        (part, whole) if part >= whole => "100 %".to_owned(),
        (part, whole) => match (part * 100) / whole {
            0 => "<1 %".to_owned(),
            percent => format!("{percent} %"),
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "a drawing is no finer than this")]
fn length(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A bar of all pieces.
pub(super) fn bar(html: &mut Html, of: &str, share: &Share) {
    let whole = share.all();
    html.raw("<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" role=\"img\"><title>");
    html.text(of).raw(": ").text(words(share)).raw("</title>");
    html.raw("<rect class=\"ground\" x=\"0\" y=\"0\" width=\"100\" height=\"8\"/>");
    let mut from = 0;
    for (class, _, part) in PIECES {
        let part = part(share);
        if part > 0 {
            html.raw("<rect").attribute("class", class).place("x", length(from, whole));
            html.place("width", length(part, whole)).raw(" y=\"0\" height=\"8\"/>");
        }
        from += part;
    }
    html.raw("</svg>");
}

/// What a bar shows, for those who do not see it.
fn words(share: &Share) -> String {
    let whole = share.all();
    let parts: Vec<_> = PIECES
        .iter()
        .map(|(_, name, part)| (name, part(share)))
        .filter(|(_, part)| *part > 0)
        .map(|(name, part)| format!("{} {name}", grouped(part)))
        .collect();
    if whole == 0 {
        "no containers".to_owned()
    } else {
        format!("of {} containers {}", grouped(whole), parts.join(", "))
    }
}

/// What the colours of bars mean.
pub(super) fn legend(html: &mut Html) {
    html.raw("<ul class=\"legend\">");
    for (class, name, _) in PIECES {
        html.raw("<li><svg class=\"key\" viewBox=\"0 0 8 8\" aria-hidden=\"true\"><rect");
        html.attribute("class", class).raw(" width=\"8\" height=\"8\" rx=\"2\"/></svg>");
        html.text(name).raw("</li>");
    }
    html.raw("</ul>");
}

/// A ring of the states of workloads.
pub(super) fn ring(html: &mut Html, states: States) {
    let whole = states.all();
    html.raw("<svg class=\"ring\" viewBox=\"0 0 42 42\" role=\"img\"><title>");
    html.text(format_args!(
        "Workloads: {} Applying, {} Recording, {} Disabled",
        states.applying, states.recording, states.disabled
    ));
    html.raw("</title><circle class=\"ground\" cx=\"21\" cy=\"21\" r=\"15.9155\"/>");
    let mut from = 0;
    for (class, part) in
        [("ours", states.applying), ("learning", states.recording), ("unset", states.disabled)]
    {
        if part > 0 {
            let long = length(part, whole);
            html.raw("<circle").attribute("class", class).raw(" cx=\"21\" cy=\"21\" r=\"15.9155\"");
            let dashes = format_args!("{:.2} {:.2}", long, 100.0 - long);
            // The beginning is on top, and the ring goes with the clock.
            html.attribute("stroke-dasharray", dashes);
            html.place("stroke-dashoffset", 25.0 - length(from, whole)).raw("/>");
        }
        from += part;
    }
    html.raw("<text x=\"21\" y=\"21\" class=\"share\">").text(percent(states.applying, whole));
    html.raw("</text></svg>");
}
