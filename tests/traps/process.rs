//! Traps of users, joins, capabilities, ends and terminals.

use std::fs;
use std::os::unix::fs::MetadataExt;

use libcontainer::plan::Lane;
use libcontainer::{ErrorKind, Factory, Namespace, NamespaceKind, Probe, ProcessConfig, resolve_user};
use libcontainer_tests::{Place, World};

use crate::{Trap, output, read, until};

#[test]
fn trap_21_garbage_is_nobody() {
    let passwd = b"garbage:x:zero:0::/:\nempty:x:::/:\nu:x:1000:100::/home/u:\n";
    let group = b"wheel:x:10:u\nbad:x:ten:u\n";
    let resolve = |spec| resolve_user(spec, passwd, group, &[]);
    for spec in ["garbage", "empty", "u:bad", "4294967295", "-1"] {
        assert!(resolve(spec).is_err(), "{spec}");
    }
    let user = resolve("u").unwrap();
    assert_eq!((user.uid, user.gid, user.groups), (1000, 100, vec![10]));
    assert!(resolve("u:wheel").unwrap().groups.is_empty(), "an explicit group takes the others away");
    let unknown = resolve("4242").unwrap();
    assert_eq!((unknown.uid, unknown.gid, unknown.home.to_str()), (4242, 0, Some("/")));
    let Some(mut trap) = Trap::new("trap21") else { return };
    trap.config.user = "garbage".into();
    assert_eq!(trap.run("id").unwrap_err().kind(), ErrorKind::InvalidConfig);
}

#[test]
fn trap_22_home_is_the_same_for_both() {
    let Some(mut trap) = Trap::new("trap22") else { return };
    trap.config.user = "u".into();
    for (home, wanted) in [(None, "/home/u\n"), (Some("HOME="), "/home/u\n"), (Some("HOME=/x"), "/x\n")] {
        trap.config.environment = ["PATH=/bin"].into_iter().chain(home).map(str::to_owned).collect();
        trap.check("echo $HOME", wanted);
        let container = trap.create();
        assert_eq!(output(&container, "echo $HOME"), wanted, "joined, {home:?}");
        container.destroy().unwrap();
    }
}

#[test]
fn trap_23_a_join_is_confined_like_the_first() {
    let Some(mut trap) = Trap::new("trap23") else { return };
    trap.config.no_new_privileges = true;
    trap.config.umask = Some(0o027);
    trap.config.rlimits = serde_json::from_str(r#"[{"type":"NOFILE","soft":64,"hard":64}]"#).unwrap();
    let look = "umask; ulimit -n; cat /proc/self/uid_map; grep -E '^(Cap.*|NoNewPrivs|Groups|[UG]id):' /proc/self/status; \
        for n in mnt uts ipc pid net user; do readlink /proc/self/ns/$n; done; grep -c ' ro,' /proc/self/mountinfo";
    for user_namespace in [false, true] {
        if user_namespace {
            trap.user_namespace(65_536);
        }
        let first = format!("({look}) > /tmp/new; mv /tmp/new /tmp/first; sleep 100; true");
        let process = ProcessConfig::new(["sh", "-c", &first]);
        let (container, _process) =
            Factory::new().unwrap().run(trap.place.join("c"), &trap.config, process).unwrap();
        until(|| trap.rootfs("tmp/first").exists());
        let first = fs::read_to_string(trap.rootfs("tmp/first")).unwrap();
        assert!(first.contains("CapEff:\t00000000000000e3") && first.contains("NoNewPrivs:\t1"), "{first}");
        assert!(first.starts_with("0027\n64\n") && first.contains("net:["), "{first}");
        assert_eq!(output(&container, look), first, "user namespace: {user_namespace}");
        container.destroy().unwrap();
        fs::remove_file(trap.rootfs("tmp/first")).unwrap();
    }
}

#[test]
fn trap_25_code_and_signal_are_apart() {
    let Some(trap) = Trap::new("trap25") else { return };
    let container = trap.create();
    for (script, code, signal, shell) in
        [("exit 0", Some(0), None, 0), ("exit 255", Some(255), None, 255), ("kill -9 $$", None, Some(9), 137)]
    {
        let status = container.start(ProcessConfig::new(["sh", "-c", script])).unwrap().wait().unwrap();
        assert_eq!((status.code(), status.signal(), status.shell_code()), (code, signal, shell), "{script}");
    }
    container.destroy().unwrap();
}

#[test]
fn trap_29_unknown_names_are_errors() {
    let config =
        read(r#"{"rootfs":"/x","namespaces":{"NEWNS":true,"NEWX":true},"capabilities":["KILL","X"]}"#);
    let error = Factory::new().unwrap().explain(&config, None).map(drop).unwrap_err();
    let pointers: Vec<_> = error.config_problems().iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/namespaces/NEWX", "/capabilities/1"]);
}

#[test]
fn trap_30_kept_capabilities_are_not_inheritable() {
    let Some(mut trap) = Trap::new("trap30") else { return };
    let none = "0000000000000000";
    trap.check(
        "grep -E 'Cap(Inh|Amb|Eff)' /proc/self/status",
        &format!("CapInh:\t{none}\nCapEff:\t00000000000000e3\nCapAmb:\t{none}\n"),
    );
    trap.config.no_new_privileges = true;
    trap.check("grep NoNew /proc/self/status", "NoNewPrivs:\t1\n");
}

#[test]
fn trap_31_a_failed_start_leaves_nothing_and_records_are_renamed() {
    let Some(trap) = Trap::new("trap31") else { return };
    trap.run("true").unwrap();
    let before = World::look(trap.place.path());
    for program in ["/nope", "/etc/passwd"] {
        let process = ProcessConfig::new([program]);
        Factory::new().unwrap().run(trap.place.join("c"), &trap.config, process).unwrap_err();
        assert_eq!(World::look(trap.place.path()).more_than(&before), None, "{program}");
    }
    let process = ProcessConfig::new(["sleep", "100"]);
    let (container, process) =
        Factory::new().unwrap().create_with(trap.place.join("c"), &trap.config, process).unwrap();
    let record = || fs::metadata(trap.place.join("c/state.json")).unwrap();
    // The first file is kept open, so that its number is not given to the second.
    let (old, kept) = (record().ino(), fs::File::open(trap.place.join("c/state.json")).unwrap());
    container.run().unwrap();
    assert_ne!(record().ino(), old, "a new file in place of the old one");
    let names: Vec<_> = fs::read_dir(trap.place.join("c")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{names:?}");
    container.destroy().unwrap();
    drop((container, process, kept));
    assert_eq!(World::look(trap.place.path()).more_than(&before), None);
}

#[test]
fn trap_32_an_error_names_step_object_and_errno() {
    let Some(mut trap) = Trap::new("trap32") else { return };
    trap.mount_config(r#"{"mounts":[{"type":"tmpfs","destination":"/etc/passwd"}]}"#);
    let error = trap.run("true").unwrap_err();
    let step = error.step().unwrap();
    assert_eq!(
        (error.kind(), error.errno(), step.lane),
        (ErrorKind::StartFailed, Some(libc::ENOTDIR), Lane::Child)
    );
    assert!(step.index > 0 && step.index < step.total && step.call.contains("passwd"), "{step:?}");
    assert_eq!(step.purpose, "mount tmpfs on /etc/passwd");
}

#[test]
fn trap_33_the_umask_is_0022_unless_told() {
    let Some(mut trap) = Trap::new("trap33") else { return };
    for (umask, wanted) in [(None, "0022\n"), (Some(0o027), "0027\n"), (Some(0), "0000\n")] {
        trap.config.umask = umask;
        trap.check("umask", wanted);
    }
}

#[test]
fn trap_34_devpts_has_no_group_that_is_not_mapped() {
    let Some(mut trap) = Trap::new("trap34") else { return };
    let script = "grep ' /dev/pts ' /proc/self/mountinfo | grep -c gid=5";
    trap.check(script, "1\n");
    for (size, wanted) in [(5, "0\n"), (6, "1\n")] {
        trap.user_namespace(size);
        trap.check(script, wanted);
    }
    // One that is joined by path: its map is not known.
    trap.user_namespace(5);
    let mut config = trap.config.clone();
    let container = Factory::new().unwrap().create(trap.place.join("owner"), &config).unwrap();
    let path = format!("/proc/{}/ns/user", container.init_pid().unwrap().unwrap());
    config.namespaces.set(NamespaceKind::User, Namespace::Join(path.into()));
    (config.uid_mappings, config.gid_mappings) = Default::default();
    trap.config = config;
    trap.check(script, "0\n");
    container.destroy().unwrap();
}

#[test]
fn trap_36_a_terminal_is_asked_for_explicitly() {
    let Some(mut trap) = Trap::new("trap36") else { return };
    trap.config.tty = true;
    trap.check("tty", "not a tty\n");
    trap.config.tty = false;
    let process = ProcessConfig { terminal: true, ..ProcessConfig::new(["tty"]) };
    let (container, mut process) =
        Factory::new().unwrap().run(trap.place.join("c"), &trap.config, process).unwrap();
    assert!(process.terminal.is_some() && process.wait().unwrap().success(), "tty(1) fails without one");
    container.destroy().unwrap();
}

#[test]
fn trap_39_levels_are_reserved_among_all_processes() {
    use libcontainer::security::selinux::Levels;
    let place = Place::new("trap39");
    // Each is a program of its own, as far as the others can see: nothing is shared but the directory.
    let program = || Levels::new(place.join("mcs")).categories(2);
    let first = program().reserve().unwrap();
    assert!(program().reserve().is_err(), "the only pair is taken");
    first.keep_for(place.path()).unwrap();
    assert!(program().reserve().is_err(), "and stays so for the container that was made");
    // What a config asks for is what is used.
    let label = "system_u:object_r:svirt_sandbox_file_t:s0:c1,c2";
    let mut config = read(
        r#"{"rootfs":"/x","namespaces":{"NEWNS":true},"process_label":"system_u:system_r:svirt_lxc_net_t:s0:c2,c1",
        "mount_config":{}}"#,
    );
    config.mount_config.as_mut().unwrap().mount_label = label.to_owned();
    for _ in 0..2 {
        let plan = Factory::new().unwrap().explain(&config, None).unwrap().explain().to_string();
        assert!(
            plan.contains(label) && plan.contains("system_u:system_r:svirt_lxc_net_t:s0:c1,c2"),
            "{plan}"
        );
    }
}

#[test]
fn trap_40_setgroups_is_left_out_where_it_is_denied() {
    let json = |size: u32, more: &str| {
        format!(
            r#"{{"rootfs":"/x","namespaces":{{"NEWNS":true,"NEWUSER":true}},{more}
            "uid_mappings":[{{"host_id":4321,"size":1}}],"gid_mappings":[{{"host_id":4321,"size":{size}}}]}}"#
        )
    };
    let ordinary = Probe { euid: 4321, egid: 4321, ..Probe::linux(6, 1) };
    let factory = Factory::with_probe(ordinary);
    let process = ProcessConfig::new(["id"]);
    let plan =
        |json: &str| factory.explain(&read(json), Some(&process)).map(|plan| plan.explain().to_string());
    let denied = plan(&json(1, "")).unwrap();
    assert!(denied.contains("setresuid(") && !denied.contains("setgroups("), "{denied}");
    assert!(plan(&json(2, "")).unwrap().contains("setgroups("), "newgidmap allows it");
    let error = plan(&json(1, r#""additional_groups":["5"],"#)).unwrap_err();
    assert!(error.to_string().contains("denies setgroups"), "{error}");
    let Some(trap) = Trap::new("trap40") else { return };
    let found = trap.run("id -G").unwrap();
    assert_eq!(found, "0\n", "always called otherwise");
}
