//! The host's devices while the kernel answers with errors: strace makes one kind of call fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test ends by panicking"
)]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use libcontainer_mount::host_devices;

const INNER: &str = "LIBCONTAINER_LISTING";

fn skip(reason: &str) {
    let line = format!("a_failing_call_is_an_error_or_nothing: {reason}\n");
    eprint!("SKIP: {line}");
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap();
    }
}

#[test]
fn a_failing_call_is_an_error_or_nothing() {
    if std::env::var_os(INNER).is_some() {
        match host_devices() {
            Ok(found) => println!("found {}", found.len()),
            Err(error) => println!("error {error}"),
        }
        return;
    }
    if !Path::new("/usr/bin/strace").exists() {
        return skip("strace is not installed");
    }
    let all = host_devices().unwrap().len();
    for (call, errno, wanted) in [
        ("close", "EIO", format!("found {all}\n")),
        ("close", "EBADF", format!("found {all}\n")),
        ("getdents64", "EIO", "error /dev: Input/output error (os error 5)\n".to_owned()),
        ("statx,newfstatat", "EACCES", "Permission denied (os error 13)\n".to_owned()),
    ] {
        let mut command = Command::new("strace");
        let inject = format!("inject={call}:error={errno}");
        // Only what concerns these two fails.
        command.args(["-f", "-o", "/dev/null", "-e", &inject, "-P", "/dev", "-P", "/dev/null"]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "a_failing_call_is_an_error_or_nothing", "--nocapture"]).env(INNER, "1");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(&wanted), "{call} {errno}: {output:?}");
    }
}
