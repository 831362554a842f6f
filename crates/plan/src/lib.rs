#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod arena;
mod base;
mod board;
mod builder;
mod ended;
mod errno;
mod error;
mod explain;
mod fault;
mod flags;
mod ground;
mod host;
mod ids;
pub mod interpret;
mod launch;
mod listing;
mod namespace;
mod namespaces_refused;
pub mod order;
mod part;
mod passed;
mod plan;
mod probe;
mod rest;
mod seal;
mod shown;
mod slot;
mod stdio;
mod step;
mod syscalls;
mod terminal;
#[cfg(test)]
mod tests;
mod undo;
pub mod wire;

pub use base::Base;
pub use board::BoardFile;
pub use builder::{Builder, CapMasks, Hook, How, LISTENER, MountAttr, Resolve, SchedAttr, Seen};
pub use ended::{End, Ended, Usage, end_of_child, end_of_pidfd, wait_pidfd, wait_readable};
pub use errno::{named, remedy, text as errno_text, unnamed};
pub use error::{Cause, Lane, LaunchError, SealError, StepFailure};
pub use explain::{Explain, StepView};
pub use fault::Fault;
pub use host::{FdSource, HostContext, HostStep};
pub use ids::Pid;
pub use launch::{
    INIT_SIZE, Launch, Launched, Leftover, Stamp, StandBy, has_init_name, heed_children, inherited,
    init_image, join_session_keyring, landlock_abi, landlock_add_path, landlock_add_port,
    landlock_restrict_self, landlock_ruleset, memory_file, open_pidfd, parent_death_signal, pipe, prlimit,
    queue, reap_left, set_parent_death_signal, signal_pidfd,
};
pub use listing::names;
pub use namespace::{namespace_link, namespace_owner, open_namespace};
pub use plan::{Counts, Plan};
pub use probe::{Nested, Probe};
pub use rest::rest;
pub use slot::{At, Dir, File, FsContext, Kind, Mount, Ns, Place, Pty, Rules, Slot, SlotId, Sock};
pub use stdio::{OpenStdio, Stdio};
pub use step::{Label, Point};
pub use terminal::{resize_terminal, terminal_size};
pub use undo::Undo;
pub use wire::{KNOCK, MAX_ARENA, MAX_STEPS};
