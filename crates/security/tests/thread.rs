//! The own thread, for real: each test makes threads of its own, changes them, and looks at them through the kernel's eyes.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic outside of its own function"
)]

#[path = "thread/capabilities.rs"]
mod capabilities;
#[path = "thread/credentials.rs"]
mod credentials;
#[path = "thread/example.rs"]
mod example;
#[path = "thread/file_capability.rs"]
mod file_capability;
#[path = "thread/process.rs"]
mod process;

use std::io::Write;

use libcontainer_security::{CapSet, Status, thread};

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Whether this thread may do what the test does; says so if not.
fn able(name: &str) -> bool {
    let needed = CapSet::from_names(["SETPCAP", "SETUID", "SETGID", "CHOWN", "KILL"]).unwrap();
    let root = thread::user_ids().unwrap().effective == 0;
    let able = root && needed.without(thread::capabilities().unwrap().effective).is_empty();
    if !able {
        skip(name, "needs root and the capability SETPCAP");
    }
    able
}

/// Runs `change` on a thread of its own, and checks that the calling thread is what it was.
fn alone<T: Send>(change: impl FnOnce() -> T + Send) -> T {
    let before = whole();
    let result = std::thread::scope(|scope| scope.spawn(change).join());
    assert_eq!(whole(), before, "the other thread changed this one");
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// All that this thread has for itself.
fn whole() -> (Status, u32, bool, Option<u32>) {
    let bits = thread::secure_bits().unwrap().bits();
    let keeps = thread::keeps_capabilities().unwrap();
    (thread::status().unwrap(), bits, keeps, thread::parent_death_signal().unwrap())
}

/// What a program is that this thread runs.
fn status_of_program() -> Status {
    let output = std::process::Command::new("cat").arg("/proc/self/status").output().unwrap();
    Status::parse(&output.stdout).unwrap()
}

fn set(names: &[&str]) -> CapSet {
    CapSet::from_names(names.iter().copied()).unwrap()
}
