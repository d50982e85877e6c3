//! What the programs tell of what real processes do, in the kernel at hand.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use libtest_mimic::{Arguments, Failed, Trial};
use recorder::kernel::{Recording, Watch};

use told::ACT;

#[cfg(target_arch = "x86_64")]
mod by_pointer;
mod files;
mod many;
mod others;
mod roots;
mod sockets;
mod told;

type Test = fn() -> Result<(), Failed>;
type Act = fn(&Path) -> io::Result<()>;

/// What a recorded process does in a folder of its own.
const ACTS: &[(&str, Act)] = &[
    ("reads", files::reads),
    ("writes", files::writes),
    ("changes_names", files::changes_names),
    ("renames_from_elsewhere", files::renames_from_elsewhere),
    ("changes_modes", files::changes_modes),
    ("goes_through_links", files::goes_through_links),
    ("is_relative", files::is_relative),
    ("makes_many", many::makes_many),
    ("makes_many_with_long_names", many::makes_many_with_long_names),
    ("nothing", |_| Ok(())),
    ("uses_capabilities", others::uses_capabilities),
    ("opens_sockets", others::opens_sockets),
    ("speaks_to_sockets", sockets::speaks_to_sockets),
    ("binds_sockets", sockets::binds_sockets),
    ("receives_a_file", sockets::receives_a_file),
    #[cfg(target_arch = "x86_64")]
    ("calls_by_pointer", by_pointer::calls_by_pointer),
    ("sends_signals", others::sends_signals),
    ("traces", others::traces),
    ("mounts", others::mounts),
    ("is_on_layers", roots::is_on_layers),
    ("changes_its_root", roots::changes_its_root),
    ("moves_its_root", roots::moves_its_root),
    ("goes_deep", roots::goes_deep),
];

fn main() -> ExitCode {
    let given: Vec<_> = env::args().collect();
    if let [_, flag, name, folder] = &*given
        && flag == ACT
    {
        let act = ACTS.iter().find(|(known, _)| known == name);
        let done = act.map_or(Ok(()), |(_, act)| act(Path::new(folder))).and_then(|()| {
            // Done, and still there until somebody has looked.
            writeln!(io::stdout(), "done")?;
            io::stdin().read_line(&mut String::new())
        });
        let done = done.map_err(|error| writeln!(io::stderr(), "{name}: {error}"));
        return if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let arguments = Arguments::from_args();
    // Whoever may not even make the maps is told so by name.
    let refused = Recording::start(Watch::default()).err().map(|error| error.to_string());
    let tests: &[(&str, Test)] = &[
        ("what_tells_of_what_is_said", others::what_tells_of_what_is_said),
        ("files_that_are_read_are_told", files::files_that_are_read_are_told),
        (
            "files_that_are_written_and_made_are_told",
            files::files_that_are_written_and_made_are_told,
        ),
        ("names_that_change_are_told", files::names_that_change_are_told),
        (
            "renamed_folders_are_folders_wherever_their_names_begin",
            files::renamed_folders_are_folders,
        ),
        ("changes_of_modes_are_writing", files::changes_of_modes_are_writing),
        ("what_links_lead_to_is_told", files::what_links_lead_to_is_told),
        ("names_are_relative_to_where_they_begin", files::names_are_relative),
        ("the_program_its_linker_and_its_libraries_are_told", files::programs_are_told),
        ("a_script_is_told_with_what_runs_it", files::a_script_is_told),
        ("capabilities_are_told", others::capabilities_are_told),
        ("sockets_are_told", others::sockets_are_told),
        ("unix_sockets_that_are_spoken_to_are_told", sockets::who_is_spoken_to_is_told),
        ("unix_sockets_that_are_bound_are_told", sockets::what_is_bound_is_told),
        ("a_received_file_is_told_where_hooks_tell", sockets::a_received_file_is_told),
        #[cfg(target_arch = "x86_64")]
        ("unix_sockets_of_calls_by_pointer_are_told", by_pointer::calls_by_pointer_are_told),
        ("signals_are_told", others::signals_are_told),
        ("what_is_traced_is_told", others::what_is_traced_is_told),
        ("mounts_are_told", others::mounts_are_told),
        ("files_on_layers_are_told_as_they_are_seen", roots::layers_are_told_as_they_are_seen),
        ("a_changed_root_is_below_that_of_all", roots::a_changed_root_is_below_that_of_all),
        ("a_moved_root_is_that_of_all", roots::a_moved_root_is_that_of_all),
        (
            "what_is_too_deep_is_counted_and_nothing_wrong_is_told",
            roots::what_is_too_deep_is_counted_and_nothing_wrong_is_told,
        ),
        ("many_files_are_told_or_counted", many::many_files_are_told_or_counted),
        ("what_others_do_is_not_told", files::what_others_do_is_not_told),
    ];
    let trials = tests.iter().map(|(name, test)| {
        let test = *test;
        let name = match &refused {
            None => (*name).to_owned(),
            Some(why) => format!("{name} ({why})"),
        };
        Trial::test(name, test).with_ignored_flag(refused.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
