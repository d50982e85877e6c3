//! What was done, as a table for people. Pure.

use std::{fmt::Write as _, time::Duration};

use crate::{
    key::Key,
    lane::{Report, Reports},
};

const HEAD: [&str; 5] = ["PROFILE", "KIND", "STATE", "TOOK", "PATH"];

/// The table; below it, why something is not as it should be.
pub fn table<'a>(lanes: impl IntoIterator<Item = &'a Reports>) -> String {
    let reports: Vec<(&Key, &Report)> = lanes.into_iter().flatten().collect();
    let rows: Vec<[String; 5]> = reports
        .iter()
        .map(|(key, report)| {
            [
                key.name.to_string(),
                key.kind.as_str().to_owned(),
                report.verdict.state.as_str().to_owned(),
                report.took.map_or_else(|| "-".to_owned(), duration),
                report.place.clone(),
            ]
        })
        .collect();
    let head = HEAD.map(str::to_owned);
    let all = || std::iter::once(&head).chain(&rows);
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| all().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:width$}  ").expect("into memory");
        }
        writeln!(text, "{}", line.trim_end()).expect("into memory");
    }
    for (key, report) in &reports {
        if let Some(message) = &report.verdict.message {
            writeln!(text, "\n{key}: {message}").expect("into memory");
        }
    }
    text
}

fn duration(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{:.1} ms", took.as_secs_f64() * 1e3)
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}
