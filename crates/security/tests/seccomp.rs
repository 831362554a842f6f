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
#[path = "seccomp/generate.rs"]
mod generate;
#[path = "seccomp/meaning.rs"]
mod meaning;
#[path = "seccomp/reference.rs"]
mod reference;

use libcontainer_security::seccomp::{Action, Arch, Data, Filter, Options, Outcome, Profile, compile, run};

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
