//! What people call a container.

use serde::Serialize;

use crate::cgroup::Container;

/// The names of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Name {
    pub namespace: String,
    pub pod: String,
    pub container: String,
}

/// Knows names, from memory: whoever asks must not wait.
pub trait Names: Send + Sync {
    /// The names of a container; none as long as they are not known.
    fn of(&self, container: &Container) -> Option<Name>;
}

/// Knows none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nameless;

impl Names for Nameless {
    fn of(&self, _container: &Container) -> Option<Name> {
        None
    }
}
