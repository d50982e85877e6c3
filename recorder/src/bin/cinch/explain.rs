//! `cinch explain`: what a profile lets happen, in words.

use std::process::ExitCode;

use anyhow::bail;
use recorder::learned::tally::{self, Tally};
use serde::Serialize;

use crate::{
    args::{ExplainFlags, Output},
    document::{self, Document},
    files::{print, print_json, trouble},
};

use risk::Risk;

mod apparmor;
mod group;
mod risk;
mod seccomp;
mod selinux;
mod text;

/// Behind the name of a call that is allowed with some arguments, and with others not.
const PARTLY: &str = " (with some arguments)";

/// What a profile lets happen. The names of fields are for scripts: they stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    kind: String,
    name: String,
    /// What its author, or what has recorded it, says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether anything is refused at all.
    enforced: bool,
    /// Sentences on the whole.
    summary: Vec<String>,
    /// The most important first.
    risks: Vec<Risk>,
    groups: Vec<Group>,
    /// What fewer instances did than all, where the profile says so: the rarest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rare: Vec<Rare>,
    /// What is likely to go wrong under it.
    warnings: Vec<String>,
}

/// What it lets happen (or, where it lets everything else happen, refuses) of one sort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    entries: Vec<String>,
}

/// Something that only some instances did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rare {
    what: String,
    instances: u32,
    of: u32,
}

/// Whether one thing is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    kind: String,
    name: String,
    asked: String,
    /// Whether it is, at least in some cases.
    allowed: bool,
    /// A sentence for each rule that decides.
    because: Vec<String>,
}

/// Prints what profiles let happen, or whether one thing is allowed.
pub(crate) fn explain(flags: &ExplainFlags) -> anyhow::Result<ExitCode> {
    let ExplainFlags { output, with, profile, about } = flags;
    let documents = document::read_all(profile)?;
    if documents.is_empty() {
        bail!("{}: there is no profile in it", profile.display());
    }
    let mut others = documents.clone();
    for file in with {
        others.extend(document::read_all(file)?);
    }
    if !about.is_empty() {
        let answers = documents.iter().map(|document| answer(document, &others, about));
        let answers = match answers.collect::<anyhow::Result<Vec<_>>>() {
            Ok(answers) => answers,
            Err(error) => return trouble(&error),
        };
        match output {
            Output::Text => print(&answers.iter().map(text::answer).collect::<String>())?,
            Output::Json => one_or_all(&answers)?,
        }
        let allowed = answers.iter().any(|answer| answer.allowed);
        return Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let all = documents.iter().map(|document| explained(document, &others));
    let all = all.collect::<anyhow::Result<Vec<_>>>()?;
    match output {
        Output::Text => {
            let texts: Vec<_> = all.iter().map(text::explanation).collect();
            print(&texts.join("\n"))?;
        }
        Output::Json => one_or_all(&all)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn one_or_all<T: Serialize>(all: &[T]) -> anyhow::Result<()> {
    match all {
        [one] => print_json(one),
        all => print_json(&all),
    }
}

fn explained(document: &Document, others: &[Document]) -> anyhow::Result<Explanation> {
    let mut explanation = match document {
        Document::Seccomp(profile) => seccomp::explanation(&document::resolved(profile, others)?),
        Document::AppArmor(profile) => apparmor::explanation(&profile.spec),
        Document::Selinux(profile) => selinux::explanation(&profile.spec),
        Document::RawSelinux(profile) => selinux::raw(&profile.spec),
    };
    document.kind().as_str().clone_into(&mut explanation.kind);
    document.name().clone_into(&mut explanation.name);
    let described = ["description", "kubernetes.io/description"];
    let described = described.iter().find_map(|key| document.annotation(key));
    explanation.description = described.map(|text| text.trim().to_owned());
    explanation.risks.sort();
    if let Some(annotation) = document.annotation(tally::ANNOTATION) {
        let tally = Tally::of_profile(Some(annotation), &document.items());
        let rare = tally.rare().into_iter();
        let rare = rare.map(|(what, instances)| Rare {
            what: what.to_owned(),
            instances,
            of: tally.instances(),
        });
        explanation.rare = rare.collect();
    }
    Ok(explanation)
}

fn answer(document: &Document, others: &[Document], about: &[String]) -> anyhow::Result<Answer> {
    let (allowed, because) = match (document, about) {
        (Document::Seccomp(profile), [call]) => {
            seccomp::answer(&document::resolved(profile, others)?, call)?
        }
        (Document::Seccomp(_), _) => bail!("ask about one system call at a time, such as mount"),
        (Document::AppArmor(profile), [what]) => {
            apparmor::answer(document.name(), &profile.spec, what)?
        }
        (Document::AppArmor(_), _) => {
            bail!("ask about one path or capability at a time, such as /etc/passwd or net_admin")
        }
        (Document::Selinux(profile), words) => selinux::answer(&profile.spec, words)?,
        (Document::RawSelinux(_), _) => {
            bail!("a RawSelinuxProfile is in CIL: one thing in it cannot be asked about")
        }
    };
    Ok(Answer {
        kind: document.kind().as_str().to_owned(),
        name: document.name().to_owned(),
        asked: about.join(" "),
        allowed,
        because,
    })
}
