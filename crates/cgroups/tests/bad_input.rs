//! What must be refused, each with the field and the reason, before anything is changed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "group/ground.rs"]
mod ground;

use std::time::Duration;

use ground::{Ground, LONG, skip};
use libcontainer_cgroups::legacy::Cgroup;
use libcontainer_cgroups::limits::{Facts, OnRefusal, plan_v1, plan_v2, update};
use libcontainer_cgroups::{Error, Existing, GroupPath, Layout, Pid, Plan, Resources, Select};

/// Resources that are wrong on every machine: the JSON, and what the message says.
#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    (r#"{"memory":{"limit":-2}}"#, "memory.limit: -2 is below -1"),
    (r#"{"memory":{"limit":-9223372036854775808}}"#, "memory.limit: -9223372036854775808"),
    (r#"{"memory":{"reservation":-5}}"#, "memory.reservation"),
    (r#"{"memory":{"swap":-7}}"#, "memory.swap"),
    (r#"{"memory":{"kernel":-7}}"#, "memory.kernel"),
    (r#"{"memory":{"kernelTCP":-7}}"#, "memory.kernelTCP"),
    (r#"{"memory":{"limit":4096,"swap":4095}}"#, "memory.swap: 4095 is below memory.limit 4096"),
    (r#"{"memory":{"limit":-1,"swap":4096}}"#, "memory.swap: 4096 can't hold"),
    (r#"{"memory":{"limit":4096,"reservation":8192}}"#, "memory.reservation: 8192 is above"),
    (r#"{"memory":{"swappiness":101}}"#, "memory.swappiness: 101"),
    (r#"{"cpu":{"shares":262145}}"#, "cpu.shares: 262145"),
    (r#"{"cpu":{"shares":18446744073709551615}}"#, "cpu.shares"),
    (r#"{"cpu":{"shares":1024,"idle":1}}"#, "cpu.shares: an idle group"),
    (r#"{"cpu":{"quota":999}}"#, "cpu.quota: 999 is below 1000"),
    (r#"{"cpu":{"quota":-2}}"#, "cpu.quota: -2 is below -1"),
    (r#"{"cpu":{"period":999}}"#, "cpu.period: 999"),
    (r#"{"cpu":{"period":1000001}}"#, "cpu.period: 1000001"),
    (r#"{"cpu":{"quota":5000,"burst":5001}}"#, "cpu.burst: 5001 is above cpu.quota 5000"),
    (r#"{"cpu":{"idle":2}}"#, "cpu.idle: 2"),
    (r#"{"cpu":{"realtimeRuntime":-3}}"#, "cpu.realtimeRuntime: -3"),
    (r#"{"cpu":{"realtimeRuntime":5000,"realtimePeriod":4000}}"#, "cpu.realtimeRuntime: 5000 is above"),
    (r#"{"cpu":{"cpus":"3-1"}}"#, "cpu.cpus"),
    (r#"{"cpu":{"cpus":"0,,1"}}"#, "cpu.cpus"),
    (r#"{"cpu":{"cpus":"+1"}}"#, "cpu.cpus"),
    (r#"{"cpu":{"cpus":"0-7:3/2"}}"#, "cpu.cpus"),
    (r#"{"cpu":{"mems":"all"}}"#, "cpu.mems"),
    (r#"{"cpu":{"mems":"99999999999"}}"#, "cpu.mems"),
    (r#"{"pids":{"limit":-5}}"#, "pids.limit: -5"),
    (r#"{"blockIO":{"weight":9}}"#, "blockIO.weight: 9"),
    (r#"{"blockIO":{"leafWeight":1001}}"#, "blockIO.leafWeight: 1001"),
    (r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":1001}]}}"#, "blockIO.weightDevice[0].weight"),
    (r#"{"blockIO":{"weightDevice":[{"major":-8,"minor":0,"weight":10}]}}"#, "blockIO.weightDevice[0]: -8:0"),
    (r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1048576,"rate":1}]}}"#, "blockIO.throttleReadBpsDevice[0]"),
    (r#"{"blockIO":{"throttleWriteIOPSDevice":[{"major":4096,"minor":0,"rate":1}]}}"#, "blockIO.throttleWriteIOPSDevice[0]"),
    (r#"{"hugepageLimits":[{"pageSize":"2M","limit":1}]}"#, "hugepageLimits[0].pageSize"),
    (r#"{"hugepageLimits":[{"pageSize":"3MB","limit":1}]}"#, "hugepageLimits[0].pageSize"),
    (r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":1}]}"#, "hugepageLimits[0].pageSize"),
    (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":1},{"pageSize":"2MB","limit":2}]}"#, "hugepageLimits[1].pageSize: 2MB comes twice"),
    (r#"{"network":{"priorities":[{"name":"eth0 lo","priority":1}]}}"#, "network.priorities[0].name"),
    (r#"{"rdma":{"mlx5_0":{}}}"#, "rdma.mlx5_0"),
    (r#"{"rdma":{"a b":{"hcaHandles":1}}}"#, "rdma"),
    (r#"{"unified":{"../memory.max":"1"}}"#, "not the name of a control file"),
    (r#"{"unified":{"..":"1"}}"#, "not the name of a control file"),
    (r#"{"unified":{"":"1"}}"#, "not the name of a control file"),
    (r#"{"unified":{"memory":"1"}}"#, "not the name of a control file"),
    (r#"{"unified":{"memory.max\u0000":"1"}}"#, "not the name of a control file"),
    (r#"{"unified":{"cgroup.procs":"1"}}"#, "this file is no setting"),
    (r#"{"unified":{"cgroup.kill":"1"}}"#, "this file is no setting"),
    (r#"{"unified":{"memory.max":"1\u00002"}}"#, "NUL"),
];

#[test]
fn resources_that_are_wrong_everywhere() {
    for (json, message) in WRONG {
        let resources: Resources = serde_json::from_str(json).unwrap();
        let error = resources.validate().expect_err(json).to_string();
        assert!(error.contains(message), "{json}: {error}");
        assert!(
            plan_v1(&resources, &Facts::default()).is_err()
                && plan_v2(&resources, &Facts::default()).is_err()
        );
    }
    let several: Resources =
        serde_json::from_str(r#"{"memory":{"limit":-2},"cpu":{"quota":7},"pids":{"limit":-2}}"#).unwrap();
    assert_eq!(several.problems().len(), 3);
    assert!(matches!(several.validate(), Err(Error::Several(all)) if all.len() == 3));
}

#[test]
fn json_that_does_not_fit() {
    for json in [
        r#"{"memory":{"limit":9223372036854775808}}"#,
        r#"{"memory":{"swappiness":-1}}"#,
        r#"{"cpu":{"period":-1}}"#,
        r#"{"blockIO":{"weight":65536}}"#,
        r#"{"hugepageLimits":[{"pageSize":"2MB","limit":-1}]}"#,
        r#"{"network":{"classID":4294967296}}"#,
        r#"{"devices":[{"allow":true,"access":"x"}]}"#,
        r#"{"devices":[{"allow":true,"type":"q"}]}"#,
    ] {
        assert!(serde_json::from_str::<Resources>(json).is_err(), "{json}");
    }
}

/// Control files and their texts.
type Files = &'static [(&'static str, &'static str)];

/// What a group with these files can't do: the version, files and their text, the JSON, the message.
#[rustfmt::skip]
const NOT_HERE: &[(u8, Files, &str, &str)] = &[
    (1, &[], r#"{"memory":{"limit":4096,"swap":8192}}"#, "memory.swap: this kernel doesn't count swap"),
    (1, &[("memory.memsw.limit_in_bytes", "4096")], r#"{"memory":{"limit":8192}}"#, "memory.limit: 8192 is above the limit of memory and swap"),
    (1, &[("memory.memsw.limit_in_bytes", "8192"), ("memory.limit_in_bytes", "8192")], r#"{"memory":{"swap":4096}}"#, "memory.swap: 4096 is below"),
    (1, &[("memory.usage_in_bytes", "9000")], r#"{"memory":{"limit":8192,"checkBeforeUpdate":true}}"#, "memory.limit: rejecting memory limit 8192, below the 9000 bytes in use"),
    (1, &[], r#"{"memory":{"kernel":4096}}"#, "memory.kernel: this kernel has no file memory.kmem.limit_in_bytes"),
    (1, &[], r#"{"cpu":{"shares":1}}"#, "cpu.shares: 1 is below 2"),
    (1, &[], r#"{"cpu":{"quota":5000}}"#, "cpu.quota: this kernel has no file"),
    (1, &[], r#"{"cpu":{"realtimeRuntime":5000}}"#, "cpu.realtimeRuntime: this kernel has no file"),
    (1, &[], r#"{"cpu":{"idle":1}}"#, "cpu.idle: this kernel has no file"),
    (1, &[], r#"{"cpu":{"burst":100}}"#, "cpu.burst: this kernel has no file"),
    (1, &[], r#"{"blockIO":{"weight":100}}"#, "blockIO.weight: no scheduler"),
    (1, &[], r#"{"blockIO":{"leafWeight":100}}"#, "blockIO.leafWeight: this kernel has no file"),
    (1, &[], r#"{"hugepageLimits":[{"pageSize":"2MB","limit":1}]}"#, "no huge pages of 2MB"),
    (1, &[], r#"{"unified":{"memory.high":"1"}}"#, "version 2 of control groups is not used here"),
    (2, &[("memory.max", "max")], r#"{"memory":{"swap":8192}}"#, "memory.swap: 8192 can't hold"),
    (2, &[("memory.max", "9000")], r#"{"memory":{"swap":8192}}"#, "memory.swap: 8192 is below memory.limit 9000"),
    (2, &[], r#"{"memory":{"limit":4096,"swap":8192}}"#, "memory.swap: this kernel has no file memory.swap.max"),
    (2, &[("memory.current", "9000")], r#"{"memory":{"limit":8192,"checkBeforeUpdate":true}}"#, "rejecting memory limit 8192, below the 9000 bytes in use"),
    (2, &[("memory.current", "9000")], r#"{"memory":{"limit":1024,"swap":2048,"checkBeforeUpdate":true}}"#, "memory.swap: rejecting memory+swap limit 2048, below the 9000 bytes in use"),
    (2, &[], r#"{"memory":{"kernel":1}}"#, "memory.kernel: has no counterpart in version 2"),
    (2, &[], r#"{"memory":{"swappiness":10}}"#, "memory.swappiness: has no counterpart"),
    (2, &[], r#"{"memory":{"disableOOMKiller":true}}"#, "memory.disableOOMKiller: has no counterpart"),
    (2, &[], r#"{"memory":{"useHierarchy":false}}"#, "memory.useHierarchy: has no counterpart"),
    (2, &[], r#"{"cpu":{"realtimePeriod":5000}}"#, "cpu.realtimePeriod: has no counterpart"),
    (2, &[], r#"{"network":{"classID":5}}"#, "network.classID: has no counterpart"),
    (2, &[], r#"{"blockIO":{"leafWeight":100}}"#, "blockIO.leafWeight: has no counterpart"),
    (2, &[], r#"{"blockIO":{"weight":100}}"#, "blockIO.weight: this kernel has no file io.weight"),
    (2, &[], r#"{"unified":{"memory.abacus":"1"}}"#, "unified[\"memory.abacus\"]: no such file in the group"),
    (2, &[], r#"{"unified":{"abacus.max":"1"}}"#, "the controller abacus is not enabled"),
    (2, &[("memory.high", "max")], r#"{"unified":{"memory.high":" "}}"#, "the value is empty"),
];

#[test]
fn resources_that_this_group_cannot_have() {
    for (version, files, json, message) in NOT_HERE {
        let facts = files.iter().fold(Facts::default(), |facts, (name, text)| facts.with_file(name, text));
        let resources: Resources = serde_json::from_str(json).unwrap();
        resources.validate().unwrap();
        let plan = if *version == 1 { plan_v1 } else { plan_v2 };
        let error = plan(&resources, &facts).expect_err(json).to_string();
        assert!(error.contains(message), "{json}: {error}");
    }
}

#[test]
fn controllers_that_are_not_there() {
    let facts = Facts::default().with_missing("pids", "/sys/fs/cgroup/pids is mounted read-only");
    for (json, message) in [
        (
            r#"{"pids":{"limit":5}}"#,
            "pids.limit: the controller pids can't be used: /sys/fs/cgroup/pids is mounted read-only",
        ),
        (r#"{"memory":{"limit":4096}}"#, "memory: the controller memory can't be used"),
        (r#"{"cpu":{"shares":5}}"#, "cpu: the controller cpu can't be used"),
        (r#"{"cpu":{"cpus":"0"}}"#, "cpu.cpus: the controller cpuset can't be used"),
        (r#"{"blockIO":{"weight":50}}"#, "blockIO: the controller blkio can't be used"),
        (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":1}]}"#, "the controller hugetlb can't be used"),
        (r#"{"network":{"classID":1}}"#, "the controller net_cls can't be used"),
        (r#"{"rdma":{"a":{"hcaHandles":1}}}"#, "the controller rdma can't be used"),
    ] {
        let resources = serde_json::from_str(json).unwrap();
        let error = libcontainer_cgroups::limits::plan(&resources, &facts).expect_err(json).to_string();
        assert!(error.contains(message), "{json}: {error}");
    }
    // What asks for nothing needs no controller.
    let nothing = r#"{"memory":{"limit":0,"disableOOMKiller":false},"cpu":{"shares":0,"idle":0},"blockIO":{"weight":0},"pids":{}}"#;
    let resources = serde_json::from_str(nothing).unwrap();
    assert_eq!(libcontainer_cgroups::limits::plan(&resources, &Facts::default()).unwrap(), []);
}

#[test]
fn paths() {
    let long = "x".repeat(256);
    let deep = "y/".repeat(2100);
    for path in [
        "",
        "/",
        "a/",
        "//a",
        "a//b",
        "..",
        "a/..",
        "../a",
        "/a/../../b",
        ".",
        "a/./b",
        "a\0b",
        "a\nb",
        &long,
        &deep,
    ] {
        let error = GroupPath::new(path).expect_err(path).to_string();
        assert!(error.starts_with("cgroupsPath: "), "{error}");
    }
    for (parent, name) in [("", ""), ("docker", ""), ("/..", "a"), ("docker/", "a"), ("docker", "../a")] {
        assert!(GroupPath::in_parent(parent, name).is_err(), "{parent} {name}");
    }
    for pid in [0, -1, i32::MIN] {
        assert!(Pid::new(pid).is_err());
    }
    assert!(GroupPath::new("a..b/...").is_ok());
}

#[test]
fn settings_of_2014() {
    for json in [
        r#"{"cpu_shares":-1}"#,
        r#"{"cpu_period":-1}"#,
        r#"{"blkio_weight":-1}"#,
        r#"{"blkio_weight":70000}"#,
        r#"{"allowed_devices":[{"type":99,"cgroup_permissions":"x"}]}"#,
        r#"{"allowed_devices":[{"type":100,"cgroup_permissions":"r"}]}"#,
        r#"{"allowed_devices":[{"type":99,"major_number":-2,"cgroup_permissions":"r"}]}"#,
    ] {
        let cgroup: Cgroup = serde_json::from_str(json).unwrap();
        assert!(cgroup.to_resources().is_err(), "{json}");
    }
    let cgroup = Cgroup { freezer: "COLD".to_owned(), ..Cgroup::default() };
    assert!(cgroup.frozen().is_err());
}

#[test]
fn a_control_file_is_no_group() {
    let path = GroupPath::new("cgroup.procs/a").unwrap();
    let layout = Layout::of_this_process().unwrap();
    if layout.all().next().is_none() {
        return skip("a_control_file_is_no_group", "no hierarchy is mounted");
    }
    let error = Plan::new(&layout, &path, &Select::Usable).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOTDIR), "{error}");
}

#[test]
fn a_group_deleted_underneath() {
    let Some(ground) = Ground::new("a_group_deleted_underneath", &["pids"]) else { return };
    let group = &ground.group;
    for path in group.paths().values() {
        // Co-mounted controllers share a directory.
        let _ = std::fs::remove_dir(path);
    }
    let limits = serde_json::from_str(r#"{"pids":{"limit":5}}"#).unwrap();
    assert!(update(group, &limits, OnRefusal::RollBack).unwrap_err().to_string().contains("pids"));
    assert!(group.processes().unwrap_err().is_gone());
    assert!(group.join_files().is_err());
    group.kill(LONG).unwrap();
    group.remove(LONG).unwrap();
}

#[test]
fn a_threaded_group_takes_no_processes() {
    let test = "a_threaded_group_takes_no_processes";
    let Some(ground) = Ground::new(test, &[]) else { return };
    let Some(unified) = ground.group.unified() else { return skip(test, "version 2 is not mounted") };
    unified.make("threads").unwrap();
    if unified.child("threads").unwrap().write("cgroup.type", "threaded").is_err() {
        return skip(test, "this kernel has no threaded groups here");
    }
    // Beside a threaded group, a new one can't be used at all.
    let below = unified.path().join("threads/x");
    std::fs::create_dir(&below).unwrap();
    let layout = Layout::of_this_process().unwrap();
    let mountpoint = &layout.v2.as_ref().unwrap().mountpoint;
    let path =
        GroupPath::new(std::path::Path::new("/").join(below.strip_prefix(mountpoint).unwrap())).unwrap();
    let select = Select::Only(["unified".to_owned()].into());
    let error = Plan::new(&layout, &path, &select).and_then(|plan| plan.make(Existing::Refuse)).unwrap_err();
    assert!(error.to_string().contains("takes no processes"), "{error}");
    assert!(below.is_dir(), "a group of others was removed");
}

#[test]
fn a_full_group_refuses_the_start_and_time_is_kept() {
    let test = "a_full_group_refuses_the_start_and_time_is_kept";
    let Some(mut ground) = Ground::new(test, &["pids", "freezer"]) else { return };
    update(&ground.group, &serde_json::from_str(r#"{"pids":{"limit":1}}"#).unwrap(), OnRefusal::Leave)
        .unwrap();
    ground.run("/bin/true || exit 3; exit 4");
    assert!(matches!(ground.wait().code(), Some(2 | 3)), "a fork went through at the limit");
    assert_eq!(ground.read("pids", "pids.current"), "0");
    // No time at all: an error, and nothing is left frozen.
    ground.run("exec sleep 1000");
    match ground.group.freeze(Duration::ZERO) {
        Err(Error::Timeout { .. }) => {
            assert_eq!(ground.group.frozen_state().unwrap(), libcontainer_cgroups::FreezerState::Thawed);
        }
        frozen => frozen.unwrap(),
    }
}
