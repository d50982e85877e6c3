//! What a container was seen doing: one form, whether programs in the kernel or lines of a log have told it. Pure.

pub use access::{Access, MountOperation, Ways};
pub use permission::Permission;

mod access;
mod permission;
