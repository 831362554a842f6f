//! A fresh network namespace for a test, and what `ip` says about it.
#![allow(dead_code, reason = "each test file uses some of it")]
use std::io::Write;
use std::process::Command;

use libcontainer_netlink::Netlink;
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
pub(crate) fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Runs a test on a thread that has a network namespace of its own.
pub(crate) fn in_namespace(name: &str, test: impl FnOnce(&mut Netlink) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        return skip(name, "needs root");
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        test(&mut Netlink::open().expect("a socket"));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` or `bridge` in the namespace of the calling thread.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().expect("a program")).args(words).output().expect(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The same, as JSON.
pub(crate) fn json(command: &str) -> Vec<Value> {
    let text = run(command);
    if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text).expect(command) }
}

/// The network namespace of the calling thread, and one more.
pub(crate) fn other_namespace() -> std::fs::File {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        std::fs::File::open("/proc/thread-self/ns/net").expect("the namespace")
    });
    thread.join().expect("the thread")
}
