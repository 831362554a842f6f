//! What compiling a filter takes of the allocator: a command line compiles one in each start, and pays for each page that it touches first.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../cgroups/tests/counting/mod.rs"]
mod counting;

use counting::used;
use libcontainer_security::CapSet;
use libcontainer_security::seccomp::{Arch, Options, compile, default_filter, default_profile};

/// Docker's capabilities.
const CAPS: u64 = 0xa804_25fb;
const KERNEL: (u32, u32) = (6, 18);

#[test]
fn the_default_filter_keeps_within_its_budget() {
    let options = Options::new(Arch::X86_64);
    let (calls, most) = used(|| default_filter(&CapSet::from_bits(CAPS), KERNEL, &options).unwrap());
    assert!(calls <= 230 && most <= 60_000, "{calls} allocations, {most} bytes at once");
}

#[test]
fn a_profile_with_the_same_rules_keeps_within_its_budget() {
    let (options, profile) =
        (Options::new(Arch::X86_64), default_profile(&CapSet::from_bits(CAPS), Arch::X86_64, KERNEL));
    let (calls, most) = used(|| compile(&profile, &options).unwrap());
    assert!(calls <= 230 && most <= 60_000, "{calls} allocations, {most} bytes at once");
}
