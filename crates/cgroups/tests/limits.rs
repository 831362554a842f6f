//! Limits: what is planned, what is written, what is taken back, and what a program meets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "limits/frozen.rs"]
mod frozen;
#[path = "group/ground.rs"]
mod ground;
#[path = "limits/holding.rs"]
mod holding;
#[path = "limits/planning.rs"]
mod planning;
#[path = "limits/rates.rs"]
mod rates;
#[path = "limits/rolling_back.rs"]
mod rolling_back;
