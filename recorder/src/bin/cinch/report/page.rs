//! A report as one page that needs nothing else: no network, and no script to be read. Pure.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use profile::mechanism::Mechanism;
use ring::digest::{SHA256, digest};

use self::{
    html::Html,
    shares::{bar, legend, percent, ring as ring_of},
};
use super::content::{Namespace, Report};
use crate::table::{count, grouped, minute, since};

mod curve;
mod html;
mod recordings;
mod shares;
mod workloads;

#[cfg(test)]
mod tests;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// In the order in which people look for them.
const MECHANISMS: [Mechanism; 3] = [Mechanism::Seccomp, Mechanism::Apparmor, Mechanism::Selinux];

/// So many namespaces have a row.
const NAMESPACES: usize = 400;

pub(super) fn page(report: &Report) -> String {
    let mut html = Html::default();
    html.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
    // Nothing may be fetched, and no script or style but those of this page has an effect, whatever slips into it.
    let policy = format_args!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        sha256(STYLE),
        sha256(SCRIPT)
    );
    html.raw("<meta http-equiv=\"Content-Security-Policy\"").attribute("content", policy);
    html.raw("/><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\"/><meta name=\"referrer\" content=\"no-referrer\"/>");
    html.raw("<title>Security profiles of ").text(&report.made.of).raw("</title><style>");
    html.raw(STYLE).raw("</style></head><body><main>");
    top(&mut html, report);
    headline(&mut html, report);
    namespaces(&mut html, report);
    workloads::workloads(&mut html, report);
    recordings::recordings(&mut html, report);
    recordings::violations(&mut html, report);
    bottom(&mut html, report);
    html.raw("</main><script>").raw(SCRIPT).raw("</script></body></html>\n");
    html.into_string()
}

/// How a policy names a piece of text.
fn sha256(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

fn top(html: &mut Html, report: &Report) {
    let made = &report.made;
    html.raw(
        "<header class=\"top\"><h1>Security profiles</h1><p class=\"lead\"><span class=\"of\">",
    );
    html.text(&made.of).raw("</span>");
    if let Some(version) = &made.version {
        html.raw(" · Kubernetes ").text(version);
    }
    match made.namespaces.as_slice() {
        [] => html.raw(" · all namespaces"),
        some => html.raw(" · namespaces ").text(some.join(", ")),
    };
    html.raw("</p><p class=\"via\">made ").text(minute(made.at)).raw(" by ").text(&made.by);
    html.raw("</p></header>");
}

fn headline(html: &mut Html, report: &Report) {
    let (totals, now) = (&report.totals, report.made.at);
    let states = totals.workloads;
    html.raw("<section class=\"headline\" aria-label=\"In short\"><div class=\"card hero\">");
    ring_of(html, states);
    html.raw("<div><h2>Workloads under a profile</h2><dl class=\"states\">");
    for (class, name, number) in [
        ("dot ours", "Applying", states.applying),
        ("dot learning", "Recording", states.recording),
        ("dot unset", "Disabled", states.disabled),
    ] {
        html.raw("<div><dt><span").attribute("class", class).raw("></span>").text(name);
        html.raw("</dt><dd><b>").text(grouped(number)).raw("</b></dd></div>");
    }
    html.raw("</dl></div></div><div class=\"card\"><h2>Containers under a profile</h2>");
    html.raw("<dl class=\"kinds\">");
    for mechanism in MECHANISMS {
        let share = totals.shares.of(mechanism);
        html.raw("<div><dt>").text(mechanism).raw("</dt><dd><b>");
        html.text(percent(share.profile, share.all())).raw("</b>");
        bar(html, mechanism.as_str(), &share);
        html.raw("</dd></div>");
    }
    html.raw("</dl><p class=\"via\">").text(count(totals.containers, "container")).raw(" in ");
    html.text(count(totals.pods, "pod")).raw("</p></div>");
    let running = report.recordings.iter().filter(|it| it.phase == Some("Recording")).count();
    html.raw("<div class=\"card figure\"><h2>Recordings</h2><p class=\"big\">");
    html.text(grouped(running as u64)).raw("</p><p class=\"via\">running, of ");
    html.text(grouped(report.recordings.len() as u64));
    let newest = report.recordings.iter().flat_map(|it| &it.containers);
    let newest = newest.filter_map(|it| it.last_new_at.as_ref()).map(|time| time.0).max();
    if newest.is_some() {
        html.raw("; something new was seen ").text(since(newest, now)).raw(" ago");
    }
    html.raw("</p></div><div class=\"card figure\"><h2>Denied</h2><p class=\"big\">");
    html.text(grouped(totals.denied)).raw("</p><p class=\"via\">");
    match report.violations.first() {
        Some(latest) => {
            let kinds = report.violations.len() as u64 + report.violations_left_out;
            html.text(count(kinds, "kind")).raw(" of call or access; the last ");
            html.text(since(latest.last, now)).raw(" ago");
        }
        None => {
            html.raw("times, as far as Events tell");
        }
    }
    html.raw("</p></div></section>");
}

fn namespaces(html: &mut Html, report: &Report) {
    html.raw(
        "<section aria-labelledby=\"namespaces-head\"><h2 id=\"namespaces-head\">Namespaces</h2>",
    );
    if report.namespaces.is_empty() {
        html.raw("<p class=\"none\">No namespace has pods, or has opted in.</p></section>");
        return;
    }
    html.raw("<p class=\"lead\">What containers run under, by kind of profile.</p>");
    legend(html);
    html.raw("<table role=\"table\" class=\"list spaces\"><caption>Shares of containers by namespace</caption><thead role=\"rowgroup\"><tr role=\"row\">");
    for head in ["Namespace", "Containers"].into_iter().chain(MECHANISMS.map(Mechanism::as_str)) {
        html.raw("<th role=\"columnheader\" scope=\"col\">").text(head).raw("</th>");
    }
    html.raw("</tr></thead><tbody role=\"rowgroup\">");
    // Where there are too many, those with the most containers are the ones to look at.
    let mut all: Vec<&Namespace> = report.namespaces.iter().collect();
    if all.len() > NAMESPACES {
        all.sort_by(|a, b| b.containers.cmp(&a.containers).then(a.name.cmp(&b.name)));
        all.truncate(NAMESPACES);
    }
    for namespace in all {
        row(html, namespace);
    }
    html.raw("</tbody></table>");
    if let Some(more) = report.namespaces.len().checked_sub(NAMESPACES + 1) {
        html.raw("<p class=\"more\">").text(count(more as u64 + 1, "more namespace"));
        html.raw(" with fewer containers not shown here: <code>-o json</code> has all.</p>");
    }
    html.raw("</section>");
}

fn row(html: &mut Html, namespace: &Namespace) {
    html.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><span class=\"name\">");
    html.text(&namespace.name).raw("</span> <span class=\"kind\">");
    html.raw(match (namespace.binding, namespace.recording) {
        (true, true) => "binds and records",
        (true, false) => "binds",
        (false, true) => "records",
        (false, false) => "not opted in",
    });
    html.raw("</span></th><td role=\"cell\" data-label=\"Containers\" class=\"number\">");
    html.text(grouped(namespace.containers)).raw("</td>");
    for mechanism in MECHANISMS {
        let share = namespace.shares.of(mechanism);
        html.raw("<td role=\"cell\" class=\"barred\"").attribute("data-label", mechanism).raw(">");
        bar(html, mechanism.as_str(), &share);
        html.raw("<span class=\"percent\">").text(percent(share.profile, share.all()));
        html.raw("</span></td>");
    }
    html.raw("</tr>");
}

fn bottom(html: &mut Html, report: &Report) {
    html.raw("<footer><h2>How to read this</h2><ul>");
    for note in &report.notes {
        html.raw("<li class=\"note\">").text(note).raw("</li>");
    }
    for what in [
        "<b>Applying</b>: at least one container runs under a profile that Cinch has installed.",
        "<b>Recording</b>: a ProfileRecording learns what at least one container does, whatever it runs under meanwhile.",
        "<b>Disabled</b>: neither; the namespace may not have opted in, or no binding fits.",
        "<b>not set</b>: the pod chose nothing, so the runtime does: often its own default profile.",
        "Containers are counted in every pod that runs, init containers too.",
    ] {
        html.raw("<li>").raw(what).raw("</li>");
    }
    html.raw("</ul></footer>");
}
