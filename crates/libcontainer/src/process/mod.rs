//! A process of a container: what it is to be, the handle of one that runs, how it ended.

mod children;
mod config;
mod exit;
mod handle;
mod memory;
mod terminal;

pub(crate) use children::reap_ended;
pub use config::ProcessConfig;
pub use exit::ExitStatus;
pub(crate) use handle::{End, Reaper};
pub use handle::{Output, Process};
pub use libcontainer_plan::{Stdio, Usage};
pub(crate) use memory::OutOfMemory;
pub use terminal::Terminal;
