//! Plans, without a machine.

use libcontainer_cgroups::Resources;
use libcontainer_cgroups::legacy::Cgroup;
use libcontainer_cgroups::limits::{Facts, FileWrite, plan, plan_v1, plan_v2, swap_alone, weight_of_shares};
use libcontainer_cgroups::stats::Version;

fn resources(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

fn lines(writes: Vec<FileWrite>) -> Vec<String> {
    writes.into_iter().map(|write| format!("{}={}", write.file, write.value)).collect()
}

/// A group with every file that plans look for, unlimited.
fn facts() -> Facts {
    let files = [
        ("memory.limit_in_bytes", "9223372036854771712"),
        ("memory.memsw.limit_in_bytes", "9223372036854771712"),
        ("memory.usage_in_bytes", "4096"),
        ("memory.current", "4096"),
        ("memory.use_hierarchy", "1"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0"),
        ("memory.kmem.tcp.limit_in_bytes", "9223372036854771712"),
        ("memory.max", "max"),
        ("memory.swap.max", "max"),
        ("cpu.cfs_quota_us", "-1"),
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_burst_us", "0"),
        ("cpu.rt_runtime_us", "0"),
        ("cpu.rt_period_us", "1000000"),
        ("cpu.max", "max 100000"),
        ("cpu.max.burst", "0"),
        ("cpu.idle", "0"),
        ("blkio.bfq.weight", "100"),
        ("blkio.bfq.weight_device", ""),
        ("io.weight", "default 100"),
        ("hugetlb.2MB.limit_in_bytes", "1"),
        ("hugetlb.2MB.rsvd.limit_in_bytes", "1"),
        ("hugetlb.2MB.max", "max"),
        ("memory.high", "max"),
        ("cgroup.max.depth", "max"),
        ("io.latency", ""),
    ];
    files.iter().fold(Facts::default(), |facts, (name, text)| facts.with_file(name, text))
}

/// What is asked for, what version 1 gets, what version 2 gets.
#[rustfmt::skip]
const CONVERSIONS: &[(&str, &[&str], &[&str])] = &[
    (r#"{"memory":{"limit":8192}}"#, &["memory.limit_in_bytes=8192"], &["memory.max=8192"]),
    (r#"{"memory":{"limit":8192,"swap":8192}}"#, &["memory.limit_in_bytes=8192", "memory.memsw.limit_in_bytes=8192"], &["memory.swap.max=0", "memory.max=8192"]),
    (r#"{"memory":{"limit":8192,"swap":12288,"reservation":4096}}"#, &["memory.limit_in_bytes=8192", "memory.memsw.limit_in_bytes=12288", "memory.soft_limit_in_bytes=4096"], &["memory.swap.max=4096", "memory.max=8192", "memory.low=4096"]),
    (r#"{"memory":{"limit":8192,"swap":-1}}"#, &["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=8192"], &["memory.swap.max=max", "memory.max=8192"]),
    (r#"{"memory":{"limit":-1}}"#, &["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1"], &["memory.swap.max=max", "memory.max=max"]),
    (r#"{"memory":{"limit":0,"swap":0,"reservation":0,"disableOOMKiller":false,"useHierarchy":true}}"#, &[], &[]),
    (r#"{"cpu":{"shares":1024}}"#, &["cpu.shares=1024"], &["cpu.weight=100"]),
    (r#"{"cpu":{"shares":0,"quota":0,"period":0,"cpus":"","mems":""}}"#, &[], &[]),
    (r#"{"cpu":{"quota":50000,"period":200000}}"#, &["cpu.cfs_period_us=200000", "cpu.cfs_quota_us=50000"], &["cpu.max=50000 200000"]),
    (r#"{"cpu":{"quota":50000}}"#, &["cpu.cfs_quota_us=50000"], &["cpu.max=50000 100000"]),
    (r#"{"cpu":{"period":50000}}"#, &["cpu.cfs_period_us=50000"], &["cpu.max=max 50000"]),
    (r#"{"cpu":{"quota":-1,"period":50000}}"#, &["cpu.cfs_period_us=50000", "cpu.cfs_quota_us=-1"], &["cpu.max=max 50000"]),
    (r#"{"cpu":{"quota":50000,"burst":20000}}"#, &["cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=20000"], &["cpu.max=50000 100000", "cpu.max.burst=20000"]),
    (r#"{"cpu":{"idle":1}}"#, &["cpu.idle=1"], &["cpu.idle=1"]),
    (r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#, &["cpuset.mems=0", "cpuset.cpus=0-1"], &["cpuset.mems=0", "cpuset.cpus=0-1"]),
    (r#"{"pids":{"limit":7}}"#, &["pids.max=7"], &["pids.max=7"]),
    (r#"{"pids":{"limit":-1}}"#, &["pids.max=max"], &["pids.max=max"]),
    (r#"{"pids":{"limit":0}}"#, &["pids.max=1"], &["pids.max=1"]),
    (r#"{"pids":{}}"#, &[], &[]),
    (r#"{"blockIO":{"weight":500,"weightDevice":[{"major":8,"minor":0,"weight":1000}]}}"#, &["blkio.bfq.weight=500", "blkio.bfq.weight_device=8:0 1000"], &["io.weight=default 4950", "io.weight=8:0 10000"]),
    (r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":600}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#, &["blkio.throttle.read_bps_device=8:0 600", "blkio.throttle.write_iops_device=8:0 0"], &["io.max=8:0 rbps=600 wiops=max"]),
    (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#, &["hugetlb.2MB.limit_in_bytes=4194304", "hugetlb.2MB.rsvd.limit_in_bytes=4194304"], &["hugetlb.2MB.max=4194304"]),
    (r#"{"rdma":{"mlx5_0":{"hcaHandles":3}}}"#, &["rdma.max=mlx5_0 hca_handle=3"], &["rdma.max=mlx5_0 hca_handle=3"]),
];

/// Trap 27: one order, always.
#[test]
fn each_version_gets_its_files_in_order() {
    for (json, v1, v2) in CONVERSIONS {
        assert_eq!(&lines(plan_v1(&resources(json), &facts()).unwrap()), v1, "version 1: {json}");
        assert_eq!(&lines(plan_v2(&resources(json), &facts()).unwrap()), v2, "version 2: {json}");
    }
}

#[test]
fn what_only_one_version_has() {
    let v1 = r#"{"memory":{"swappiness":10,"disableOOMKiller":true,"kernelTCP":4096},"cpu":{"realtimeRuntime":5000,"realtimePeriod":900000},
        "network":{"classID":7,"priorities":[{"name":"lo","priority":3}]}}"#;
    let expected = [
        "cpu.rt_period_us=900000",
        "cpu.rt_runtime_us=5000",
        "memory.kmem.tcp.limit_in_bytes=4096",
        "memory.swappiness=10",
        "memory.oom_control=1",
        "net_cls.classid=7",
        "net_prio.ifpriomap=lo 3",
    ];
    assert_eq!(lines(plan_v1(&resources(v1), &facts()).unwrap()), expected);
    assert!(plan_v2(&resources(v1), &facts()).is_err());
    let v2 = r#"{"unified":{"memory.high":"4096","cgroup.max.depth":"3","io.latency":"8:0 target=10\n8:16 target=20"}}"#;
    let expected =
        ["cgroup.max.depth=3", "io.latency=8:0 target=10", "io.latency=8:16 target=20", "memory.high=4096"];
    assert_eq!(lines(plan_v2(&resources(v2), &facts()).unwrap()), expected);
    assert!(plan_v1(&resources(v2), &facts()).is_err());
}

/// Limit and sum of now, then wanted, then what is written first: memory (`m`) or the sum (`s`).
#[test]
fn memory_and_the_sum_never_cross() {
    let table = [
        (100, 200, 50, 150, 's'),
        (100, 200, 50, 80, 'm'),
        (100, 200, 300, 400, 's'),
        (100, 100, 100, 100, 's'),
        (100, 200, 150, 150, 's'),
        (300, 400, 100, 200, 'm'),
    ];
    for (limit, sum, to_limit, to_sum, first) in table {
        let facts = Facts::default()
            .with_file("memory.limit_in_bytes", &limit.to_string())
            .with_file("memory.memsw.limit_in_bytes", &sum.to_string());
        let json = format!(r#"{{"memory":{{"limit":{to_limit},"swap":{to_sum}}}}}"#);
        let writes = plan_v1(&resources(&json), &facts).unwrap();
        let (mut now_limit, mut now_sum) = (limit, sum);
        for write in &writes {
            let value: i32 = write.value.parse().unwrap();
            if write.file == "memory.limit_in_bytes" {
                now_limit = value;
            } else {
                now_sum = value;
            }
            assert!(now_limit <= now_sum, "{json} after {write:?}");
        }
        assert_eq!((now_limit, now_sum), (to_limit, to_sum));
        assert_eq!(writes[0].file == "memory.limit_in_bytes", first == 'm', "{json}");
    }
}

#[test]
fn quota_and_period_never_pass_both_shares() {
    for old in [(-1_i64, 100_000_u32), (50_000, 100_000), (10_000, 1_000_000), (900_000, 1_000_000)] {
        for new in [(-1_i64, 50_000_u32), (20_000, 25_000), (400_000, 500_000), (1000, 1_000_000)] {
            let facts = Facts::default()
                .with_file("cpu.cfs_quota_us", &old.0.to_string())
                .with_file("cpu.cfs_period_us", &old.1.to_string());
            let json = format!(r#"{{"cpu":{{"quota":{},"period":{}}}}}"#, new.0, new.1);
            let writes = plan_v1(&resources(&json), &facts).unwrap();
            let share = |(quota, period): (i64, u32)| {
                if quota < 0 { 0.0 } else { f64::from(i32::try_from(quota).unwrap()) / f64::from(period) }
            };
            let between = if writes[0].file == "cpu.cfs_quota_us" { (new.0, old.1) } else { (old.0, new.1) };
            assert!(share(between) <= share(old).max(share(new)), "{old:?} to {new:?} over {between:?}");
        }
    }
}

#[test]
fn a_burst_shrinks_before_the_quota_and_grows_after_it() {
    let facts = facts().with_file("cpu.max", "80000 100000").with_file("cpu.max.burst", "60000");
    let order = |json: &str| lines(plan_v2(&resources(json), &facts).unwrap());
    let smaller = order(r#"{"cpu":{"quota":30000,"burst":20000}}"#);
    assert_eq!(smaller, ["cpu.max.burst=20000", "cpu.max=30000 100000"]);
    let larger = order(r#"{"cpu":{"quota":90000,"burst":85000}}"#);
    assert_eq!(larger, ["cpu.max=90000 100000", "cpu.max.burst=85000"]);
}

#[test]
fn hybrid_mixes_versions_by_controller() {
    let facts = facts().with_controller("memory", Version::V1).with_controller("hugetlb", Version::V2);
    let json = r#"{"memory":{"limit":8192},"hugepageLimits":[{"pageSize":"2MB","limit":0}],"unified":{"cgroup.max.depth":"2"}}"#;
    let expected = ["memory.limit_in_bytes=8192", "hugetlb.2MB.max=0", "cgroup.max.depth=2"];
    assert_eq!(lines(plan(&resources(json), &facts).unwrap()), expected);
}

#[test]
fn shares_become_weights() {
    let table =
        [(0, 1), (2, 1), (3, 2), (100, 17), (256, 34), (512, 59), (1024, 100), (2048, 174), (65_536, 3200)];
    for (shares, weight) in table {
        let found = weight_of_shares(shares);
        assert!(
            found.abs_diff(weight) * 10 <= weight.max(10),
            "{shares} made {found}, about {weight} expected"
        );
    }
    assert!((2..262_144).step_by(97).all(|shares| weight_of_shares(shares) <= weight_of_shares(shares + 97)));
    assert_eq!((weight_of_shares(262_144), weight_of_shares(u64::MAX)), (10_000, 10_000));
    assert_eq!(swap_alone(-1, None).unwrap(), -1);
    assert_eq!(swap_alone(300, Some(100)).unwrap(), 200);
}

#[test]
fn resources_keep_their_json() {
    for (json, _, _) in CONVERSIONS {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_value(resources(json)).unwrap(), value);
    }
}

/// A kernel that doesn't count swap: what nobody asked of it is left out, what somebody asked is one error.
#[test]
fn memory_of_2014_without_accounting_of_swap() {
    let resources = |json: &str| serde_json::from_str::<Cgroup>(json).unwrap().to_resources().unwrap();
    let v1 = Facts::default().with_file("memory.limit_in_bytes", "9223372036854771712");
    let v2 = Facts::default().with_file("memory.max", "max");
    let alone = resources(r#"{"memory":4096}"#);
    assert_eq!(lines(plan_v1(&alone, &v1).unwrap()), ["memory.limit_in_bytes=4096"]);
    assert_eq!(lines(plan_v2(&alone, &v2).unwrap()), ["memory.max=4096"]);
    let counted = v2.clone().with_file("memory.swap.max", "max");
    assert_eq!(lines(plan_v2(&alone, &counted).unwrap()), ["memory.swap.max=4096", "memory.max=4096"]);
    let asked = resources(r#"{"memory":4096,"memory_swap":6000}"#);
    for (plan, wanted) in [
        (plan_v1(&asked, &v1), "memory.swap: this kernel doesn't count swap (swapaccount=0)"),
        (plan_v2(&asked, &v2), "memory.swap: this kernel has no file memory.swap.max in the group"),
    ] {
        assert_eq!(plan.unwrap_err().to_string(), wanted);
    }
}

/// 2014's settings: JSON, then version 1's files.
/// Trap 5: `memory_swap` is honoured, and twice the memory only if it is 0.
#[test]
fn settings_of_2014() {
    let table: &[(&str, &[&str])] = &[
        (r#"{"name":"a"}"#, &[]),
        (r#"{"memory":4096}"#, &["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=8192"]),
        (r#"{"memory":4096,"memory_swap":-1}"#, &["memory.limit_in_bytes=4096"]),
        (
            r#"{"memory":4096,"memory_swap":6000}"#,
            &["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=6000"],
        ),
        (r#"{"memory_reservation":4096}"#, &["memory.soft_limit_in_bytes=4096"]),
        (
            r#"{"cpu_shares":2048,"cpu_quota":500000,"cpu_period":250000}"#,
            &["cpu.shares=2048", "cpu.cfs_period_us=250000", "cpu.cfs_quota_us=500000"],
        ),
        (
            r#"{"cpuset_cpus":"0","cpuset_mems":"0","blkio_weight":300}"#,
            &["cpuset.mems=0", "cpuset.cpus=0", "blkio.bfq.weight=300"],
        ),
    ];
    for (json, expected) in table {
        let cgroup: Cgroup = serde_json::from_str(json).unwrap();
        let resources = cgroup.to_resources().unwrap();
        assert_eq!(&lines(plan_v1(&resources, &facts()).unwrap()), expected, "{json}");
        assert_eq!(serde_json::to_string(&cgroup).unwrap(), *json);
    }
    let json = r#"{"parent":"/docker","name":"koye","freezer":"FROZEN","allowed_devices":[{"type":99,"major_number":1,"minor_number":-1,"cgroup_permissions":"rwm"},{"type":"b","cgroup_permissions":"r"}]}"#;
    let cgroup: Cgroup = serde_json::from_str(json).unwrap();
    let path = cgroup.path().unwrap();
    assert_eq!((path.is_absolute(), path.as_path().to_str()), (true, Some("docker/koye")));
    assert_eq!(cgroup.frozen().unwrap(), Some(true));
    let rules: Vec<String> = cgroup.to_resources().unwrap().devices.iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["deny a *:* rwm", "allow c 1:* rwm", "allow b 0:0 r"]);
    let all: Cgroup = serde_json::from_str(r#"{"allow_all_devices":true}"#).unwrap();
    assert_eq!(all.to_resources().unwrap().devices, []);
}
