//! The observer: what a program does, seen by a listener that lets everything happen, and the least that lets it do that again.
//!
//! A program is run under [`watching`], a profile that leaves every call to a listener. [`record`] receives them, notes number, the arguments that matter,
//! paths, ports and capabilities that may be needed, and has the kernel go on. [`Observation`] makes a profile, a list of capabilities to be tried, and
//! accesses to files and ports of it.
//!
//! What is noted is what was seen: paths and addresses lie in the program's memory and may change between the look and the kernel's own. So the outcome is a draft for a
//! program that is trusted while it is observed. A program that has a listener of its own can't be observed: a process has one at most (`EBUSY`).

mod argument;
mod capability;
mod file;
mod path;
mod port;
mod profile;
mod program;
mod recorder;
mod seen;

pub use profile::watching;
pub use recorder::record;
pub use seen::{Access, Observation};
