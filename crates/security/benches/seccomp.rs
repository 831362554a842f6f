//! Compiling a profile, and what its program costs per call, side by side with libseccomp where that is installed.
//!
//! Executed instructions are counted by the interpreter, ours with the part for newer calls (ENOSYS), libseccomp's without the one that runc adds.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark ends by panicking and prints what it compares"
)]

#[path = "../tests/seccomp/libseccomp.rs"]
mod libseccomp;
#[path = "../tests/seccomp/reference.rs"]
#[allow(dead_code, reason = "shared with the tests of filters")]
mod reference;

use std::hint::black_box;
use std::path::PathBuf;

use criterion::Criterion;
use libcontainer_security::CapSet;
use libcontainer_security::seccomp::{
    Action, Arch, Data, DockerProfile, Instruction, Options, Profile, compile, default_profile, run,
};
use libseccomp::Library;

const DOCKER_CAPS: &str = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE";
const KERNEL: (u32, u32) = (6, 18);
const ARCHS: [Arch; 3] = [Arch::X86_64, Arch::X86, Arch::X32];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let profiles = profiles();
    for (name, profile) in &profiles {
        let options = Options::new(Arch::X86_64);
        criterion.bench_function(&format!("compile {name}"), |bencher| {
            bencher.iter(|| compile(black_box(profile), &options).unwrap());
        });
    }
    println!();
    for (name, profile) in &profiles {
        let options = Options::new(Arch::X86_64);
        println!(
            "compile {name}: {:.0} µs of processor time",
            processor_time(|| drop(black_box(compile(profile, &options))))
        );
    }
    let mut library = Library::start().map_err(|reason| println!("left out: libseccomp: {reason}")).ok();
    println!(
        "\n{:<44}{:>8}{:>10}{:>8}",
        "instructions per allowed call of x86_64", "length", "median", "worst"
    );
    for (name, profile) in &profiles {
        let ours = compile(profile, &Options::new(Arch::X86_64)).unwrap();
        row(&format!("{name}: ours"), profile, ours.instructions());
        for (kind, tree) in [("libseccomp's list", false), ("libseccomp's tree", true)] {
            if let Some(library) = &mut library {
                let theirs = library.filter(profile, &ARCHS, tree).unwrap();
                row(&format!("{name}: {kind}"), profile, &theirs);
            }
        }
    }
    criterion.final_summary();
}

/// Microseconds that one of many runs takes on a processor, whoever else uses the machine.
fn processor_time(work: impl Fn()) -> f64 {
    const RUNS: u32 = 500;
    let spent = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let before = spent();
    (0..RUNS).for_each(|_| work());
    (spent() - before) / f64::from(RUNS) / 1000.0
}

/// Ours, and those that `cargo xtask bench seccomp` fetches.
fn profiles() -> Vec<(String, Profile)> {
    let caps = CapSet::from_names(DOCKER_CAPS.split(' ')).unwrap();
    let mut all = vec![("default".to_owned(), default_profile(&caps, Arch::X86_64, KERNEL))];
    for name in ["docker", "podman"] {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .with_file_name("profiles")
            .join(format!("{name}.json"));
        match std::fs::read(&path) {
            Ok(text) => {
                let profile: DockerProfile = serde_json::from_slice(&text).unwrap();
                all.push((name.to_owned(), profile.resolve(&caps, Arch::X86_64, KERNEL).unwrap()));
            }
            Err(error) => println!("left out: {}: {error}", path.display()),
        }
    }
    all
}

/// Counts each call that is allowed; those with conditions with each argument that some rule names.
fn row(name: &str, profile: &Profile, program: &[Instruction]) {
    let mut counts: Vec<usize> = Vec::new();
    for (syscall, number) in Arch::X86_64.syscalls() {
        let rules = profile.syscalls.iter().filter(|rule| rule.names.iter().any(|other| other == syscall));
        let values = rules
            .flat_map(|rule| &rule.args)
            .flat_map(|arg| [arg.value, arg.value_two, arg.value.wrapping_sub(1)]);
        let verdicts = values.chain([0]).map(|value| {
            let data = Data::new(Arch::X86_64, number, [value, 0, 0, 0, 0, 0]);
            run(program, &data).unwrap()
        });
        let allowed = verdicts.filter(|verdict| verdict.outcome.action() == Action::Allow);
        counts.extend(allowed.map(|verdict| verdict.executed).max());
    }
    counts.sort_unstable();
    let (median, worst) = (counts[counts.len() / 2], counts[counts.len() - 1]);
    println!("{name:<44}{:>8}{median:>10}{worst:>8}", program.len());
}
