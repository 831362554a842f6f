//! Ids, groups and capabilities (class 4).

use std::fs;
use std::path::Path;

use libcontainer::{Factory, NamespaceKind, ProcessConfig, Stdio};
use libcontainer_tests::operator::Operator;
use libcontainer_tests::{BUSYBOX, copy_program, text};

use crate::{Attack, caller, joined, sh};

/// CVE-2016-3697, CVE-2022-2989: users and groups.
#[test]
fn numbers_are_numbers() {
    let Some(mut attack) = Attack::new("numbers") else { return };
    fs::write(attack.rootfs("etc/passwd"), "1000:x:0:0::/:\n").unwrap();
    attack.config.user = "1000".into();
    assert_eq!(attack.run("id -u; id -G").unwrap(), "1000\n0\n");
}

/// CVE-2016-3697 and CVE-2026-30892 in a join, by the library and by the command: the image calls user 0 by a number.
#[test]
fn a_number_is_no_name_in_a_join() {
    let Some(attack) = Attack::new("number-join") else { return };
    fs::write(attack.rootfs("etc/passwd"), "1:x:0:0::/:\nroot:x:0:0::/:\n").unwrap();
    fs::write(attack.rootfs("etc/group"), "1:x:0:\n").unwrap();
    let container = attack.create();
    for (user, wanted) in [("1", "1 0\n"), ("1:1", "1 1\n"), ("01", "1 0\n")] {
        let process = ProcessConfig { user: Some(user.into()), ..sh("echo $(id -u) $(id -g)") };
        match container.start(process.piped()) {
            Ok(process) => assert_eq!(text(&process.output(1 << 10).unwrap()), wanted, "{user}"),
            Err(error) => assert!(user == "01", "{error}"),
        }
    }
    container.destroy().unwrap();
    let Some(operator) = Operator::new("number-exec") else { return };
    fs::write(operator.config.rootfs.join("etc/passwd"), "1:x:0:0::/:\n").unwrap();
    operator.check(&["run", "--detach", "web"], 0, "");
    operator.check(&["exec", "--user", "1", "web", "id", "-u"], 0, "1\n");
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// containerd CVE-2024-40635, CVE-2026-46680: ids that are out of range are nobody's, neither 0 nor a name's.
#[test]
fn ids_out_of_range_are_errors() {
    const IDS: [&str; 10] = [
        "4294967296",
        "4294967296:4294967296",
        "0:4294967296",
        "18446744073709551616",
        "18446744073709551616:0",
        "-1",
        "4294967295",
        "1:4294967295",
        "0x0",
        "4294967296000000000000000000000",
    ];
    let Some(mut attack) = Attack::new("id-range") else { return };
    let lines: String =
        IDS.iter().filter(|id| !id.contains(':')).map(|id| format!("{id}:x:0:0::/:\n")).collect();
    fs::write(attack.rootfs("etc/passwd"), &lines).unwrap();
    let container = attack.create();
    for id in IDS.iter().filter(|id| **id != "0x0") {
        let process = ProcessConfig { user: Some((*id).into()), ..ProcessConfig::new(["id"]) };
        assert!(container.start(process).is_err(), "join as {id}");
        attack.config.user = (*id).into();
        let started =
            Factory::new().unwrap().run(attack.place.join("d"), &attack.config, ProcessConfig::new(["id"]));
        assert!(started.is_err(), "{id}");
    }
    container.destroy().unwrap();
    let Some(operator) = Operator::new("id-exec") else { return };
    operator.check(&["run", "--detach", "web"], 0, "");
    for id in ["4294967296", "4294967296:4294967296", "18446744073709551616", "4294967295"] {
        operator.check(&["exec", "--user", id, "web", "id"], 1, id.split(':').next().unwrap());
    }
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// What `status` shows of capabilities: inheritable, permitted, effective, bounding, ambient.
const SETS: &str = "grep ^Cap /proc/self/status | while read n v; do echo $v; done";
const NONE: &str = "0000000000000000";

/// CVE-2022-24769 and its kin, CVE-2022-29162, CVE-2025-27612, CVE-2016-8867: nothing is inheritable or ambient that nobody asked
/// for, and another user than root has nothing, even with a file in the image that gives what is inheritable.
#[test]
fn nothing_is_inheritable() {
    let Some(mut attack) = Attack::new("inheritable") else { return };
    let program = attack.rootfs("bin/busybox-gives");
    copy_program(Path::new(BUSYBOX), &program).unwrap();
    // Effective, revision 2; permitted: none; inheritable: all.
    let gives = [[1, 0, 0, 2], [0; 4], [255; 4], [0; 4], [255; 4]].concat();
    let given =
        rustix::fs::setxattr(&program, "security.capability", &gives, rustix::fs::XattrFlags::empty());
    let gives = if given.is_ok() { "/bin/busybox-gives" } else { "/bin/busybox" };
    let look = format!("{gives} sh -c '{SETS}'");
    for user in ["", "1000"] {
        attack.config.user = user.into();
        let kept = "00000000000000e3";
        let has = if user.is_empty() { kept } else { NONE };
        let wanted = [NONE, has, has, kept, NONE].join("\n") + "\n";
        assert_eq!(attack.run(&look).unwrap(), wanted, "{user:?}");
        let container = attack.create();
        assert_eq!(joined(&container, sh(&look)), wanted, "{user:?} joins");
        let more = Some(vec!["NET_ADMIN".to_owned(), "KILL".to_owned()]);
        let found = joined(&container, ProcessConfig { capabilities: more, ..sh(&look) });
        let sets: Vec<_> = found.lines().collect();
        assert!(
            sets.first() == Some(&NONE) && sets.last() == Some(&NONE),
            "{user:?} joins with more: {found}"
        );
        container.destroy().unwrap();
    }
}

/// bubblewrap CVE-2020-5291, containerd CVE-2025-47291: with every choice of namespaces and either user the sets are those of the config,
/// and the process is in its control group.
#[test]
fn every_choice_of_namespaces_is_confined() {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, User, Uts};
    let Some(mut attack) = Attack::new("choices") else { return };
    attack.config.hostname.clear();
    attack.config.networks.clear();
    attack.config.cgroups = Some(attack.place.cgroup());
    let name = attack.place.path().file_name().unwrap().to_string_lossy().into_owned();
    let kinds = [User, Pid, Ipc, Uts, Network, Cgroup];
    // An emulated machine takes seconds for each: none, each alone, all but each, all.
    let few = |choice: &u32| choice.count_ones() <= 1 || choice.count_ones() + 1 >= kinds.len() as u32;
    let emulated = std::env::var_os("LIBCONTAINER_EMULATED").is_some();
    for choice in (0_u32..1 << kinds.len()).filter(|choice| !emulated || few(choice)) {
        let chosen =
            kinds.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1).map(|(_, kind)| *kind);
        attack.config.namespaces = libcontainer::Namespaces::new(chosen.chain([Mount]));
        (attack.config.uid_mappings, attack.config.gid_mappings) = Default::default();
        if attack.config.namespaces.get(User).is_some() {
            attack.user_namespace();
        }
        for (user, has) in [("", "00000000000000e3"), ("1000", NONE)] {
            attack.config.user = user.into();
            let process = sh(&format!("{SETS}; read line")).piped();
            let process = ProcessConfig { stdin: Stdio::Pipe, ..process };
            let (container, process) =
                Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process).unwrap();
            let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap();
            let places = container.group().unwrap().places().len();
            let found = text(&process.output(1 << 10).unwrap());
            container.destroy().unwrap();
            let wanted = [NONE, has, has, "00000000000000e3", NONE].join("\n") + "\n";
            assert_eq!(found, wanted, "{choice:b} {user:?}");
            let within = groups.lines().filter(|line| line.contains(&name)).count();
            assert!(within >= places, "{choice:b} {user:?}: {places} places, {groups}");
        }
    }
}

/// CVE-2022-2989 and its kin: the caller's supplementary groups stay outside.
#[test]
fn groups_of_the_caller_stay_outside() {
    let Some(mut attack) = Attack::new("groups") else { return };
    for (user, wanted) in [("", "0\n"), ("1000:100", "100\n"), ("u", "100 10\n")] {
        attack.config.user = user.into();
        assert_eq!(caller(&attack, "groups", &["id", "-G"]), wanted, "{user:?}");
    }
}
