//! The device filter: the eBPF program and the writes of version 1 against plain models, and both on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "devices/any.rs"]
mod any;
#[path = "devices/legacy.rs"]
mod legacy;
#[path = "devices/live.rs"]
mod live;
#[path = "devices/program.rs"]
mod program;
#[path = "devices/simulation.rs"]
mod simulation;
#[path = "devices/skip.rs"]
mod skip;
#[path = "devices/unified.rs"]
mod unified;

/// Cases of a random test that needs no kernel's help: an eighth in an emulated machine, where all of them run ten times as long.
fn cases(count: u32) -> u32 {
    if std::env::var_os("LIBCONTAINER_EMULATED").is_some() { count / 8 } else { count }
}
