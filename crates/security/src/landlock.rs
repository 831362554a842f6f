//! Landlock: what a process may do to files, ports and other processes, decided by itself and for good: landlock(7).
//!
//! Everything that is handled and not allowed is denied. [`Landlock::fitted`] says what the running kernel can do of it, which becomes steps of a plan
//! ([`crate::plan::landlock_rules`], [`crate::plan::landlock_enforce`]) or holds for the calling thread ([`restrict_thread`]).

mod access;
mod rules;
mod thread;

pub use access::{PathAccess, Scope};
pub use rules::{Enforce, Lacking, Landlock, PathRule, Ruleset};
pub use thread::{abi, restrict_thread};
