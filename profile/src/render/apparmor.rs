//! An `AppArmorProfile` as the text that `apparmor_parser` compiles. Pure.
//!
//! The text made of `abstract` includes no other file, so it compiles where the distribution's abstractions are not
//! installed. No text states an `abi`, which is such a file too: whoever compiles it must name the features of the
//! kernel (`--features-file`), or the parser leaves out rules about networks in silence.

use std::fmt::Write as _;

use super::Problems;
use crate::kinds::{
    AppArmorProfile, AppArmorProfileSpec, Validate as _,
    apparmor::{Abstract, AppArmorMode},
};

pub use body::BodyError;
pub(crate) use variable::values;

mod base;
mod body;
mod mount;
mod quote;
mod rules;
mod unix;
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
    let body = if let Some(policy) = &spec.policy {
        whole(policy).map_err(|source| AppArmorError::Body { name: name.to_owned(), source })?
    } else {
        let nothing = Abstract::default();
        let rules = rules::lines(name, spec.abstract_.as_ref().unwrap_or(&nothing));
        let rules = rules.map_err(|problems| invalid(Problems(problems)))?;
        let lines = base::lines(name, complain).into_iter().chain(rules);
        lines.fold(String::new(), |text, line| text + "  " + &line + "\n")
    };
    let mut text = variable::preamble(&body);
    let flags = if complain { ",complain" } else { "" };
    let _ = write!(
        text,
        "profile \"{name}\" flags=(attach_disconnected,mediate_deleted{flags}) {{\n{body}}}\n"
    );
    Ok(text)
}

/// A body in AppArmor's own language, as it stands.
fn whole(policy: &str) -> Result<String, BodyError> {
    body::check(policy)?;
    // The line break keeps a comment at the end from hiding the brace that follows.
    let end = if policy.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{policy}{end}"))
}

#[cfg(test)]
mod tests;
