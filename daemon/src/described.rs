//! Describes metrics in a table of the documentation. For tests.

use std::{fs, io, path::Path};

/// What there is to say of one metric.
struct Row<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    labels: Vec<&'a str>,
}

const HEAD: &str = "| metric | kind | labels | what it tells |\n|---|---|---|---|\n";

/// Compares the table below a heading with what Prometheus is told, where each metric has a sample. With `UPDATE_DOCS` in
/// the environment the table is written.
pub fn compare(page: &Path, heading: &str, metrics: &str) -> io::Result<()> {
    let text = fs::read_to_string(page)?;
    let parted = text.split_once(&format!("\n{heading}\n\n"));
    let (before, rest) = parted.ok_or_else(|| other(format!("no heading {heading}")))?;
    let (there, after) = rest.split_once("\n\n").unwrap_or_else(|| (rest.trim_end(), ""));
    let expected = table(metrics);
    if there == expected.trim_end() {
        return Ok(());
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let end = if after.is_empty() { "" } else { "\n" };
        return fs::write(page, format!("{before}\n{heading}\n\n{expected}{end}{after}"));
    }
    Err(other(format!("{heading} is not what the code has: make docs writes it\n{expected}")))
}

fn other(text: String) -> io::Error {
    io::Error::other(text)
}

fn table(metrics: &str) -> String {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for line in metrics.lines() {
        if let Some((name, help)) = part(line, "# HELP ") {
            rows.push(Row { name, kind: "", help, labels: Vec::new() });
        } else if let Some((name, kind)) = part(line, "# TYPE ") {
            rows.iter_mut().filter(|row| row.name == name).for_each(|row| row.kind = kind);
        } else if let Some((sample, labels)) = line.split_once('{')
            // A longer name may begin like a shorter one.
            && let Some(row) = rows.iter_mut().rfind(|row| sample.starts_with(row.name))
            && let Some((labels, _)) = labels.rsplit_once('}')
        {
            let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0));
            for name in names.filter(|&name| name != "le") {
                if !row.labels.contains(&name) {
                    row.labels.push(name);
                }
            }
        }
    }
    let mut rows: Vec<_> = rows.iter().map(Row::line).collect();
    rows.sort_unstable();
    HEAD.to_owned() + &rows.concat()
}

fn part<'a>(line: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(start)?.split_once(' ')
}

impl Row<'_> {
    fn line(&self) -> String {
        let Self { name, kind, help, labels } = self;
        // As it is asked for.
        let ending = if *kind == "counter" { "_total" } else { "" };
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (labels, help) = (labels.join(", "), help.trim_end_matches('.'));
        format!("| `{name}{ending}` | {kind} | {labels} | {help} |\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# HELP x_reviews Reviews.
# TYPE x_reviews counter
x_reviews_total{path="/a,b",verdict="bound"} 1
# HELP x_duration_seconds Time.
# TYPE x_duration_seconds histogram
x_duration_seconds_sum 0.1
x_duration_seconds_bucket{le="0.1",path="/a"} 1
# EOF
"#;

    #[test]
    fn a_table_has_name_kind_labels_and_help() {
        let rows = "| `x_duration_seconds` | histogram | `path` | Time |\n\
            | `x_reviews_total` | counter | `path`, `verdict` | Reviews |\n";
        assert_eq!(table(METRICS), HEAD.to_owned() + rows);
    }

    #[test]
    fn a_page_has_to_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.md");
        let with = |table: &str| fs::write(&page, format!("# P\n\n## X\n\n{table}\nAfter.\n"));
        with(&table(METRICS)).unwrap();
        compare(&page, "## X", METRICS).unwrap();
        with(&table(METRICS).replace("Reviews", "Else")).unwrap();
        let error = compare(&page, "## X", METRICS).unwrap_err().to_string();
        assert!(error.contains("make docs") && error.contains("| Reviews |"), "{error}");
        assert!(compare(&page, "## Y", METRICS).is_err());
    }
}
