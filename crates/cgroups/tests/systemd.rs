//! The systemd driver: the wire, names and properties, a manager of straw, and a real bus daemon.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "systemd/addresses.rs"]
mod addresses;
#[path = "systemd/annotations.rs"]
mod annotations;
#[path = "systemd/daemon.rs"]
mod daemon;
#[path = "systemd/jobs.rs"]
mod jobs;
#[path = "systemd/messages.rs"]
mod messages;
#[path = "systemd/names.rs"]
mod names;
#[path = "systemd/properties.rs"]
mod properties;
#[path = "devices/skip.rs"]
mod skip;
#[path = "systemd/straw.rs"]
mod straw;
