//! The eBPF program, run by an interpreter, against the model.

use libcontainer_cgroups::Error;
use libcontainer_cgroups::devices::{Access, Kind, Program, Rule, model, simplify};
use proptest::prelude::*;

use crate::any::{docker, requests, rule};

/// What the program answers, given `struct bpf_cgroup_dev_ctx` as the kernel fills it.
fn run(code: &[u8], kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    let kind = if kind == Kind::Block { 1 } else { 2 };
    let mut context = [access.bits() << 16 | kind, major, minor].map(u32::to_ne_bytes).concat();
    let machine = rbpf::EbpfVmRaw::new(Some(code)).unwrap();
    match machine.execute_program(&mut context).unwrap() {
        0 => false,
        1 => true,
        other => panic!("the program answers {other}"),
    }
}

fn compare(rules: &[Rule]) {
    let program = Program::assemble(rules).unwrap();
    let code = program.bytes();
    assert_eq!(code.len(), program.instructions().len() * 8);
    for (kind, major, minor, access) in requests() {
        assert_eq!(
            run(&code, kind, major, minor, access),
            model::allows(rules, kind, major, minor, access),
            "{kind:?} {major}:{minor} {access:?} under {rules:?}\n{}",
            program.explain()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(96), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_program_is_the_model(rules in prop::collection::vec(rule(), 0..12)) {
        compare(&rules);
    }

    #[test]
    fn simpler_rules_mean_the_same(rules in prop::collection::vec(rule(), 0..16)) {
        let simple = simplify(&rules);
        prop_assert!(simple.len() <= rules.len());
        for (kind, major, minor, access) in requests() {
            prop_assert_eq!(
                model::allows(&rules, kind, major, minor, access),
                model::allows(&simple, kind, major, minor, access)
            );
        }
    }

    #[test]
    fn rules_survive_json(rule in rule()) {
        let text = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rule>(&text).unwrap(), rule);
    }
}

#[test]
fn lists_of_every_shape() {
    let everything = |allow| Rule::everything(allow);
    let null = Rule { kind: Kind::Char, major: Some(1), minor: Some(3), ..everything(true) };
    let part = Rule { access: Access::READ, ..null };
    let lists: &[&[Rule]] = &[
        &[],
        &[everything(true)],
        &[everything(false)],
        &[everything(true), Rule { allow: false, ..null }],
        &[everything(false), null, Rule { allow: false, ..part }],
        &[part, Rule { access: Access::WRITE, ..part }],
        &[everything(true), Rule { allow: false, kind: Kind::Block, ..everything(true) }, null],
    ];
    lists.iter().for_each(|rules| compare(rules));
    compare(&docker());
}

#[test]
fn what_docker_asks_for_as_text() {
    let text = Program::assemble(&docker()).unwrap().explain();
    assert_eq!(text, include_str!("docker.txt"), "got:\n{text}");
}

#[test]
fn rules_about_a_part_of_the_access_as_text() {
    let part = Rule { kind: Kind::Block, access: Access::MKNOD, ..Rule::everything(true) };
    let rules = [part, Rule { allow: false, kind: Kind::All, major: Some(8), access: Access::WRITE, ..part }];
    let text = Program::assemble(&rules).unwrap().explain();
    let lines: Vec<&str> = text.lines().skip(7).collect();
    assert_eq!(
        lines,
        [
            "; deny a 8:* w",
            "   6: if r4 != 8 goto +5",
            "   7: w0 = w3",
            "   8: w0 &= 0x4",
            "   9: if r0 == 0 goto +2",
            "  10: r0 = 0",
            "  11: exit",
            "; allow b *:* m",
            "  12: if r2 != 1 goto +4",
            "  13: w3 &= 0xfffffffe",
            "  14: if r3 != 0 goto +2",
            "  15: r0 = 1",
            "  16: exit",
            "; deny the rest",
            "  17: r0 = 0",
            "  18: exit",
        ]
    );
}

#[test]
fn too_many_rules_are_refused() {
    let rule = |minor| Rule { minor: Some(minor), ..Rule::everything(true) };
    let rules: Vec<Rule> = (0..2000).map(rule).collect();
    let error = Program::assemble(&rules).unwrap_err();
    assert!(matches!(&error, Error::Invalid { field, .. } if field == "linux.resources.devices"), "{error}");
    assert!(error.to_string().contains("the most is 4096"), "{error}");
    assert!(Program::assemble(&rules[..1000]).is_ok());
}

/// The specification has no word on other letters; runc leaves them out.
#[test]
fn letters_that_are_not_known_allow_nothing_and_deny_everything() {
    for (json, wanted) in [
        (r#"{"allow":true,"type":"c","major":1,"minor":11,"access":"rwa"}"#, "allow c 1:11 rw"),
        (r#"{"allow":true,"access":"xm"}"#, "allow a *:* m"),
        (r#"{"allow":false,"type":"c","major":1,"minor":11,"access":"rwa"}"#, "deny c 1:11 rwm"),
        (r#"{"allow":false,"access":"é"}"#, "deny a *:* rwm"),
        (r#"{"allow":false,"access":"r"}"#, "deny a *:* r"),
    ] {
        assert_eq!(serde_json::from_str::<Rule>(json).unwrap().to_string(), wanted, "{json}");
    }
}

#[test]
fn rules_that_can_not_be() {
    for (json, words) in [
        (r#"{"allow":true,"type":"c","major":4096,"access":"r"}"#, "major 4096"),
        (r#"{"allow":true,"type":"c","minor":1048576,"access":"r"}"#, "minor 1048576"),
        (r#"{"allow":true,"type":"c","major":-2,"access":"r"}"#, "major -2"),
        (r#"{"allow":true,"type":"p","access":"r"}"#, "none of a, b, c"),
        (r#"{"allow":true,"access":"x"}"#, "only the letters r, w and m"),
        (r#"{"allow":true,"access":""}"#, "access is empty"),
        (r#"{"allow":false,"access":""}"#, "access is empty"),
    ] {
        let error = serde_json::from_str::<Rule>(json).unwrap_err().to_string();
        assert!(error.contains(words), "{json}: {error}");
    }
    let beyond = Rule { major: Some(4096), ..Rule::everything(true) };
    let error = Program::assemble(&[Rule::everything(false), beyond]).unwrap_err().to_string();
    assert_eq!(error, "linux.resources.devices[1]: major 4096 is above 4095");
}
