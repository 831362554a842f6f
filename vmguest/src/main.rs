//! The first process of a test machine.
//!
//! As pid 1 it makes a machine of a bare kernel: modules, disks, a root that can be pivoted away, the cgroup layout that the kernel's command line asks
//! for. Then it runs the test binaries one by one, or becomes systemd, which starts it again as a unit to do so. One line of JSON per
//! binary goes to the second serial line; the machine ends through a port of QEMU's.
//!
//! * `vmguest` as pid 1: all of this
//! * `vmguest run`: runs the binaries, in a machine that somebody else has set up
//! * `vmguest reap PROGRAM [ARG...]`: the parent of one binary and of its orphans
#![deny(unsafe_code)]
#![allow(clippy::print_stderr, reason = "the console is how a machine without any other user speaks")]

mod boot;
mod cgroups;
mod mounting;
#[allow(unsafe_code, reason = "one instruction and the call that allows it")]
mod port;
mod reap;
mod run;
mod selinux;
mod systemd;

use std::ffi::OsString;
use std::process::ExitCode;

/// Status of a machine that ran everything, whatever the tests said: 33 as QEMU gives it.
const DONE: u8 = 0x10;
/// Status of a machine that could not be set up: 35.
const BROKEN: u8 = 0x11;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    if command == "reap" {
        return reap::reap(&rest);
    }
    let first = std::process::id() == 1;
    if !first && command != "run" {
        eprintln!("vmguest: this is the first process of a test machine; see docs/vm-tests.md");
        return ExitCode::from(2);
    }
    let result = if first { boot::boot() } else { run::run() };
    if let Err(error) = &result {
        eprintln!("vmguest: {error:#}");
    }
    nix::unistd::sync();
    port::end(if result.is_ok() { DONE } else { BROKEN });
    // ORDER: pid 1 that returns makes the kernel panic, and a panic ends QEMU too.
    ExitCode::FAILURE
}
