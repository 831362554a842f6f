//! Filters in words, and what two of them do differently.

use libcontainer_security::seccomp::{
    Action, Arch, Arg, Instruction, Operator, Options, Profile, Rule, compile, explain, survey,
};

use super::{deny, plain};

fn only(name: &str, op: Operator, value: u64) -> Rule {
    Rule { args: vec![Arg { index: 0, value, value_two: 0, op }], ..Rule::new(&[name], Action::Allow) }
}

fn words(profile: &Profile, options: &Options) -> String {
    explain(profile, options).unwrap().to_string()
}

#[test]
fn each_call_is_told() {
    let mut profile = deny();
    profile.architectures = vec![Arch::X86];
    profile.syscalls.push(Rule::new(&["read", "write"], Action::Allow));
    profile.syscalls.push(only("clone", Operator::MaskedEq, 0x7e02_0000));
    profile.syscalls.push(Rule { errno_ret: Some(38), ..Rule::new(&["clone3"], Action::Errno) });
    let text = words(&profile, &Options::new(Arch::X86_64));
    for line in [
        "SCMP_ARCH_X86_64\n",
        "SCMP_ARCH_X86\n",
        "  is allowed (2): read write\n",
        "  clone: is allowed if argument 0 & 0x7e020000 == 0x0; else fails with EPERM\n",
        "  numbers 473 to 1073741823: fails with ENOSYS\n",
        "calls of other architectures: each kills the thread\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        text.lines().any(|line| line.starts_with("  fails with ENOSYS (") && line.contains(" clone3")),
        "{text}"
    );
}

#[test]
fn many_values_are_told_as_ranges() {
    let mut profile = deny();
    profile.syscalls.push(only("socket", Operator::Lt, 12));
    profile.syscalls.extend([13, 14, 16].map(|family| only("socket", Operator::Eq, family)));
    let text = words(&profile, &plain(Arch::X86_64));
    let line = "  socket: is allowed if argument 0 is 0x0 to 0xb, 0xd to 0xe, 0x10; else fails with EPERM\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_profile_is_no_different_from_itself_written_otherwise() {
    let mut one = deny();
    one.syscalls.push(only("socket", Operator::Ne, 40));
    one.syscalls.push(Rule::new(&["read", "write"], Action::Allow));
    let mut other = deny();
    other.syscalls.push(Rule::new(&["write"], Action::Allow));
    other.syscalls.push(Rule::new(&["read"], Action::Allow));
    other.syscalls.push(only("socket", Operator::Gt, 40));
    other.syscalls.push(only("socket", Operator::Lt, 40));
    let both = |one: &Profile, other: &Profile| {
        let options = plain(Arch::X86_64);
        explain(one, &options).unwrap().difference(&explain(other, &options).unwrap())
    };
    assert!(both(&one, &other).is_empty(), "{}", both(&one, &other));
    other.syscalls.push(only("socket", Operator::Eq, 40));
    other.syscalls.push(Rule::new(&["mount", "umount2"], Action::Log));
    other.architectures = vec![Arch::X86];
    let lines = both(&one, &other).to_string();
    for line in [
        "SCMP_ARCH_X86_64: mount umount2: fails with EPERM -> is allowed and logged\n",
        "SCMP_ARCH_X86: can call now, was: each call kills the thread\n",
    ] {
        assert!(lines.contains(line), "{lines}");
    }
    assert!(
        lines
            .contains("SCMP_ARCH_X86_64: socket: is allowed if argument 0 != 0x28; else fails with EPERM ->"),
        "{lines}"
    );
}

#[test]
fn bad_profiles_are_not_explained() {
    let mut profile = deny();
    profile.syscalls.push(Rule::new(&["mount"], Action::Notify));
    assert!(explain(&profile, &plain(Arch::X86_64)).is_err());
}

#[test]
fn a_program_is_told_without_its_profile() {
    let mut profile = deny();
    profile.architectures = vec![Arch::X86];
    profile.syscalls.push(Rule::new(&["read", "write"], Action::Allow));
    profile.syscalls.push(only("clone", Operator::MaskedEq, 0x7e02_0000));
    let told =
        |profile: &Profile| survey(compile(profile, &plain(Arch::X86_64)).unwrap().instructions()).unwrap();
    let before = told(&profile);
    let text = before.to_string();
    for line in [
        "SCMP_ARCH_X86_64\n",
        "SCMP_ARCH_X86\n",
        "  is allowed (2): read write\n",
        "  fails with EPERM or is allowed, by argument 0 (1): clone\n",
        "calls of other architectures: each kills the thread\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(before.difference(&told(&profile)).is_empty());
    profile.syscalls[0] = Rule::new(&["read"], Action::Log);
    profile.architectures = vec![Arch::Aarch64];
    let lines = before.difference(&told(&profile));
    for line in [
        "SCMP_ARCH_X86_64: read: is allowed -> is allowed and logged",
        "SCMP_ARCH_X86_64: write: is allowed -> fails with EPERM",
        "SCMP_ARCH_AARCH64: can call now",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line}\n{lines:#?}");
    }
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("SCMP_ARCH_X86: read write: is allowed -> kills the thread"))
    );
}

#[test]
fn computed_outcomes_are_not_known() {
    let of = |code, k| Instruction { code, jt: 0, jf: 0, k };
    // A = the low half of argument 1; return A.
    let text = survey(&[of(0x20, 24), of(0x16, 0)]).unwrap().to_string();
    assert_eq!(text, "calls of other architectures: each whatever the program computes\n");
    // A = 0x7fff0000 | 0; return A.
    let text = survey(&[of(0x00, 0x7fff_0000), of(0x44, 0), of(0x16, 0)]).unwrap().to_string();
    assert_eq!(text, "calls of other architectures: each is allowed\n");
    assert!(survey(&[of(0x20, 24)]).is_err());
}
