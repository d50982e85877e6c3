//! The recordings of a page, and what was denied. Pure.

use k8s_openapi::jiff::Timestamp;
use profile::kinds::recording::RecordedContainer;

use super::{curve::curve, html::Html};
use crate::{
    report::content::{Recording, Report, Violation},
    table::{count, grouped, minute, since, span},
};

/// So many recordings, containers of one, and denials a page shows at most.
const RECORDINGS: usize = 60;
const CONTAINERS: usize = 6;
const VIOLATIONS: usize = 200;

pub(super) fn recordings(html: &mut Html, report: &Report) {
    html.raw(
        "<section aria-labelledby=\"recordings-head\"><h2 id=\"recordings-head\">Recordings</h2>",
    );
    if report.recordings.is_empty() {
        html.raw("<p class=\"none\">There is no ProfileRecording here.</p></section>");
        return;
    }
    html.raw("<p class=\"lead\">How many different things were seen, over time. A curve that has been flat for long is a profile that is nearly done.</p>");
    let mut all: Vec<_> = report.recordings.iter().collect();
    all.sort_by_key(|recording| match recording.phase {
        Some("Recording") => 0,
        Some("Complete") => 1,
        _ => 2,
    });
    html.raw("<div class=\"cards\">");
    for recording in all.iter().take(RECORDINGS) {
        card(html, recording, report.made.at);
    }
    html.raw("</div>");
    more(html, all.len().saturating_sub(RECORDINGS) as u64, "more recording");
    html.raw("</section>");
}

fn card(html: &mut Html, recording: &Recording, now: Timestamp) {
    let Recording { namespace, name, kind, recorder, phase, paused, active, containers } =
        recording;
    html.raw("<article class=\"card recording\"><header><h3>").text(name);
    html.raw(" <span class=\"kind\">").text(namespace).raw("</span></h3><span");
    let (class, word) = match phase {
        Some("Recording") => ("badge learning", "Recording"),
        Some("Complete") => ("badge ours", "Complete"),
        Some(_) => ("badge unset", "Waiting for pods"),
        None => ("badge unset", "No recorder has taken it up"),
    };
    html.attribute("class", class).raw(">").text(word).raw("</span></header><p class=\"via\">");
    html.text(kind).raw(", by ").text(recorder);
    if *active > 0 {
        let many = if *active >= 100 { " or more" } else { "" };
        html.raw(", ").text(count(*active as u64, "pod")).raw(many).raw(" at present");
    }
    html.raw(if *paused { ", takes no new pods" } else { "" }).raw("</p>");
    // Of one that is over, time stopped with its last word.
    let running = *phase == Some("Recording");
    for container in containers.iter().take(CONTAINERS) {
        html.raw("<div class=\"seen\"><p><b>").text(&container.name).raw("</b> <span>");
        html.text(grouped(u64::try_from(container.seen).unwrap_or_default())).raw(" seen");
        html.raw("</span></p>");
        curve(html, container, if running { now } else { last_word(container, now) });
        html.raw("<p class=\"via\">");
        said(html, container, running, now);
        html.raw("</p></div>");
    }
    more(html, containers.len().saturating_sub(CONTAINERS) as u64, "more container");
    html.raw("</article>");
}

/// When the status last said something of a container.
fn last_word(container: &RecordedContainer, now: Timestamp) -> Timestamp {
    let newest = container.last_new_at.as_ref().map(|time| time.0.as_second());
    let last = newest.map(|newest| newest.saturating_add(container.stable_seconds));
    last.and_then(|last| Timestamp::from_second(last).ok()).unwrap_or(now)
}

fn said(html: &mut Html, container: &RecordedContainer, running: bool, now: Timestamp) {
    match &container.last_new_at {
        Some(newest) if running => {
            html.raw("nothing new for ").text(since(Some(newest.0), now));
        }
        Some(newest) => {
            html.raw("newest ").text(minute(newest.0)).raw(", then nothing new for ");
            html.text(span(container.stable_seconds));
        }
        None => {
            html.raw("nothing seen yet");
        }
    }
    if let Some(profile) = &container.profile {
        html.raw(" · <code>").text(profile).raw("</code>");
    }
    if container.lost > 0 {
        let lost = u64::try_from(container.lost).unwrap_or_default();
        html.raw(" · <strong class=\"denied\">").text(count(lost, "event"));
        html.raw(" lost: the profile may lack something</strong>");
    }
}

pub(super) fn violations(html: &mut Html, report: &Report) {
    html.raw("<section aria-labelledby=\"denied-head\"><h2 id=\"denied-head\">Denied</h2>");
    if report.violations.is_empty() {
        html.raw("<p class=\"none\">No Event tells that a profile denied anything. Events are kept for an hour, unless the API server is told otherwise; recorders tell of violations with <code>--violations</code>.</p></section>");
        return;
    }
    html.raw("<p class=\"lead\">What profiles kept containers from doing, as far as Events are kept; the latest first.</p>");
    html.raw("<table role=\"table\" class=\"list events\"><caption>What was denied</caption><thead role=\"rowgroup\"><tr role=\"row\">");
    for head in ["What", "Workload", "Container", "Times", "Pods", "Last"] {
        html.raw("<th role=\"columnheader\" scope=\"col\">").text(head).raw("</th>");
    }
    html.raw("</tr></thead><tbody role=\"rowgroup\">");
    for violation in report.violations.iter().take(VIOLATIONS) {
        denied(html, violation, report.made.at);
    }
    html.raw("</tbody></table>");
    let left = report.violations.len().saturating_sub(VIOLATIONS) as u64;
    more(html, left + report.violations_left_out, "more kind");
    html.raw("</section>");
}

fn denied(html: &mut Html, violation: &Violation, now: Timestamp) {
    let Violation { namespace, kind, name, container, what, count, pods, first, last } = violation;
    html.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">").text(what);
    html.raw("</th><td role=\"cell\" data-label=\"Workload\"><span class=\"name\">").text(name);
    html.raw("</span> <span class=\"kind\">").text(kind).raw(" in ").text(namespace);
    html.raw("</span></td><td role=\"cell\" data-label=\"Container\">");
    html.text(container.as_deref().unwrap_or("not known"));
    html.raw("</td><td role=\"cell\" data-label=\"Times\" class=\"number\">").text(grouped(*count));
    html.raw("</td><td role=\"cell\" data-label=\"Pods\" class=\"number\">").text(grouped(*pods));
    html.raw("</td><td role=\"cell\" data-label=\"Last\">");
    if let Some(last) = last {
        html.text(since(Some(*last), now)).raw(" ago");
    }
    if let Some(first) = first {
        html.raw("<span class=\"via\">since ").text(minute(*first)).raw("</span>");
    }
    html.raw("</td></tr>");
}

fn more(html: &mut Html, number: u64, what: &'static str) {
    if number > 0 {
        html.raw("<p class=\"more\">").text(count(number, what));
        html.raw(" not shown here: <code>-o json</code> has more.</p>");
    }
}
