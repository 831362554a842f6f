//! Filters before the running kernel: what it makes of them is what the interpreter says.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic outside of its own function"
)]

#[path = "seccomp/generate.rs"]
#[allow(dead_code, reason = "shared with the other tests of filters")]
mod generate;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use generate::{arg, edges, word};
use libcontainer_security::seccomp::{
    Action, Arch, CompileError, Data, Filter, Options, Outcome, Profile, Rule, compile, run,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Calls that do no harm, whatever their arguments: none that takes a descriptor, as standard error is shared with all tests.
const HARMLESS: [&str; 8] = [
    "getpgid",
    "getsid",
    "getpriority",
    "sched_getscheduler",
    "umask",
    "sched_get_priority_min",
    "sched_get_priority_max",
    "getuid",
];
/// No call of the kernel fails with such errors.
const OURS: u32 = 2000;
const DIED: i64 = 1 << 32;

/// A program whose children load filters and make calls.
struct Kernel {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Copy, Debug)]
struct Call {
    /// By `int 0x80`.
    old: bool,
    arch: Arch,
    number: u32,
    args: [u64; 6],
}

impl Kernel {
    fn start(name: &str) -> Result<Self, String> {
        let program =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/seccomp/kernel.c");
        let built = Command::new("cc").args(["-O1", "-w", "-o"]).arg(&program).arg(source).status();
        if !built.map_err(|error| format!("cc: {error}"))?.success() {
            return Err("cc can't build the program that loads filters".to_owned());
        }
        let started = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| error.to_string())?;
        std::fs::remove_file(program).map_err(|error| error.to_string())?;
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Ok(Self { child, input, output })
    }

    fn ask(&mut self, filter: &Filter, calls: &[Call]) -> Vec<i64> {
        let mut bytes = format!("{} {}\n", filter.instructions().len(), calls.len()).into_bytes();
        bytes.extend(filter.bytes());
        for call in calls {
            for word in [u64::from(call.old), u64::from(call.number)].iter().chain(&call.args) {
                bytes.extend(word.to_ne_bytes());
            }
        }
        self.input.write_all(&bytes).unwrap();
        let mut values = vec![0; 8 * calls.len()];
        self.output.read_exact(&mut values).expect("the kernel takes the filter");
        values.chunks_exact(8).map(|bytes| i64::from_ne_bytes(bytes.try_into().unwrap())).collect()
    }
}

fn profile() -> impl Strategy<Value = Profile> {
    let names = prop::sample::subsequence(&HARMLESS[..], 1..4);
    let rule = (names, OURS..=4095, prop::collection::vec(arg(), 0..3)).prop_map(|(names, errno, args)| {
        Rule { args, errno_ret: Some(errno), ..Rule::new(&names, Action::Errno) }
    });
    prop::collection::vec(rule, 1..6).prop_map(|syscalls| {
        let architectures = vec![Arch::X86, Arch::X32];
        Profile { architectures, syscalls, ..Profile::new(Action::Allow) }
    })
}

fn calls(profile: &Profile, seed: &[u64; 6], round: usize) -> Vec<Call> {
    let mut all = Vec::new();
    for (place, name) in HARMLESS.iter().enumerate() {
        let args = edges(profile, seed, round + place);
        for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
            let number = arch.number(name).unwrap();
            let old = arch == Arch::X86;
            // What int 0x80 passes, but for the sixth, which is not ours to set.
            let args = if old { args.map(|arg| arg & 0xffff_ffff) } else { args };
            all.push(Call { old, arch, number, args });
        }
    }
    all
}

/// What the interpreter says of a call whose sixth argument is known.
fn said(filter: &Filter, call: &Call) -> Outcome {
    run(filter.instructions(), &Data::new(call.arch, call.number, call.args)).unwrap().outcome
}

#[test]
fn the_kernel_says_what_the_interpreter_says() {
    let name = "the_kernel_says_what_the_interpreter_says";
    if Arch::native() != Some(Arch::X86_64) {
        return skip(name, "makes calls of x86_64, x32 and x86");
    }
    let mut kernel = match Kernel::start("kernel") {
        Ok(kernel) => kernel,
        Err(reason) => return skip(name, &reason),
    };
    let mut runner = TestRunner::deterministic();
    let (mut by_filter, mut all) = (0, 0);
    for round in 0..300 {
        let profile = profile().new_tree(&mut runner).unwrap().current();
        let filter = match compile(&profile, &Options::new(Arch::X86_64)) {
            Ok(filter) => filter,
            Err(CompileError::Conflict { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let seed = prop::array::uniform6(word()).new_tree(&mut runner).unwrap().current();
        let calls = calls(&profile, &seed, round);
        let sixth = profile.syscalls.iter().flat_map(|rule| &rule.args).any(|arg| arg.index == 5);
        for (call, value) in
            calls.iter().zip(kernel.ask(&filter, &calls)).filter(|(call, _)| !(call.old && sixth))
        {
            let outcome = said(&filter, call);
            let errno = i64::from(outcome.data());
            let wanted = outcome.action() == Action::Errno;
            assert_eq!(wanted, value < -i64::from(OURS) + 1, "{call:x?} {outcome} but {value}: {profile:#?}");
            assert!(!wanted || value == -errno, "{call:x?}: {outcome} but {value}");
            by_filter += usize::from(wanted);
            all += 1;
        }
    }
    assert!(all > 5000 && by_filter > 500 && by_filter < all - 500, "{by_filter} of {all}");
}

#[test]
fn other_architectures_and_deadly_rules_end_the_process() {
    let name = "other_architectures_and_deadly_rules_end_the_process";
    if Arch::native() != Some(Arch::X86_64) {
        return skip(name, "makes calls of x86_64, x32 and x86");
    }
    let mut kernel = match Kernel::start("deadly") {
        Ok(kernel) => kernel,
        Err(reason) => return skip(name, &reason),
    };
    let mut profile = Profile::new(Action::Allow);
    profile.syscalls.push(Rule::new(&["getsid"], Action::KillProcess));
    profile.syscalls.push(Rule::new(&["getpgid"], Action::Trap));
    let filter = compile(&profile, &Options::new(Arch::X86_64)).unwrap();
    for (arch, name, dies) in [
        (Arch::X86_64, "umask", false),
        (Arch::X86_64, "getsid", true),
        (Arch::X86_64, "getpgid", true),
        (Arch::X86, "umask", true),
        (Arch::X32, "umask", true),
    ] {
        let call = Call { old: arch == Arch::X86, arch, number: arch.number(name).unwrap(), args: [0; 6] };
        assert_eq!(
            kernel.ask(&filter, &[call]),
            if dies { [DIED] } else { [kernel_umask()] },
            "{arch} {name}"
        );
    }
}

/// The umask that the children have from this process.
fn kernel_umask() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    i64::from_str_radix(line.trim(), 8).unwrap()
}
