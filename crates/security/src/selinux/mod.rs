//! SELinux: contexts, whether it is in force, labels of the thread, of files and whole trees, and labels for a new container.
//!
//! Labels are plain values. What sets those of a container's processes are the steps in [`crate::plan`]; new filesystems take theirs as the option
//! `context=`. Everything here talks to the kernel by `/proc`, `/sys/fs/selinux` and the attributes of files, without libselinux.

mod attribute;
mod context;
mod defaults;
mod error;
mod file;
mod labels;
mod level;
mod malformed;
mod protected;
mod relabel;
mod reserve;
mod standing;
mod thread;

pub use attribute::Attribute;
pub use context::Context;
pub use defaults::Defaults;
pub use error::{Off, SelinuxError};
pub use file::{file_label, set_file_label};
pub use labels::{Labels, dup_sec_opt, init_labels};
pub use level::{CATEGORIES, Categories, Level, Range};
pub use malformed::ContextError;
pub use protected::is_protected;
pub use relabel::Relabel;
pub use reserve::{Levels, Reservation};
pub use standing::{Standing, check};
pub use thread::{current, of_process, set_to_come, to_come};
