//! The compiler of filters: its programs run by the interpreter, against a reading of the profile that knows no program.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic outside of its own function"
)]

#[path = "seccomp/bad_input.rs"]
mod bad_input;
#[path = "seccomp/default.rs"]
mod default;
#[path = "seccomp/docker.rs"]
mod docker;
#[path = "seccomp/explained.rs"]
mod explained;
#[path = "seccomp/generate.rs"]
mod generate;
#[path = "seccomp/meaning.rs"]
mod meaning;
#[path = "seccomp/reference.rs"]
mod reference;

use std::io::Write;

use libcontainer_security::seccomp::{Action, Arch, Data, Filter, Options, Outcome, Profile, compile, run};

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

const EPERM: Outcome = outcome(1);

const fn outcome(errno: u32) -> Outcome {
    Outcome::from_code(0x0005_0000 | errno)
}

/// Without ENOSYS for what the profile doesn't know, so that only the rules count.
fn plain(native: Arch) -> Options {
    Options { enosys: false, ..Options::new(native) }
}

fn compiled(profile: &Profile, native: Arch) -> Filter {
    compile(profile, &plain(native)).unwrap()
}

fn call(filter: &Filter, arch: Arch, name: &str, args: &[u64]) -> Outcome {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let number = arch.number(name).unwrap_or_else(|| panic!("{arch} {name}"));
    run(filter.instructions(), &Data::new(arch, number, all)).unwrap().outcome
}

fn deny() -> Profile {
    Profile::new(Action::Errno)
}
