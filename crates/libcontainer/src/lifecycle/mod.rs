//! What happens to a container, as functions over data: config → setup → plan → launched → recorded, and back. They know neither the
//! factory nor the handle, which wrap what these return.

mod again;
mod condition;
mod create;
mod descriptors;
mod destroy;
mod draft;
mod elf;
mod hooked;
mod hooks;
mod host;
mod inside;
mod join;
mod listen;
mod looked;
mod mounted;
mod poststart;
mod prepared;
mod program;
mod readback;
mod recover;
mod relabel;
mod release;
mod streams;
mod sweep;
mod under;
mod unexecuted;
mod warm;

pub(crate) use condition::condition;
pub(crate) use create::{Made, create, explain, explain_prepared};
pub(crate) use destroy::{destroy, kill_first};
pub(crate) use host::Host;
pub(crate) use inside::in_pid_namespace;
pub(crate) use join::{Joined, explain as explain_join, join};
pub use mounted::MountEntry;
pub(crate) use mounted::{check as check_mount, mount, mounts_of, unmount};
pub(crate) use prepared::{Changes, Own, Prepared};
pub use readback::Expected;
pub(crate) use release::release;
pub(crate) use sweep::sweep;
pub(crate) use warm::{Warm, warm};
