//! Launching: walks the host lane, starts the init, meets it, and takes everything back if anything fails.

#[allow(unsafe_code, reason = "clone3 with a shared address space")]
mod clone;
mod control;
mod detached;
mod executed;
mod fail;
mod image;
mod left;
mod prepare;
mod queue;
#[allow(unsafe_code, reason = "calls that neither nix nor rustix wraps")]
pub(crate) mod raw;
mod request;
mod respawn;
mod run;
mod stand_by;
mod timeline;

pub use executed::has_init_name;
pub use image::{INIT_SIZE, init_image, memory_file};
pub use left::reap_left;
pub use queue::queue;
pub use raw::{
    heed_children, inherited, join_session_keyring, landlock_abi, landlock_add_path, landlock_add_port,
    landlock_restrict_self, landlock_ruleset, open_pidfd, parent_death_signal, pipe, prlimit,
    set_parent_death_signal, signal_pidfd,
};
pub use request::{Launch, Launched, Leftover};
pub use stand_by::StandBy;
pub use timeline::Stamp;
