//! What SELinux has rules for. Pure.

use serde::{Deserialize, Serialize};

/// A permission that was asked for, and that the policy does not give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permission {
    /// The context of who asked, `USER:ROLE:TYPE[:LEVEL]`, and of what was asked for.
    pub scontext: String,
    pub tcontext: String,
    /// The class of what was asked for, such as `file` or `tcp_socket`.
    pub tclass: String,
    /// One permission of that class, such as `read`.
    pub permission: String,
}

impl Permission {
    /// The same, of contexts without their level, which is another one in each container.
    #[must_use]
    pub fn without_levels(self) -> Self {
        Self {
            scontext: without_level(&self.scontext),
            tcontext: without_level(&self.tcontext),
            ..self
        }
    }

    /// The type of who asked.
    pub fn source_type(&self) -> &str {
        type_of(&self.scontext)
    }

    /// The type of what was asked for.
    pub fn target_type(&self) -> &str {
        type_of(&self.tcontext)
    }
}

fn without_level(context: &str) -> String {
    context.splitn(4, ':').take(3).collect::<Vec<_>>().join(":")
}

/// The type in a context; the context itself when it is none.
fn type_of(context: &str) -> &str {
    context.split(':').nth(2).unwrap_or(context)
}
