//! Tests that may not run everywhere: whoever may not run them is told so by name.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test.
pub(crate) type Test = fn() -> Result<(), Failed>;

/// Runs tests, or ignores all of them, with what is refused here in their names.
pub(crate) fn run<const N: usize>(
    arguments: &Arguments,
    tests: [(&str, Test); N],
    refused: Option<&str>,
) -> ExitCode {
    let trials = tests.map(|(name, test)| {
        let name = match refused {
            None => name.to_owned(),
            Some(why) => format!("{name} ({why})"),
        };
        Trial::test(name, test).with_ignored_flag(refused.is_some())
    });
    libtest_mimic::run(arguments, trials.into()).exit_code()
}
