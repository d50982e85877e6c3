//! Starts the programs that the built-in profiles are for, each under its profile as a node has it, by real runtimes.

use std::{
    fmt,
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Result;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tests::bundle::{
    Bundle,
    Runtime::{self, Crun, Runc},
    files::Files,
};
use tokio::{
    runtime::{Handle, Runtime as Tokio},
    time::timeout,
};

use serde_json::Value;

use crate::{node::Node, recorded::Recorders};

#[path = "builtin/bases.rs"]
mod bases;
#[path = "builtin/batch_job.rs"]
mod batch_job;
#[path = "builtin/cache.rs"]
mod cache;
#[path = "builtin/database.rs"]
mod database;
#[path = "builtin/denied.rs"]
mod denied;
#[path = "builtin/elf.rs"]
mod elf;
#[path = "builtin/languages.rs"]
mod languages;
#[path = "builtin/node.rs"]
mod node;
#[path = "builtin/own.rs"]
mod own;
#[path = "builtin/recorded.rs"]
mod recorded;
#[path = "builtin/replicas.rs"]
mod replicas;
#[path = "builtin/table.rs"]
mod table;
#[path = "builtin/web_server.rs"]
mod web_server;

const LIMIT: Duration = Duration::from_mins(3);

/// How a container is started. Without the flag, the filter is on before the runtime gives up its own privileges.
#[derive(Clone, Copy, Debug)]
struct Way {
    runtime: Runtime,
    no_new_privileges: bool,
}

const WAYS: &[Way] = &[
    Way { runtime: Runc, no_new_privileges: true },
    Way { runtime: Runc, no_new_privileges: false },
    Way { runtime: Crun, no_new_privileges: true },
    Way { runtime: Crun, no_new_privileges: false },
];

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.runtime {
            Runc => "runc",
            Crun => "crun",
        })?;
        f.write_str(if self.no_new_privileges { "_without_new_privileges" } else { "" })
    }
}

/// What a question that needs a container is asked with.
struct Ground<'a> {
    files: &'a Files,
    node: &'a Node,
    way: Way,
    filter: Filter<'a>,
}

/// Where the filter of a container comes from.
enum Filter<'a> {
    /// The node has it.
    Node,
    /// There is none: the container is recorded.
    Recording(&'a Recorders),
    /// It was recorded.
    Recorded(&'a Value),
}

impl Ground<'_> {
    /// A container under a profile as the node has it, or else recorded or under what was recorded.
    fn under(&self, profile: &str) -> Result<Bundle> {
        let filter = match self.filter {
            Filter::Node => Some(self.node.filter(profile)?),
            Filter::Recording(_) => None,
            Filter::Recorded(filter) => Some(filter.clone()),
        };
        let bundle = Bundle::new(self.files, self.way.runtime, filter)?;
        if let Filter::Recording(recorders) = self.filter {
            recorders.begin(bundle.id())?;
        }
        Ok(bundle.no_new_privileges(self.way.no_new_privileges))
    }
}

/// A question by name, and how it is answered.
#[derive(Clone, Copy)]
struct Question {
    name: &'static str,
    ask: Ask,
}

#[derive(Clone, Copy)]
enum Ask {
    /// In a container, each way.
    Container(for<'a> fn(&'a Ground<'a>) -> LocalBoxFuture<'a, Result<()>>),
    /// Of the files alone.
    Node(fn(&Node) -> Result<()>),
}

/// Lists the questions of a module.
macro_rules! questions {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const QUESTIONS: &[crate::Question] = &[$(crate::Question {
            name: concat!(module_path!(), "::", stringify!($name)),
            ask: crate::Ask::Container(|ground| Box::pin($name(ground))),
        }),+];
    };
}
pub(crate) use questions;

const ALL: &[&[Question]] = &[
    table::QUESTIONS,
    bases::QUESTIONS,
    denied::QUESTIONS,
    web_server::QUESTIONS,
    database::QUESTIONS,
    cache::QUESTIONS,
    batch_job::QUESTIONS,
    languages::QUESTIONS,
    own::QUESTIONS,
];

/// The node that all questions look at, made when the first one does.
type Lazy = OnceLock<Result<Node, String>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Tokio::new().expect("a runtime can be made");
    let lazy = Arc::new(Lazy::new());
    let mut trials = Vec::new();
    for question in ALL.iter().copied().flatten() {
        let name = question.name.trim_start_matches("builtin::");
        let lazy = || Arc::clone(&lazy);
        match question.ask {
            Ask::Node(ask) => {
                let lazy = lazy();
                trials.push(Trial::test(name, move || {
                    ask(node(&lazy)?).map_err(|error| failed(&error))
                }));
            }
            Ask::Container(ask) => trials.extend(WAYS.iter().map(|way| {
                let (way, lazy, handle) = (*way, lazy(), runtime.handle().clone());
                Trial::ignorable_test(format!("{name}::{way}"), move || {
                    in_a_container(ask, way, &lazy, &handle)
                })
            })),
        }
    }
    trials.extend(recorded::trials(&lazy, runtime.handle()));
    trials.push(replicas::trial(runtime.handle()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn in_a_container(
    ask: for<'a> fn(&'a Ground<'a>) -> LocalBoxFuture<'a, Result<()>>,
    way: Way,
    lazy: &Lazy,
    handle: &Handle,
) -> Result<Completion, Failed> {
    let files = match Files::find() {
        Ok(files) => files,
        Err(missing) => return Ok(Completion::ignored_with(missing)),
    };
    let ground = Ground { files: &files, node: node(lazy)?, way, filter: Filter::Node };
    let answer = handle.block_on(async { timeout(LIMIT, ask(&ground)).await? });
    answer.map(|()| Completion::Completed).map_err(|error| failed(&error))
}

fn node(lazy: &Lazy) -> Result<&Node, Failed> {
    lazy.get_or_init(|| Node::install().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(Failed::from)
}

fn failed(error: &anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}
