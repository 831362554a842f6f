//! The eBPF filter in the kernel, on a group of version 2 of this machine.

use libcontainer_cgroups::devices::{Filter, Program, Rule, attached, detach_all, set};
use libcontainer_cgroups::{Dir, Error};

use crate::any::docker;
use crate::live::Group;
use crate::skip::skip;

/// A group, and whether bpf(2) lets us work on it.
fn able(name: &str) -> Option<Group> {
    let group = Group::new("").map_err(|reason| skip(name, &reason)).ok()?;
    let all = Program::assemble(&[Rule::everything(true)]).unwrap();
    match Filter::load(&all) {
        Ok(_) => Some(group),
        Err(error) if error.errno() == Some(libc::EPERM) => {
            skip(name, &error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn ids(dir: &Dir) -> Vec<(u32, bool)> {
    attached(dir).unwrap().iter().map(|one| (one.id, one.is_ours())).collect()
}

#[test]
fn attached_replaced_and_taken_off() {
    let Some(group) = able("attached_replaced_and_taken_off") else { return };
    let dir = group.dir();
    assert!(ids(&dir).is_empty());
    assert!(group.reads("/dev/full"));

    set(&dir, &docker()).unwrap();
    let first = ids(&dir);
    assert_eq!((first.len(), first[0].1), (1, true));
    assert_eq!(attached(&dir).unwrap()[0].name, "container_dev");
    assert!(group.reads("/dev/zero") && group.writes("/dev/null") && group.makes_zero());
    assert!(!group.reads("/dev/full"));

    // Replaced: still one program, another one.
    let rules: Vec<Rule> = serde_json::from_str(
        r#"[{"allow": true, "type": "c", "major": 1, "minor": 7, "access": "r"},
            {"allow": true, "type": "c", "major": 1, "minor": 3}]"#,
    )
    .unwrap();
    set(&dir, &rules).unwrap();
    let second = ids(&dir);
    assert_eq!(second.len(), 1);
    assert_ne!(first[0].0, second[0].0);
    assert!(group.reads("/dev/full") && !group.writes("/dev/full"));
    assert!(!group.reads("/dev/zero") && !group.makes_zero());

    assert_eq!(detach_all(&dir).unwrap(), 1);
    assert_eq!(detach_all(&dir).unwrap(), 0);
    assert!(ids(&dir).is_empty());
    assert!(group.writes("/dev/full") && group.reads("/dev/zero"));
}

#[test]
fn while_it_is_replaced_nothing_slips_through() {
    let Some(group) = able("while_it_is_replaced_nothing_slips_through") else { return };
    let dir = group.dir();
    set(&dir, &docker()).unwrap();
    // Both lists deny full and allow zero: a program that tries both without end must never see anything else.
    let script = "i=0; while [ $i -lt 30000 ]; do command : 2>&- 3< /dev/full && exit 1; \
                  command : 3< /dev/zero || exit 2; i=$((i+1)); done; exit 0";
    let script = format!("echo $$ > {}/cgroup.procs && {script}", group.path().display());
    let mut child = std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let mut lists = [docker(), docker()];
    lists[1].push(Rule { minor: Some(9), ..docker()[1] });
    let mut swaps = 0;
    let status = loop {
        set(&dir, &lists[swaps % 2]).unwrap();
        swaps += 1;
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success(), "{status:?} after {swaps} swaps");
    assert!(swaps > 10, "only {swaps} swaps");
    assert_eq!(ids(&dir).len(), 1);
}

#[test]
fn what_a_killed_run_left_goes() {
    let Some(group) = able("what_a_killed_run_left_goes") else { return };
    let dir = group.dir();
    // Two at once, as a kernel without BPF_F_REPLACE may show them after a kill.
    let old = Filter::load(&Program::assemble(&[Rule::everything(false)]).unwrap()).unwrap();
    let older = Filter::load(&Program::assemble(&[Rule::everything(false)]).unwrap()).unwrap();
    old.attach(&dir).unwrap();
    older.attach(&dir).unwrap();
    assert!(!group.reads("/dev/zero"));
    set(&dir, &[Rule::everything(true)]).unwrap();
    assert_eq!(ids(&dir).len(), 1);
    assert!(group.reads("/dev/zero"));
    let error = old.detach(&dir).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
}

#[test]
fn what_the_verifier_refuses() {
    let Some(_group) = able("what_the_verifier_refuses") else { return };
    // r0 is never set.
    let error = Filter::load_bytes(&[0x95, 0, 0, 0, 0, 0, 0, 0]).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Write { .. }) && text.contains("the verifier says: "), "{text}");
    assert!(text.contains("device filter of 1 instructions"), "{text}");
}

#[test]
fn no_group_of_version_2() {
    let Some(_group) = able("no_group_of_version_2") else { return };
    let dir = Dir::open("/proc").unwrap();
    let error = set(&dir, &[Rule::everything(true)]).unwrap_err();
    assert!(matches!(&error, Error::Directory { path, .. } if path.to_str() == Some("/proc")), "{error}");
}

#[test]
fn the_longest_program_loads() {
    let Some(group) = able("the_longest_program_loads") else { return };
    let rule = |minor| Rule { minor: Some(minor), major: Some(1), ..Rule::everything(true) };
    let mut rules: Vec<Rule> = (100..900).map(rule).collect();
    rules.push(rule(5));
    rules.push(Rule { minor: Some(3), ..rule(3) });
    set(&group.dir(), &rules).unwrap();
    assert!(group.reads("/dev/zero") && !group.reads("/dev/full"));
}
