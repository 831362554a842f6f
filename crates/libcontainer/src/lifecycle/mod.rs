//! What happens to a container, as functions over data: config → setup → plan → launched → recorded, and back. They know neither the
//! factory nor the handle, which wrap what these return.

mod again;
mod condition;
mod create;
mod descriptors;
mod destroy;
mod draft;
mod host;
mod inside;
mod join;
mod readback;
mod recover;
mod release;

pub(crate) use condition::condition;
pub(crate) use create::{Made, create, explain};
pub(crate) use destroy::destroy;
pub(crate) use host::Host;
pub(crate) use inside::in_pid_namespace;
pub(crate) use join::{explain as explain_join, join};
pub use readback::Expected;
pub(crate) use release::release;
