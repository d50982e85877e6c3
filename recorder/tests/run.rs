//! `cinch run` with real programs: the same happens to them as under the filter alone, and what they were denied is told.
//!
//! Called with `lose-thread` it is a program of several threads, one of which makes a folder; with `catch-trap` one that does so
//! and catches the signal that it gets for that.

use std::{process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Failed, Trial};
use programs::{CATCHER, LOSER};
use recorder::logs::netlink::Netlink;

#[path = "run/denied.rs"]
mod denied;
#[path = "run/elf.rs"]
mod elf;
#[path = "run/ended.rs"]
mod ended;
#[path = "run/keys.rs"]
mod keys;
#[path = "run/left.rs"]
mod left;
#[path = "run/place.rs"]
mod place;
#[path = "run/programs.rs"]
mod programs;
#[path = "run/start.rs"]
mod start;
#[path = "shared/terminal.rs"]
mod terminal;

type Test = fn() -> Result<(), Failed>;

/// All of them take some seconds.
const LIMIT: Duration = Duration::from_mins(4);

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some(LOSER) => Some(programs::lose_thread()),
        Some(CATCHER) => Some(Ok(programs::catch_trap())),
        _ => None,
    };
    if let Some(done) = done {
        return done.map_or(ExitCode::FAILURE, ExitCode::from);
    }
    let arguments = Arguments::from_args();
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    let kernel = actions.is_ok_and(|actions| actions.contains("user_notif"));
    let root = rustix::process::geteuid().is_root();
    let (kernel, root, script, x86) = (
        (!kernel).then_some("the kernel asks nobody about calls"),
        (!root).then_some("needs root"),
        terminal::missing(),
        (!cfg!(target_arch = "x86_64")).then_some("needs x86_64"),
    );
    // Whoever may not listen is told so by name; what is said then has a test of its own.
    let deaf = Netlink::listen().err().map(|error| error.to_string());
    let deaf = kernel.or(deaf.as_deref());
    let tests: [(&str, Option<&str>, Test); 25] = [
        ("what_is_allowed_works_as_without_us", kernel, denied::allowed),
        ("what_is_denied_is_reported_with_name_count_and_caller", kernel, denied::denied),
        ("a_report_goes_to_a_file_or_to_a_descriptor", kernel, denied::report_to_a_file),
        ("no_privilege_is_needed", kernel.or(root), denied::without_privileges),
        ("every_action_does_what_the_filter_alone_would", kernel, denied::every_action),
        ("a_call_that_ends_its_process_is_named", deaf, ended::kills),
        ("a_call_that_ends_its_thread_alone_is_named", deaf, ended::kills_a_thread),
        (
            "a_call_whose_signal_is_caught_is_named_with_log_and_else_it_is_said_why_not",
            deaf,
            ended::traps,
        ),
        (
            "what_a_filter_of_the_commands_own_kills_is_not_the_profiles",
            deaf,
            ended::kills_by_another,
        ),
        ("what_other_commands_are_killed_for_is_not_told", deaf, ended::kills_of_others),
        (
            "who_may_not_hear_what_was_killed_is_told_what_would_help",
            kernel.or(root),
            ended::deaf_nobody,
        ),
        ("where_nothing_can_be_heard_is_said_so", kernel.or(root), ended::deaf_namespaces),
        ("children_and_their_children_are_under_it_too", kernel, left::children),
        ("what_a_command_leaves_is_waited_for", kernel, left::left_is_waited_for),
        ("what_is_left_goes_on_being_answered", kernel, left::left_goes_on),
        ("nobody_hangs_when_the_one_who_answers_is_killed", kernel, left::killed),
        ("a_second_listener_is_no_reason_not_to_run", kernel, left::second_listener),
        ("calls_by_other_entries_are_named_by_them", kernel.or(x86), denied::other_entries),
        ("a_command_that_is_not_there_gives_127", kernel, start::missing),
        ("a_profile_that_does_not_let_it_begin_gives_126", kernel, start::not_begun),
        ("a_broken_profile_is_named", None, start::broken),
        ("a_command_may_not_gain_privileges_unless_it_is_said", kernel, start::privileges),
        ("what_it_builds_on_comes_from_files", kernel, start::bases),
        ("a_signal_reaches_the_command", kernel, keys::signal),
        ("a_key_reaches_the_command_once_and_does_not_end_us", kernel.or(script), keys::key),
    ];
    // Whoever waits here waits for a bug.
    std::thread::spawn(|| {
        std::thread::park_timeout(LIMIT);
        // The last test that was named is the one.
        std::process::abort();
    });
    let trials = tests.map(|(name, missing, test)| {
        let shown = missing.map_or_else(|| name.to_owned(), |why| format!("{name} ({why})"));
        Trial::test(shown, test).with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
