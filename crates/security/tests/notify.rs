//! The listener of a filter, with threads of this process as its callers.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic outside of its own function"
)]

#[path = "notify/agent.rs"]
mod agent;
#[path = "notify/give.rs"]
mod give;

use std::io::Write;
use std::process::Command;

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

#[test]
fn the_example_answers_for_the_kernel() {
    let program = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples/notify");
    if !program.exists() {
        return skip("the_example_answers_for_the_kernel", "the example is not built");
    }
    let path = std::env::temp_dir().join(format!("notify-example-{}", std::process::id()));
    let output = Command::new(program).arg("mkdir").arg(&path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("{path:?} by ")) && text.ends_with("exit status: 1\n"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Operation not permitted"));
    assert!(!path.exists());
}
