//! What filters do.

use libcontainer_security::seccomp::{
    Action, Arch, Arg, CompileError, Data, Flag, Operator, Options, Outcome, Profile, Rule, compile,
    from_bytes, run,
};
use proptest::prelude::*;

use super::generate::{NAMES, OPERATORS, edges, profile, word};
use super::{EPERM, call, compiled, deny, outcome, plain, reference};

fn with(index: u32, op: Operator, value: u64, value_two: u64) -> Rule {
    let args = vec![Arg { index, value, value_two, op }];
    Rule { args, ..Rule::new(&["ioctl"], Action::Allow) }
}

#[test]
fn other_architectures_are_killed() {
    let profile = Profile::new(Action::Allow);
    let filter = compiled(&profile, Arch::X86_64);
    let kill = Outcome::new(Action::KillThread, None);
    assert_eq!(call(&filter, Arch::X86_64, "read", &[]), Outcome::ALLOW);
    for arch in Arch::ALL.into_iter().filter(|arch| *arch != Arch::X86_64) {
        assert_eq!(call(&filter, arch, "read", &[]), kill, "{arch}");
    }
    // What a tracer writes for a call that is not to be made.
    let skipped = Data { number: u32::MAX, ..Data::new(Arch::X86_64, 0, [0; 6]) };
    assert_eq!(run(filter.instructions(), &skipped).unwrap().outcome, Outcome::ALLOW);
    let options = Options { bad_arch: EPERM, ..Options::new(Arch::X86_64) };
    assert_eq!(call(&compile(&profile, &options).unwrap(), Arch::X86, "read", &[]), EPERM);
}

#[test]
fn numbers_are_those_of_each_architecture() {
    let mut profile = deny();
    profile.architectures = vec![Arch::X86, Arch::X32, Arch::X86_64, Arch::X86];
    profile.syscalls.push(Rule::new(&["write", "mmap2"], Action::Allow));
    let filter = compiled(&profile, Arch::X86_64);
    for arch in [Arch::X86, Arch::X86_64, Arch::X32] {
        assert_eq!(call(&filter, arch, "write", &[]), Outcome::ALLOW, "{arch}");
        assert_eq!(call(&filter, arch, "read", &[]), EPERM, "{arch}");
    }
    assert_eq!(call(&filter, Arch::X86, "mmap2", &[]), Outcome::ALLOW);
    assert_eq!(call(&filter, Arch::X86_64, "chmod", &[]), EPERM, "mmap2 has another number there");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arguments_are_compared_as_numbers_of_64_bits(
        op in prop::sample::select(&OPERATORS[..]), value in word(), two in word(), actual in word(), index in 0..6_u32, near in 0..4_u8,
    ) {
        let actual = match near { 0 => value, 1 => value.wrapping_add(1), 2 => value.wrapping_sub(1), _ => actual };
        let two = if op == Operator::MaskedEq { two } else { 0 };
        let mut profile = deny();
        profile.syscalls.push(with(index, op, value, two));
        let mut args = [0; 6];
        args[index as usize] = actual;
        for arch in [Arch::X86_64, Arch::S390X, Arch::Mips, Arch::Arm] {
            let filter = compiled(&profile, arch);
            let wanted = reference::arg_holds(arch, &profile.syscalls[0].args[0], actual);
            let found = call(&filter, arch, "ioctl", &args);
            prop_assert_eq!(found == Outcome::ALLOW, wanted, "{} {:?} {:#x}", arch, profile.syscalls[0].args[0], actual);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_say_what_profiles_say(
        profile in profile(12), seed in prop::array::uniform6(word()), native in prop::sample::select(&Arch::ALL[..]), pick in any::<u16>(),
    ) {
        let options = plain(native);
        let filter = match compile(&profile, &options) {
            Ok(filter) => filter,
            Err(CompileError::Conflict { .. }) => return Ok(()),
            Err(error) => panic!("{error}"),
        };
        let archs = profile.architectures.iter().copied().chain([native, Arch::X86_64, Arch::X32]);
        for arch in archs {
            for (place, name) in NAMES.iter().enumerate() {
                let Some(number) = arch.number(name) else { continue };
                for number in [number, number + 1, u32::MAX] {
                    let args = edges(&profile, &seed, usize::from(pick) + place);
                    let wanted = reference::by_number(&profile, &options, arch.token(), number, &args);
                    let data = Data { number, ..Data::new(arch, 0, args) };
                    let found = run(filter.instructions(), &data).unwrap().outcome;
                    prop_assert_eq!(found, wanted, "{} {} {:x?} {:#?}", arch, name, args, profile);
                }
            }
        }
    }
}

#[test]
fn high_bits_do_not_slip_past_a_masked_rule() {
    // TIOCSTI; the kernel looks at the low half (CVE-2019-7303).
    let mut profile = Profile::new(Action::Allow);
    let rule = with(1, Operator::MaskedEq, 0xffff_ffff, 0x5412);
    profile.syscalls.push(Rule { action: Action::Errno, ..rule });
    let filter = compiled(&profile, Arch::X86_64);
    assert_eq!(call(&filter, Arch::X86_64, "ioctl", &[0, 0x5412]), EPERM);
    assert_eq!(call(&filter, Arch::X86_64, "ioctl", &[0, 0xdead_beef_0000_5412]), EPERM);
    assert_eq!(call(&filter, Arch::X86_64, "ioctl", &[0, 0x5413]), Outcome::ALLOW);
}

#[test]
fn a_rule_without_conditions_decides_alone() {
    for order in [[0, 1], [1, 0]] {
        let rules = [Rule::new(&["ioctl"], Action::Log), with(0, Operator::Eq, 5, 0)];
        let mut profile = deny();
        profile.syscalls = order.map(|place| rules[place].clone()).to_vec();
        let filter = compiled(&profile, Arch::X86_64);
        assert_eq!(call(&filter, Arch::X86_64, "ioctl", &[5]).action(), Action::Log);
        assert_eq!(filter.warnings().len(), 1, "{:?}", filter.warnings());
    }
}

#[test]
fn conditions_on_one_argument_are_alternatives() {
    let mut profile = deny();
    let mut rule = with(0, Operator::Eq, 5, 0);
    rule.args.extend(with(0, Operator::Eq, 7, 0).args);
    profile.syscalls.push(rule);
    let filter = compiled(&profile, Arch::X86_64);
    for (value, wanted) in [(5, Outcome::ALLOW), (7, Outcome::ALLOW), (6, EPERM)] {
        assert_eq!(call(&filter, Arch::X86_64, "ioctl", &[value]), wanted);
    }
    assert_eq!(filter.warnings().len(), 1);
}

#[test]
fn newer_calls_do_not_exist() {
    let mut profile = deny();
    profile.architectures = vec![Arch::X86, Arch::X32];
    profile.syscalls.push(Rule::new(&["read", "statx", "pwritev2"], Action::Allow));
    let filter = compile(&profile, &Options::new(Arch::X86_64)).unwrap();
    let at = |arch: Arch, number: u32| {
        run(filter.instructions(), &Data::new(arch, number, [0; 6])).unwrap().outcome
    };
    for arch in [Arch::X86, Arch::X86_64, Arch::X32] {
        assert_eq!(call(&filter, arch, "read", &[]), Outcome::ALLOW);
        assert_eq!(call(&filter, arch, "write", &[]), EPERM, "older than statx on {arch}");
        let statx = arch.number("statx").unwrap();
        assert_eq!(at(arch, statx), Outcome::ALLOW);
        assert_eq!(at(arch, statx + 1), Outcome::ENOSYS, "{arch}");
        assert_eq!(call(&filter, arch, "clone3", &[]), Outcome::ENOSYS, "{arch}");
        assert_eq!(at(arch, 0x3fff_ffff | statx), Outcome::ENOSYS);
    }
    assert_eq!(call(&filter, Arch::X32, "pwritev2", &[]), Outcome::ALLOW, "x32's own are no measure");
    assert_eq!(at(Arch::X32, 0x4000_0000 + 548), Outcome::ENOSYS);
    // Nothing is hidden where all is allowed.
    profile.default_action = Action::Allow;
    profile.syscalls[0].action = Action::Errno;
    let filter = compile(&profile, &Options::new(Arch::X86_64)).unwrap();
    assert_eq!(call(&filter, Arch::X86_64, "clone3", &[]), Outcome::ALLOW);
}

#[test]
fn s390_calls_that_the_kernel_lacks_do_not_exist() {
    let mut profile = deny();
    profile.syscalls.push(Rule::new(&["statx"], Action::Allow));
    let filter = compile(&profile, &Options::new(Arch::S390X)).unwrap();
    let setup = run(filter.instructions(), &Data::new(Arch::S390X, 0, [0; 6])).unwrap();
    assert_eq!(setup.outcome, Outcome::ENOSYS);
}

#[test]
fn arms_own_calls_are_no_measure_of_age() {
    let mut profile = deny();
    profile.syscalls.push(Rule::new(&["set_tls", "statx"], Action::Allow));
    let filter = compile(&profile, &Options::new(Arch::Arm)).unwrap();
    assert_eq!(call(&filter, Arch::Arm, "set_tls", &[]), Outcome::ALLOW);
    assert_eq!(call(&filter, Arch::Arm, "breakpoint", &[]), EPERM);
    assert_eq!(call(&filter, Arch::Arm, "clone3", &[]), Outcome::ENOSYS);
}

#[test]
fn multiplexed_calls_follow_the_rules_of_what_they_carry() {
    let mut profile = deny();
    profile.syscalls.push(Rule::new(&["bind", "semget"], Action::Allow));
    profile.syscalls.push(Rule { errno_ret: Some(97), ..Rule::new(&["listen"], Action::Errno) });
    let only = vec![Arg { index: 0, value: 1, value_two: 0, op: Operator::Eq }];
    profile.syscalls.push(Rule { args: only, ..Rule::new(&["socket"], Action::Allow) });
    for arch in [Arch::X86, Arch::S390X, Arch::Mips, Arch::Ppc] {
        let filter = compiled(&profile, arch);
        let at = |name: &str, args: &[u64]| call(&filter, arch, name, args);
        assert_eq!(at("socketcall", &[2]), Outcome::ALLOW, "{arch}: bind");
        assert_eq!(at("socketcall", &[0x1_0000_0002]), Outcome::ALLOW, "the kernel takes an int");
        assert_eq!(at("socketcall", &[4]), outcome(97));
        assert_eq!(at("socketcall", &[1]), EPERM, "what it is about can't be seen");
        assert_eq!(at("socketcall", &[3]), EPERM, "connect has no rule");
        assert_eq!(at("ipc", &[2]), Outcome::ALLOW);
        assert_eq!(at("ipc", &[0x1_0002]), Outcome::ALLOW, "with a version");
        assert_eq!(at("ipc", &[3]), EPERM);
        let text = filter.warnings().iter().map(ToString::to_string).collect::<String>();
        assert!(text.contains("can't be seen"), "{text}");
    }
    profile.syscalls.push(Rule::new(&["socketcall"], Action::Allow));
    assert_eq!(call(&compiled(&profile, Arch::X86), Arch::X86, "socketcall", &[1]), Outcome::ALLOW);
}

#[test]
fn long_programs_jump_far() {
    // Every call by itself with conditions of its own: no two are alike.
    let mut profile = deny();
    for (value, (name, _)) in (0..).zip(Arch::X86_64.syscalls()) {
        let args = vec![Arg { index: 1, value: value << 31 | value, value_two: 0, op: Operator::Gt }];
        profile.syscalls.push(Rule { args, ..Rule::new(&[name], Action::Allow) });
    }
    let filter = compiled(&profile, Arch::X86_64);
    assert!(filter.instructions().len() > 1500);
    for (value, (name, _)) in (0_u64..).zip(Arch::X86_64.syscalls()) {
        let edge = value << 31 | value;
        assert_eq!(call(&filter, Arch::X86_64, name, &[0, edge]), EPERM, "{name}");
        assert_eq!(call(&filter, Arch::X86_64, name, &[0, edge + 1]), Outcome::ALLOW, "{name}");
    }
}

#[test]
fn bytes_are_the_program() {
    let filter = compiled(&deny(), Arch::X86_64);
    let bytes = filter.bytes();
    assert_eq!(bytes.len(), 8 * filter.instructions().len());
    assert_eq!(from_bytes(&bytes).unwrap(), filter.instructions());
}

#[test]
fn flags_are_the_kernels() {
    let mut profile = deny();
    profile.flags = vec![Flag::Tsync, Flag::Log, Flag::SpecAllow, Flag::WaitKillableRecv];
    let filter = compiled(&profile, Arch::X86_64);
    assert_eq!((filter.flags(), filter.notifies()), (0b111, false));
    assert_eq!(filter.warnings().len(), 1, "waiting for nobody");
    profile.syscalls.push(Rule::new(&["mount"], Action::Notify));
    profile.listener_path = Some("/run/agent".into());
    let filter = compiled(&profile, Arch::X86_64);
    assert_eq!((filter.flags(), filter.notifies()), (0b11_1111, true));
}
