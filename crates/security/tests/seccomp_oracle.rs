//! The compiler against libseccomp, where that is installed: it is never linked, and the project does without it.
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
#[path = "seccomp/libseccomp.rs"]
mod libseccomp;
#[path = "seccomp/reference.rs"]
#[allow(dead_code, reason = "shared with the other tests of filters")]
mod reference;

use std::io::Write;

use generate::{NAMES, edges, profile, word};
use libcontainer_security::CapSet;
use libcontainer_security::seccomp::{
    Arch, CompileError, Data, Instruction, Options, Profile, compile, default_profile, run, survey,
};
use libseccomp::Library;
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

/// Architectures that can share a filter, as libseccomp wants one order of bytes.
const FAMILIES: [&[Arch]; 6] = [
    &[Arch::X86_64, Arch::X86, Arch::X32],
    &[Arch::X86_64],
    &[Arch::Aarch64, Arch::Arm, Arch::Riscv64],
    &[Arch::S390X, Arch::S390],
    &[Arch::Mips64, Arch::Mips, Arch::Mips64N32, Arch::Ppc, Arch::Ppc64],
    &[Arch::Mipsel64, Arch::Mipsel, Arch::Mipsel64N32, Arch::Ppc64Le],
];

/// What was compared, and how often libseccomp's tree is known to go its own way.
#[derive(Debug, Default)]
struct Tally {
    compared: usize,
    /// Rules with different actions hold: here the first decides, there an order of its own.
    ambiguous: usize,
    /// Several rules with conditions for one call: libseccomp puts them into one tree, where comparisons get lost.
    lost: usize,
    /// Both refuse the profile.
    conflicts: usize,
    /// Rules for overlapping arguments that only libseccomp refuses, or the same ones written in two ways, which only we do.
    refused_by_one: usize,
}

#[test]
fn random_profiles_mean_what_libseccomp_makes_of_them() {
    let mut library = match Library::start() {
        Ok(library) => library,
        Err(reason) => return skip("random_profiles_mean_what_libseccomp_makes_of_them", &reason),
    };
    let mut runner = TestRunner::deterministic();
    let mut tally = Tally::default();
    for round in 0..480_usize {
        let family = FAMILIES[round % FAMILIES.len()];
        let mut profile = profile(8).new_tree(&mut runner).unwrap().current();
        profile.architectures = family.to_vec();
        let options = Options { enosys: false, ..Options::new(family[0]) };
        let theirs = library.filter(&profile, family, round % 4 < 2);
        let (ours, theirs) = match (compile(&profile, &options), theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(CompileError::Conflict { .. }), Err(EEXIST)) => {
                tally.conflicts += 1;
                continue;
            }
            (Err(CompileError::Conflict { .. }), Ok(_)) | (Ok(_), Err(EEXIST)) => {
                tally.refused_by_one += 1;
                continue;
            }
            other => panic!("{other:?}: {profile:#?}"),
        };
        for _ in 0..3 {
            let seed = prop::array::uniform6(word()).new_tree(&mut runner).unwrap().current();
            calls(&profile, family, &seed, round, &mut |call| {
                tally.compare(&profile, (ours.instructions(), &theirs), call);
            });
        }
    }
    println!("{tally:?}");
    assert!(tally.compared >= 100_000, "{tally:?}");
    assert!(tally.lost < tally.compared / 1000 && tally.refused_by_one < 20, "{tally:?}");
}

const EEXIST: i32 = -17;

/// What both can do with each call is the same for the profile that most containers have.
#[test]
fn the_default_profile_is_the_same_by_libseccomp() {
    let mut library = match Library::start() {
        Ok(library) => library,
        Err(reason) => return skip("the_default_profile_is_the_same_by_libseccomp", &reason),
    };
    let profile = default_profile(&CapSet::from_bits(0xa804_25fb), Arch::X86_64, (6, 1));
    let options = Options { enosys: false, ..Options::new(Arch::X86_64) };
    let ours = survey(compile(&profile, &options).unwrap().instructions()).unwrap();
    for tree in [false, true] {
        let theirs = library.filter(&profile, FAMILIES[0], tree).unwrap();
        for line in ours.difference(&survey(&theirs).unwrap()) {
            // Newer than Debian's libseccomp.
            let newer = line.ends_with("is allowed -> fails with EPERM")
                || line.ends_with("fails with ENOSYS -> fails with EPERM");
            let names = line.split(": ").nth(1).unwrap();
            let unknown = names.split(' ').all(|name| SINCE_2_5_4.split(' ').any(|other| other == name));
            assert!(newer && unknown, "{line}");
        }
    }
}

/// Starts at the same time do not take each other's program away.
#[test]
fn several_are_started_at_once() {
    let starts: Vec<_> = (0..4).map(|_| std::thread::spawn(Library::start)).collect();
    for start in starts {
        if let Err(reason) = start.join().unwrap() {
            return skip("several_are_started_at_once", &reason);
        }
    }
}

const SINCE_2_5_4: &str = "cachestat fchmodat2 futex_requeue futex_wait futex_wake getxattrat listmount listxattrat map_shadow_stack mseal \
    removexattrat riscv_hwprobe setxattrat statmount uretprobe";

struct Call {
    arch: Arch,
    number: u32,
    args: [u64; 6],
}

fn calls(profile: &Profile, family: &[Arch], seed: &[u64; 6], round: usize, then: &mut dyn FnMut(&Call)) {
    // One that the filter has no rules for, beside its own.
    for arch in family.iter().copied().chain([Arch::X32, Arch::Parisc]) {
        for (place, name) in NAMES.iter().enumerate() {
            let args = edges(profile, seed, round + place);
            let number = arch.number(name).unwrap_or(0);
            then(&Call { arch, number, args });
        }
        for number in [500, 600, 0x4000_0200, u32::MAX] {
            then(&Call { arch, number, args: *seed });
        }
    }
}

impl Tally {
    fn compare(&mut self, profile: &Profile, (ours, theirs): (&[Instruction], &[Instruction]), call: &Call) {
        let name = call.arch.syscall(call.number).unwrap_or("");
        let (holding, whole) = reference::holding(profile, call.arch, name, &call.args);
        if whole.is_none() && holding.windows(2).any(|pair| pair[0] != pair[1]) {
            self.ambiguous += 1;
            return;
        }
        let data = Data::new(call.arch, call.number, call.args);
        let (ours, theirs) = (run(ours, &data).unwrap(), run(theirs, &data).unwrap());
        self.compared += 1;
        if ours.outcome == theirs.outcome {
            return;
        }
        let wanted = whole.or(holding.first().copied()).unwrap_or(profile.default_outcome());
        assert_eq!(ours.outcome, wanted, "{} {name} {:x?} {profile:#?}", call.arch, call.args);
        let alternatives = reference::alternatives(profile, name);
        assert!(
            alternatives > 1,
            "{} {name} {:x?}: libseccomp's {}: {profile:#?}",
            call.arch,
            call.args,
            theirs.outcome
        );
        self.lost += 1;
    }
}
