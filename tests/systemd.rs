//! Containers in scopes of systemd: against a manager of straw everywhere, against the real one where it runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

#[path = "systemd/live.rs"]
mod live;
#[path = "systemd/scripted.rs"]
mod scripted;
#[path = "systemd/straw.rs"]
mod straw;
#[path = "systemd/user.rs"]
mod user;
