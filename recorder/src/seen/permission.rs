//! What SELinux has rules for. Pure.

/// A permission that was asked for, and that the policy does not give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// The context of who asked, `USER:ROLE:TYPE[:LEVEL]`, and of what was asked for.
    pub scontext: String,
    pub tcontext: String,
    /// The class of what was asked for, such as `file` or `tcp_socket`.
    pub tclass: String,
    /// One permission of that class, such as `read`.
    pub permission: String,
}
