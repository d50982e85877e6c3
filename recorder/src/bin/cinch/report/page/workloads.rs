//! The workloads of a page: a table for each namespace, that folds. Pure.

use profile::mechanism::Mechanism;

use super::{MECHANISMS, html::Html};
use crate::{
    report::{
        confinement::Class,
        content::{Container, Namespace, Report, State, Workload},
        pod::Role,
    },
    table::{count, grouped},
};

/// So many rows a page has at most; each namespace has its share of them.
const ROWS: usize = 1000;

/// With no more than this, all is open.
const OPEN: usize = 80;

/// So many ways to be confined are shown in a cell.
const WAYS: usize = 4;

pub(super) fn workloads(html: &mut Html, report: &Report) {
    html.raw("<section id=\"workloads\" aria-labelledby=\"workloads-head\"><h2 id=\"workloads-head\">Workloads</h2>");
    if report.workloads.is_empty() {
        html.raw("<p class=\"none\">No pods are running here.</p></section>");
        return;
    }
    toolbar(html, report);
    let groups: Vec<&[Workload]> =
        report.workloads.chunk_by(|a, b| a.namespace == b.namespace).collect();
    let sizes: Vec<_> = groups.iter().map(|group| group.len()).collect();
    let most = fair(&sizes, ROWS);
    let open = report.workloads.len() <= OPEN;
    for group in groups {
        let Some(first) = group.first() else { continue };
        let of = report.namespaces.iter().find(|namespace| namespace.name == first.namespace);
        html.raw("<details class=\"group\"").raw(if open { " open=\"open\"" } else { "" });
        html.raw("><summary><h3>").text(&first.namespace).raw("</h3>");
        if let Some(namespace) = of {
            states(html, namespace);
        }
        html.raw("</summary>");
        table(html, group.get(..most).unwrap_or(group), &first.namespace);
        let more = group.len().saturating_sub(most) as u64;
        if more > 0 {
            html.raw("<p class=\"more\">").text(count(more, "more workload"));
            html.raw(" not shown here: <code>cinch report --namespace ").text(&first.namespace);
            html.raw("</code> shows more, <code>-o json</code> has all.</p>");
        }
        html.raw("</details>");
    }
    html.raw(
        "<p class=\"none\" id=\"nothing\" hidden=\"hidden\">Nothing fits the filter.</p></section>",
    );
}

/// The most rows that each group may have, so that all together have no more than `all`; each has one at least.
fn fair(sizes: &[usize], all: usize) -> usize {
    let sum = |most: usize| sizes.iter().map(|size| (*size).min(most)).sum::<usize>();
    let largest = sizes.iter().copied().max().unwrap_or_default();
    // Fewer than `low` are surely fine, `high` is not.
    let (mut low, mut high) = (1, largest + 1);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if sum(middle) <= all { low = middle } else { high = middle }
    }
    low
}

/// Is of use only with a script, and comes with it.
fn toolbar(html: &mut Html, report: &Report) {
    let states = report.totals.workloads;
    html.raw(
        "<div class=\"tools\" id=\"tools\" hidden=\"hidden\"><label for=\"filter\">Filter</label>",
    );
    html.raw("<input id=\"filter\" type=\"search\" autocomplete=\"off\" placeholder=\"name, image, profile …\"/>");
    html.raw("<div class=\"switches\" role=\"group\" aria-label=\"State\">");
    for (state, number) in [
        ("", states.all()),
        ("Applying", states.applying),
        ("Recording", states.recording),
        ("Disabled", states.disabled),
    ] {
        html.raw("<button type=\"button\"").attribute("data-state", state);
        html.attribute("aria-pressed", state.is_empty()).raw(">");
        html.text(if state.is_empty() { "All" } else { state });
        html.raw(" <span>").text(grouped(number)).raw("</span></button>");
    }
    html.raw("</div><p id=\"shown\" role=\"status\"></p></div>");
}

fn states(html: &mut Html, namespace: &Namespace) {
    let states = namespace.workloads;
    for (state, number) in [
        (State::Applying, states.applying),
        (State::Recording, states.recording),
        (State::Disabled, states.disabled),
    ] {
        if number > 0 {
            html.raw("<span class=\"tally\"><span").attribute("class", dot(state)).raw("></span>");
            html.text(grouped(number)).raw(" ").text(state.as_str()).raw("</span>");
        }
    }
}

fn dot(state: State) -> &'static str {
    match state {
        State::Applying => "dot ours",
        State::Recording => "dot learning",
        State::Disabled => "dot unset",
    }
}

fn table(html: &mut Html, workloads: &[Workload], namespace: &str) {
    html.raw("<table role=\"table\" class=\"list\"><caption>Workloads of ").text(namespace);
    html.raw("</caption><thead role=\"rowgroup\"><tr role=\"row\">");
    for head in ["Workload", "State", "Pods"].into_iter().chain(MECHANISMS.map(Mechanism::as_str)) {
        html.raw("<th role=\"columnheader\" scope=\"col\">").text(head).raw("</th>");
    }
    html.raw("</tr></thead><tbody role=\"rowgroup\">");
    for workload in workloads {
        row(html, workload);
    }
    html.raw("</tbody></table>");
}

fn row(html: &mut Html, workload: &Workload) {
    let Workload { kind, name, state, pods, gated, running, confined, denied, .. } = workload;
    html.raw("<tr role=\"row\"").attribute("data-state", state.as_str()).raw(">");
    html.raw("<th role=\"rowheader\" scope=\"row\"><span class=\"name\">").text(name);
    html.raw("</span> <span class=\"kind\">").text(kind).raw("</span>");
    containers(html, &workload.containers);
    html.raw("</th><td role=\"cell\" data-label=\"State\">");
    let class = match state {
        State::Applying => "badge ours",
        State::Recording => "badge learning",
        State::Disabled => "badge unset",
    };
    html.raw("<span").attribute("class", class).raw(">").text(state.as_str()).raw("</span>");
    if confined < running && *confined > 0 {
        html.raw("<span class=\"via\">").text(grouped(*confined)).raw(" of ");
        html.text(count(*running, "container")).raw("</span>");
    }
    if *denied > 0 {
        html.raw("<span class=\"via denied\">denied ").text(count(*denied, "time")).raw("</span>");
    }
    html.raw("</td><td role=\"cell\" data-label=\"Pods\" class=\"number\">").text(grouped(*pods));
    if *gated > 0 {
        html.raw("<span class=\"via\">").text(grouped(*gated)).raw(" waiting</span>");
    }
    html.raw("</td>");
    for mechanism in MECHANISMS {
        html.raw("<td role=\"cell\"").attribute("data-label", mechanism.as_str()).raw(">");
        cell(html, &workload.containers, mechanism);
        html.raw("</td>");
    }
    html.raw("</tr>");
}

/// What containers have of a mechanism, each way once, with the containers that have it where not all do.
fn cell(html: &mut Html, containers: &[Container], mechanism: Mechanism) {
    let mut ways: Vec<(Class, String, Vec<String>, Vec<&str>)> = Vec::new();
    for container in containers {
        for used in container.of(mechanism) {
            let words = used.confinement.words();
            let details = used.confinement.details();
            let same = |way: &&mut (Class, String, Vec<String>, Vec<&str>)| {
                way.0 == used.confinement.class && way.1 == words && way.2 == details
            };
            match ways.iter_mut().find(same) {
                Some(way) => way.3.push(&container.name),
                None => {
                    ways.push((used.confinement.class, words, details, vec![&container.name]));
                }
            }
        }
    }
    // What holds something back is looked for first.
    ways.sort_by_key(|way| way.0);
    let all = containers.len();
    for (class, words, details, names) in ways.iter().take(WAYS) {
        let class = match class {
            Class::Profile => "chip ours",
            Class::RuntimeDefault => "chip default",
            Class::Localhost => "chip local",
            Class::Unset => "chip unset",
            Class::Unconfined => "chip open",
        };
        html.raw("<div class=\"way\"><span").attribute("class", class).raw(">").text(words);
        html.raw("</span>");
        if names.len() < all {
            html.raw("<span class=\"via\">").text(names.join(", ")).raw("</span>");
        }
        for detail in details {
            html.raw("<span class=\"via\">").text(detail).raw("</span>");
        }
        html.raw("</div>");
    }
    if let Some(more) = ways.len().checked_sub(WAYS + 1) {
        html.raw("<span class=\"via\">and ").text(more + 1).raw(" more</span>");
    }
}

fn containers(html: &mut Html, containers: &[Container]) {
    html.raw("<ul class=\"images\">");
    for Container { name, role, images, .. } in containers {
        html.raw("<li><b>").text(name).raw("</b>");
        let role = match role {
            Role::Main => "",
            Role::Sidecar => " (sidecar)",
            Role::Init => " (init)",
            Role::Ephemeral => " (ephemeral)",
        };
        html.raw(role).raw(" <code>").text(images.join(", ")).raw("</code></li>");
    }
    html.raw("</ul>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shared_out_so_that_small_namespaces_are_whole() {
        assert_eq!(fair(&[3, 5, 2], 1000), 5);
        assert_eq!(fair(&[10, 9990], 1000), 990);
        assert_eq!(fair(&[500, 500, 500], 1000), 333);
        assert_eq!(fair(&vec![2; 5000], 1000), 1);
        assert_eq!(fair(&[], 1000), 1);
    }
}
