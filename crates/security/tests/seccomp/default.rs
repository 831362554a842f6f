//! Our default profile, beside Docker's and podman's where `cargo xtask test` has fetched them.

use std::path::PathBuf;

use libcontainer_security::CapSet;
use libcontainer_security::seccomp::{
    Action, Arch, DockerProfile, Explanation, Options, Outcome, Profile, compile, default_filter,
    default_profile, explain,
};

use super::{EPERM, call, outcome, plain, skip};

const KERNEL: (u32, u32) = (6, 1);

/// What Docker gives a container.
fn docker_caps() -> CapSet {
    let names = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE";
    CapSet::from_names(names.split(' ')).unwrap()
}

fn ours(caps: &CapSet, arch: Arch) -> Profile {
    default_profile(caps, arch, KERNEL)
}

/// A profile that was fetched; none is told.
fn fetched(test: &str, name: &str) -> Option<DockerProfile> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("profiles").join(name);
    match std::fs::read(&path) {
        Ok(text) => Some(serde_json::from_slice(&text).unwrap()),
        Err(error) => {
            skip(test, &format!("target/profiles/{name}: {error}"));
            None
        }
    }
}

fn explained(profile: &Profile, arch: Arch) -> Explanation {
    // What is newer than the profile depends on its newest name.
    explain(profile, &plain(arch)).unwrap()
}

/// Since the version that Debian has, Docker allows these, and no families that lead to removed or rarely watched code.
const NEWER: &str =
    "getxattrat listmount listxattrat mseal removexattrat riscv_hwprobe setxattrat statmount uretprobe";
const NEWER_FOR_ADMINS: &str = "lsm_get_self_attr lsm_list_modules lsm_set_self_attr";

#[test]
fn it_is_dockers() {
    let Some(docker) = fetched("it_is_dockers", "docker.json") else { return };
    for arch in [Arch::X86_64, Arch::Aarch64, Arch::S390X, Arch::Ppc64Le, Arch::Riscv64, Arch::Mips64] {
        // One more capability each, on one architecture.
        let last = if arch == Arch::X86_64 { 40 } else { 0 };
        for bits in [None, Some(21)].into_iter().chain((0..=last).map(Some)) {
            let extra = bits.map_or(CapSet::EMPTY, |bit| CapSet::from_bits(1 << bit));
            let caps = docker_caps().or(extra);
            let theirs = docker.resolve(&caps, arch, KERNEL).unwrap();
            let difference = explained(&theirs, arch).difference(&explained(&ours(&caps, arch), arch));
            for line in difference.lines() {
                let (_, change) = line.split_once(": ").unwrap();
                let (names, change) = change.split_once(": ").unwrap();
                let admin = if bits == Some(21) { NEWER_FOR_ADMINS } else { "" };
                let list = NEWER.split(' ').chain(admin.split(' '));
                let newer = names.split(' ').all(|name| list.clone().any(|other| other == name));
                let known = (newer && change.ends_with("-> is allowed"))
                    || (names == "socket" && change.contains("argument 0 != 0x28"));
                assert!(known, "{arch} with {caps}: {line}");
            }
        }
    }
}

#[test]
fn dockers_and_podmans_compile() {
    for name in ["docker.json", "podman.json"] {
        let Some(profile) = fetched("dockers_and_podmans_compile", name) else { continue };
        for arch in Arch::ALL {
            let profile = profile.resolve(&docker_caps(), arch, KERNEL).unwrap();
            let filter = compile(&profile, &Options::new(arch)).unwrap();
            assert!(filter.instructions().len() < 1500, "{name} {arch}: {}", filter.instructions().len());
            assert_eq!(call(&filter, arch, "write", &[]), Outcome::ALLOW);
        }
    }
    let Some(podman) = fetched("dockers_and_podmans_compile", "podman.json") else { return };
    let profile = podman.resolve(&docker_caps(), Arch::X86_64, KERNEL).unwrap();
    let filter = compile(&profile, &Options::new(Arch::X86_64)).unwrap();
    assert_eq!(call(&filter, Arch::X86_64, "kexec_load", &[]), EPERM);
    assert_eq!(call(&filter, Arch::X86_64, "io_uring_setup", &[]), Outcome::ENOSYS, "an error by name");
    // Without CAP_AUDIT_WRITE the kernel's audit is not there.
    let profile = podman.resolve(&CapSet::EMPTY, Arch::X86_64, KERNEL).unwrap();
    let filter = compile(&profile, &Options::new(Arch::X86_64)).unwrap();
    assert_eq!(call(&filter, Arch::X86_64, "socket", &[16, 3, 9]), outcome(22));
    assert_eq!(call(&filter, Arch::X86_64, "socket", &[16, 3, 0]), Outcome::ALLOW);
}

const REFUSED: &str = "io_uring_setup io_uring_enter io_uring_register bpf userfaultfd keyctl add_key request_key perf_event_open \
    kexec_load init_module finit_module mount umount2 fsopen move_mount open_tree mount_setattr pivot_root unshare setns \
    open_by_handle_at ioperm iopl reboot swapon settimeofday clock_settime syslog quotactl acct nfsservctl lookup_dcookie kcmp \
    pidfd_getfd ustat sysfs uselib";
const ALLOWED: &str = "read execve ptrace chroot seccomp mknod capset memfd_create landlock_create_ruleset";

#[test]
fn what_lets_out_is_refused() {
    let filter = compile(&ours(&docker_caps(), Arch::X86_64), &Options::new(Arch::X86_64)).unwrap();
    for arch in [Arch::X86_64, Arch::X86] {
        let at = |name: &str, args: &[u64]| call(&filter, arch, name, args);
        for name in REFUSED.split_whitespace().filter(|name| arch.number(name).is_some()) {
            assert_eq!(at(name, &[]), EPERM, "{name}");
        }
        for name in ALLOWED.split_whitespace() {
            assert_eq!(at(name, &[]), Outcome::ALLOW, "{name}");
        }
        assert_eq!(at("clone3", &[]), outcome(38));
        assert_eq!(at("clone", &[17]), Outcome::ALLOW);
        for flag in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000_u64]
        {
            assert_eq!(at("clone", &[flag | 17]), EPERM, "{flag:#x}");
        }
    }
}

#[test]
fn families_and_personalities_are_listed() {
    let filter = compile(&ours(&docker_caps(), Arch::X86_64), &Options::new(Arch::X86_64)).unwrap();
    let at = |name: &str, value: u64| call(&filter, Arch::X86_64, name, &[value]);
    for family in [12, 19, 20, 23, 25, 34, 37, 38, 40, 46, 1 << 32 | 2] {
        assert_eq!(at("socket", family), EPERM, "family {family}");
    }
    for family in [1, 2, 10, 16, 17, 21, 29, 39, 44, 45] {
        assert_eq!(at("socket", family), Outcome::ALLOW, "family {family}");
    }
    for value in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        assert_eq!(at("personality", value), Outcome::ALLOW);
    }
    // No randomised addresses, memory that can always be executed.
    for value in [0x4_0000, 0x40_0000, 9] {
        assert_eq!(at("personality", value), EPERM);
    }
}

#[test]
fn capabilities_give_their_calls() {
    let none = compile(&ours(&CapSet::EMPTY, Arch::X86_64), &Options::new(Arch::X86_64)).unwrap();
    assert_eq!(call(&none, Arch::X86_64, "chroot", &[]), EPERM);
    let all = compile(&ours(&CapSet::all(40), Arch::X86_64), &Options::new(Arch::X86_64)).unwrap();
    for name in
        ["chroot", "mount", "clone3", "bpf", "reboot", "setns", "perf_event_open", "syslog", "mbind", "kcmp"]
    {
        assert_eq!(call(&all, Arch::X86_64, name, &[]), Outcome::ALLOW, "{name}");
    }
    assert_eq!(call(&all, Arch::X86_64, "clone", &[0x1000_0000]), Outcome::ALLOW);
    assert_eq!(call(&all, Arch::X86_64, "io_uring_setup", &[]), EPERM);
    let old = default_profile(&CapSet::EMPTY, Arch::X86_64, (4, 7));
    let old = compile(&old, &Options::new(Arch::X86_64)).unwrap();
    assert_eq!(call(&old, Arch::X86_64, "ptrace", &[]), EPERM);
    // s390 has clone's flags in the second argument.
    let s390 = compile(&ours(&CapSet::EMPTY, Arch::S390X), &Options::new(Arch::S390X)).unwrap();
    assert_eq!(call(&s390, Arch::S390X, "clone", &[0, 0x1000_0000]), EPERM);
    assert_eq!(call(&s390, Arch::S390X, "clone", &[0x1000_0000, 17]), Outcome::ALLOW);
}

#[test]
fn every_name_is_a_call() {
    for arch in Arch::ALL {
        let profile = ours(&CapSet::all(40), arch);
        let filter = compile(&profile, &Options::new(arch)).unwrap();
        assert!(
            filter.warnings().iter().all(|warning| !warning.text.contains("no kernel")),
            "{:?}",
            filter.warnings()
        );
        assert!(profile.problems().is_empty() && profile.default_action == Action::Errno);
    }
}

#[test]
fn the_filter_is_the_profile_compiled() {
    for arch in Arch::ALL {
        for (caps, kernel) in [(CapSet::EMPTY, (4, 7)), (docker_caps(), KERNEL), (CapSet::all(40), KERNEL)] {
            let options = Options::new(arch);
            let compiled = compile(&default_profile(&caps, arch, kernel), &options).unwrap();
            assert_eq!(default_filter(&caps, kernel, &options).unwrap(), compiled, "{arch} {caps}");
        }
    }
}
