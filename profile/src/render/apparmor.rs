//! An AppArmorProfile as the text that `apparmor_parser` compiles. Pure.
//!
//! The text includes no other file, so it compiles where the distribution's abstractions are not installed, and states
//! no `abi`: whoever compiles it must name the features of the kernel (`--features-file`), or rules about networks are
//! left out in silence.

use std::fmt::Write as _;

use super::Problems;
use crate::kinds::{
    AppArmorProfile, AppArmorProfileSpec, Problem, Validate as _,
    apparmor::{Abstract, AppArmorMode},
};
pub use body::BodyError;

mod base;
mod body;
mod quote;
mod rules;
mod variable;

/// Why a profile cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppArmorError {
    #[error("the AppArmor profile {name} is not valid: {problems}")]
    Invalid { name: String, problems: Problems },
    #[error("an AppArmor profile cannot be called {0}, which means that a process has none")]
    Unconfined(String),
    #[error("the policy of the AppArmor profile {name} cannot be put into a profile")]
    Body {
        name: String,
        #[source]
        source: BodyError,
    },
}

/// The text of a profile: the whole of its file, but for a marker that may be put on a line before it.
pub fn render(name: &str, spec: &AppArmorProfileSpec) -> Result<String, AppArmorError> {
    let invalid = |problems| AppArmorError::Invalid { name: name.to_owned(), problems };
    let problems = AppArmorProfile::new(name, spec.clone()).validate();
    Problems::none(problems).map_err(invalid)?;
    if name == "unconfined" {
        return Err(AppArmorError::Unconfined(name.to_owned()));
    }
    let complain = spec.effective_mode() == AppArmorMode::Complain;
    let mut body = String::new();
    if let Some(policy) = &spec.policy {
        let problem = |source| AppArmorError::Body { name: name.to_owned(), source };
        body::check(policy).map_err(problem)?;
        body += policy;
        // The line break keeps a comment at the end from hiding the brace.
        if !policy.ends_with('\n') {
            body.push('\n');
        }
    } else {
        let mut lines = base::lines(name, complain);
        let nothing = Abstract::default();
        let rules = rules::lines(name, spec.abstract_.as_ref().unwrap_or(&nothing));
        lines.extend(rules.map_err(|problems: Vec<Problem>| invalid(Problems(problems)))?);
        for line in lines {
            let _ = writeln!(body, "  {line}");
        }
    }
    let mut text = String::new();
    for definition in variable::definitions(&body) {
        let _ = writeln!(text, "{definition}");
    }
    let flags = if complain { ",complain" } else { "" };
    let _ = write!(
        text,
        "profile \"{name}\" flags=(attach_disconnected,mediate_deleted{flags}) {{\n{body}}}\n"
    );
    Ok(text)
}
