//! What is no profile, and what is said then.

use libcontainer_security::seccomp::{
    Action, Arch, Arg, CompileError, Instruction, Operator, Options, Profile, Rule, check, compile,
    from_bytes,
};

use super::{compiled, deny, plain};

fn read(json: &str) -> Result<Profile, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// The error of a profile with this beside its default action.
fn refused(rest: &str) -> String {
    let profile = match read(&format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO",{rest}}}"#)) {
        Ok(profile) => profile,
        Err(error) => return error,
    };
    compile(&profile, &plain(Arch::X86_64)).unwrap_err().to_string()
}

fn rule(rest: &str) -> String {
    refused(&format!(r#""syscalls":[{{"names":["read"],{rest}}}]"#))
}

#[test]
fn unknown_words_are_refused_by_name() {
    for (error, wanted) in [
        (read(r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#).unwrap_err(), "SCMP_ACT_MAYBE"),
        (read(r#"{"syscalls":[]}"#).unwrap_err(), "defaultAction"),
        (refused(r#""architectures":["SCMP_ARCH_VAX"]"#), "SCMP_ARCH_VAX"),
        (refused(r#""flags":["SECCOMP_FILTER_FLAG_FAST"]"#), "SECCOMP_FILTER_FLAG_FAST"),
        (rule(r#""action":"SCMP_ACT_NO""#), "SCMP_ACT_NO"),
        (
            rule(r#""action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_ABOUT"}]"#),
            "SCMP_CMP_ABOUT",
        ),
        (rule(r#""action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":-1,"op":"SCMP_CMP_EQ"}]"#), "-1"),
        (rule(r#""action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1}]"#), "op"),
        (refused(r#""syscalls":[{"action":"SCMP_ACT_ALLOW"}]"#), "names"),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn wrong_values_are_named_with_their_place() {
    let allow = r#""action":"SCMP_ACT_ALLOW""#;
    let args = |index: u32| format!(r#"{allow},"args":[{{"index":{index},"value":1,"op":"SCMP_CMP_EQ"}}]"#);
    for (error, wanted) in [
        (rule(&args(6)), "seccomp/syscalls/0/args/0/index: 6: system calls have arguments 0 to 5"),
        (
            rule(r#""action":"SCMP_ACT_ERRNO","errnoRet":4096"#),
            "seccomp/syscalls/0/errnoRet: 4096: above 4095",
        ),
        (rule(r#""action":"SCMP_ACT_TRACE","errnoRet":65536"#), "errnoRet: 65536: above 65535"),
        (rule(&format!(r#"{allow},"errnoRet":1"#)), "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take a number"),
        (refused(r#""defaultErrnoRet":5000"#), "seccomp/defaultErrnoRet: 5000"),
        (refused(r#""syscalls":[{"names":[],"action":"SCMP_ACT_ALLOW"}]"#), "no system call is named"),
        (
            refused(r#""syscalls":[{"names":["read",""],"action":"SCMP_ACT_ALLOW"}]"#),
            "/syscalls/0/names/1: an empty name",
        ),
        (rule(r#""action":"SCMP_ACT_NOTIFY""#), "seccomp/syscalls/0: SCMP_ACT_NOTIFY without listenerPath"),
        (refused(r#""listenerMetadata":"x""#), "seccomp/listenerMetadata: no listenerPath"),
        (refused(r#""listenerPath":"run/x""#), "seccomp/listenerPath: not an absolute path"),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
    let asks_all = compile(&Profile::new(Action::Notify), &plain(Arch::X86_64)).unwrap_err().to_string();
    assert!(asks_all.contains("seccomp/defaultAction: SCMP_ACT_NOTIFY"), "{asks_all}");
    // All of them at once for who wants to see all.
    let bad = read(
        r#"{"defaultAction":"SCMP_ACT_KILL","defaultErrnoRet":1,"syscalls":[{"names":[],"action":"SCMP_ACT_LOG","errnoRet":2}]}"#,
    );
    assert_eq!(bad.unwrap().problems().len(), 3);
}

#[test]
fn contradictions_are_refused() {
    let one = Arg { index: 1, value: 7, value_two: 0, op: Operator::Eq };
    let mut profile = deny();
    profile.syscalls.push(Rule { args: vec![one], ..Rule::new(&["ioctl"], Action::Allow) });
    profile.syscalls.push(Rule::new(&["read"], Action::Allow));
    profile.syscalls.push(Rule { args: vec![one], ..Rule::new(&["write", "ioctl"], Action::Log) });
    let error = compile(&profile, &plain(Arch::X86_64)).unwrap_err();
    assert_eq!(error, CompileError::Conflict { syscall: "ioctl".to_owned(), first: 0, second: 2 });
    // The same said twice is no contradiction.
    profile.syscalls[2].action = Action::Allow;
    assert!(compiled(&profile, Arch::X86_64).warnings().is_empty());
}

#[test]
fn a_listener_of_the_callers_is_enough() {
    let mut profile = deny();
    profile.syscalls.push(Rule::new(&["mount"], Action::Notify));
    let options = Options { listener: true, ..plain(Arch::X86_64) };
    assert!(compile(&profile, &options).unwrap().notifies());
}

#[test]
fn too_long_programs_are_refused() {
    let mut profile = deny();
    profile.architectures = vec![Arch::X86, Arch::X32];
    for (value, (name, _)) in (0..).zip(Arch::X86_64.syscalls()) {
        let args = vec![Arg { index: 1, value, value_two: value, op: Operator::MaskedEq }];
        profile.syscalls.push(Rule { args, ..Rule::new(&[name], Action::Allow) });
        let args = vec![Arg { index: 2, value: value << 33 | 1, value_two: 0, op: Operator::Ne }];
        profile.syscalls.push(Rule { args, ..Rule::new(&[name], Action::Log) });
    }
    let error = compile(&profile, &plain(Arch::X86_64)).unwrap_err();
    assert!(matches!(error, CompileError::TooLong { instructions } if instructions > 4096), "{error}");
    assert!(error.to_string().contains("the kernel takes 4096"));
}

#[test]
fn unknown_calls_are_left_out_and_told() {
    let mut profile = deny();
    profile.syscalls.push(Rule::new(&["read", "warp_drive"], Action::Allow));
    let filter = compiled(&profile, Arch::X86_64);
    let warnings: Vec<_> = filter.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["seccomp/syscalls/0/names/1: warp_drive: no kernel known here has this system call; left out"]
    );
    // socketcall is a call, though not of this architecture.
    profile.syscalls[0].names = vec!["socketcall".to_owned()];
    assert!(compiled(&profile, Arch::X86_64).warnings().is_empty());
}

#[test]
fn odd_second_values_are_told() {
    let arg = |op, value, value_two| Arg { index: 0, value, value_two, op };
    let mut profile = deny();
    let args = vec![arg(Operator::MaskedEq, 1, 3)];
    profile.syscalls.push(Rule { args, ..Rule::new(&["ioctl"], Action::Allow) });
    let args = vec![arg(Operator::Eq, 1, 3)];
    profile.syscalls.push(Rule { args, ..Rule::new(&["fcntl"], Action::Allow) });
    assert_eq!(compiled(&profile, Arch::X86_64).warnings().len(), 2);
    // Without a second value a mask is compared with 0: so is clone in Docker's profile.
    let read: Arg = serde_json::from_str(r#"{"index":0,"value":8,"op":"SCMP_CMP_MASKED_EQ"}"#).unwrap();
    assert_eq!(read, arg(Operator::MaskedEq, 8, 0));
}

#[test]
fn what_is_no_program_is_refused() {
    let ret = Instruction { code: 6, jt: 0, jf: 0, k: 0 };
    let of = |code, jt, jf, k| Instruction { code, jt, jf, k };
    assert_eq!(check(&[ret]), Ok(()));
    for (program, wanted) in [
        (vec![], "0 instructions"),
        (vec![ret; 4097], "4097 instructions"),
        (vec![of(0x20, 0, 0, 64), ret], "instruction 0: code 0x0020 with 0x40"),
        (vec![of(0x20, 0, 0, 2), ret], "not for seccomp"),
        (vec![of(0x28, 0, 0, 0), ret], "not for seccomp"),
        (vec![of(0x60, 0, 0, 16), ret], "not for seccomp"),
        (vec![of(0x34, 0, 0, 0), ret], "not for seccomp"),
        (vec![of(0x15, 1, 0, 0), ret], "instruction 0: leads out"),
        (vec![of(0x05, 0, 0, u32::MAX), ret], "instruction 0: leads out"),
        (vec![ret, of(0x07, 0, 0, 0)], "instruction 1: leads out"),
    ] {
        let error = check(&program).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert!(from_bytes(&[0; 9]).unwrap_err().to_string().contains("9 bytes"));
}
