//! Limits and the properties that they become, as golden tables.

use std::collections::BTreeMap;

use libcontainer_cgroups::Resources;
use libcontainer_cgroups::devices::{Rule, allow_list};
use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::systemd::{
    INFINITY, Placement, Property, Target, UnitLimits, bit_mask, limit_properties, start_properties,
    unit_properties, whole_percents,
};
use nix::unistd::Pid;

const DRIVERS: &str = "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 tty\n136 pts\n\nBlock devices:\n  1 ramdisk\n  8 sd\n259 blkext\n";

fn target(hierarchy: Version, systemd: u32) -> Target {
    Target { hierarchy, systemd, drivers: DRIVERS.to_owned() }
}

fn shown(properties: &[Property]) -> Vec<String> {
    let line = |one: &Property| format!("{} {} {}", one.name, one.value.signature(), one.value);
    properties.iter().map(line).collect()
}

fn of(limits: &UnitLimits, hierarchy: Version) -> Vec<String> {
    shown(&limit_properties(limits, &target(hierarchy, 257)).unwrap())
}

fn unified(pairs: &[(&str, &str)]) -> UnitLimits {
    let map: BTreeMap<String, String> =
        pairs.iter().map(|(file, value)| (file.to_string(), value.to_string())).collect();
    UnitLimits { unified: map, ..UnitLimits::default() }
}

fn full() -> UnitLimits {
    UnitLimits {
        memory_max: Some(1 << 30),
        memory_high: Some(1 << 29),
        memory_low: Some(1 << 28),
        memory_min: Some(1 << 27),
        memory_swap_max: Some(0),
        cpu_shares: Some(512),
        cpu_weight: Some(50),
        cpu_idle: None,
        cpu_quota: Some(150_000),
        cpu_period: Some(100_000),
        cpus: Some("0-2,9".to_owned()),
        memory_nodes: Some("0".to_owned()),
        tasks_max: Some(64),
        io_weight: Some(200),
        devices: None,
        unified: BTreeMap::new(),
    }
}

#[test]
fn a_scope_and_a_slice() {
    let place = Placement::parse("a-b.slice:demo:x", "", "", false).unwrap();
    let scope = unit_properties(&place, "container x", Some(Pid::from_raw(42)), Version::V2);
    assert_eq!(
        shown(&scope),
        [
            "Description s \"container x\"",
            "Slice s \"a-b.slice\"",
            "Delegate b true",
            "PIDs au [42]",
            "MemoryAccounting b true",
            "CPUAccounting b true",
            "IOAccounting b true",
            "TasksAccounting b true",
            "DefaultDependencies b false",
            "CollectMode s \"inactive-or-failed\"",
        ]
    );
    let place = Placement::parse("a.slice:demo:a-b.slice", "", "", false).unwrap();
    let slice = unit_properties(&place, "d", None, Version::V1);
    assert_eq!(
        shown(&slice),
        [
            "Description s \"d\"",
            "Wants as [\"a.slice\"]",
            "MemoryAccounting b true",
            "CPUAccounting b true",
            "BlockIOAccounting b true",
            "TasksAccounting b true",
            "DefaultDependencies b false",
            "CollectMode s \"inactive-or-failed\"",
        ]
    );
}

/// Trap 5: by systemd too.
#[test]
fn every_limit() {
    assert_eq!(
        of(&full(), Version::V2),
        [
            "MemoryMin t 134217728",
            "MemoryLow t 268435456",
            "MemoryHigh t 536870912",
            "MemoryMax t 1073741824",
            "MemorySwapMax t 0",
            "CPUWeight t 50",
            "IOWeight t 200",
            "CPUQuotaPeriodUSec t 100000",
            "CPUQuotaPerSecUSec t 1500000",
            "TasksMax t 64",
            "AllowedCPUs ay [0x07, 0x02]",
            "AllowedMemoryNodes ay [0x01]",
        ]
    );
    assert_eq!(
        of(&full(), Version::V1),
        [
            "MemoryLimit t 1073741824",
            "CPUShares t 512",
            "BlockIOWeight t 200",
            "CPUQuotaPeriodUSec t 100000",
            "CPUQuotaPerSecUSec t 1500000",
            "TasksMax t 64",
            "AllowedCPUs ay [0x07, 0x02]",
            "AllowedMemoryNodes ay [0x01]",
        ]
    );
    assert!(of(&UnitLimits::default(), Version::V1).is_empty());
    assert!(of(&UnitLimits::default(), Version::V2).is_empty());
}

#[test]
fn no_limit_is_infinity() {
    let none = Some(INFINITY);
    let limits = UnitLimits { memory_max: none, tasks_max: none, cpu_quota: none, ..UnitLimits::default() };
    assert_eq!(
        of(&limits, Version::V2),
        ["MemoryMax t infinity", "CPUQuotaPerSecUSec t infinity", "TasksMax t infinity"]
    );
}

/// Trap 37: quota and period reach systemd.
#[test]
fn quotas() {
    for (quota, period, expected) in [
        (Some(50_000), None, vec!["CPUQuotaPerSecUSec t 500000"]),
        (Some(1_000), Some(1_000_000), vec!["CPUQuotaPeriodUSec t 1000000", "CPUQuotaPerSecUSec t 10000"]),
        // 33.3 % becomes 34 %.
        (Some(33_333), Some(100_000), vec!["CPUQuotaPeriodUSec t 100000", "CPUQuotaPerSecUSec t 340000"]),
        (None, Some(50_000), vec!["CPUQuotaPeriodUSec t 50000", "CPUQuotaPerSecUSec t infinity"]),
        (Some(INFINITY - 1), Some(1), vec!["CPUQuotaPeriodUSec t 1", "CPUQuotaPerSecUSec t infinity"]),
    ] {
        let limits = UnitLimits { cpu_quota: quota, cpu_period: period, ..UnitLimits::default() };
        assert_eq!(of(&limits, Version::V2), expected, "{quota:?} {period:?}");
    }
}

/// What the control file gets is what the unit has.
#[test]
fn quotas_in_whole_percents() {
    for (asked, wanted) in [
        (r#"{"quota": 600000, "period": 900000}"#, Some(603_000)),
        (r#"{"quota": 500000, "period": 1000000}"#, Some(500_000)),
        (r#"{"quota": 12345}"#, Some(13_000)),
        (r#"{"quota": -1, "period": 900000}"#, Some(-1)),
        (r#"{"quota": 9223372036854775807}"#, Some(i64::MAX)),
        (r#"{"period": 900000}"#, None),
    ] {
        let resources = serde_json::from_str(&format!(r#"{{"cpu": {asked}}}"#)).unwrap();
        assert_eq!(whole_percents(resources).cpu.unwrap().quota, wanted, "{asked}");
    }
    assert_eq!(whole_percents(Resources::default()), Resources::default());
}

#[test]
fn what_an_old_systemd_does_not_know() {
    let limits = UnitLimits { cpu_idle: Some(true), ..full() };
    let names = |systemd| -> Vec<String> {
        let all = limit_properties(&limits, &target(Version::V2, systemd)).unwrap();
        all.into_iter().map(|one| format!("{} {}", one.name, one.value)).collect()
    };
    let has = |systemd, name: &str| names(systemd).iter().any(|own| own.starts_with(name));
    for (name, since) in
        [("AllowedCPUs", 244), ("AllowedMemoryNodes", 244), ("CPUQuotaPeriodUSec", 242), ("CPUWeight 0", 252)]
    {
        assert!(has(since, name), "{name} with {since}");
        assert!(!has(since - 1, name), "{name} before {since}");
    }
    assert!(has(251, "CPUWeight 50"));
    let zswap = unified(&[("memory.zswap.max", "5")]);
    assert!(limit_properties(&zswap, &target(Version::V2, 252)).unwrap().is_empty());
    assert_eq!(of(&zswap, Version::V2), ["MemoryZSwapMax t 5"]);
}

#[test]
fn the_unified_map() {
    let all = unified(&[
        ("cpu.max", " 50000 200000\n"),
        ("cpu.weight", "79"),
        ("cpuset.cpus", "1,3"),
        ("cpuset.mems", "0-1"),
        ("io.weight", "default 30"),
        ("memory.high", "1"),
        ("memory.low", "2"),
        ("memory.max", "max"),
        ("memory.min", "4"),
        ("memory.swap.max", "5"),
        ("memory.oom.group", "1"),
        ("pids.max", "max"),
        ("hugetlb.2MB.max", "9"),
        ("io.max", "8:0 rbps=1"),
    ]);
    assert_eq!(
        of(&all, Version::V2),
        [
            "CPUQuotaPeriodUSec t 200000",
            "CPUQuotaPerSecUSec t 250000",
            "CPUWeight t 79",
            "AllowedCPUs ay [0x0a]",
            "AllowedMemoryNodes ay [0x03]",
            "IOWeight t 30",
            "MemoryHigh t 1",
            "MemoryLow t 2",
            "MemoryMax t infinity",
            "MemoryMin t 4",
            "MemorySwapMax t 5",
            "TasksMax t infinity",
        ]
    );
    assert_eq!(shown(&start_properties(&all).unwrap()), ["OOMPolicy s \"kill\""]);
    assert_eq!(
        shown(&start_properties(&unified(&[("memory.oom.group", "0")])).unwrap()),
        ["OOMPolicy s \"continue\""]
    );
    assert!(start_properties(&full()).unwrap().is_empty());
    // Idle wins over a weight, the map over the fields, and no name comes twice.
    assert_eq!(of(&unified(&[("cpu.idle", "1"), ("cpu.weight", "5")]), Version::V2), ["CPUWeight t 0"]);
    assert_eq!(of(&unified(&[("cpu.idle", "0"), ("cpu.weight", "5")]), Version::V2), ["CPUWeight t 5"]);
    let both = UnitLimits { tasks_max: Some(1), ..unified(&[("pids.max", "2"), ("cpu.max", "max")]) };
    assert_eq!(of(&both, Version::V2), ["TasksMax t 2", "CPUQuotaPerSecUSec t infinity"]);
}

#[test]
fn values_that_can_not_be() {
    for (file, value) in [
        ("memory.max", "-1"),
        ("memory.max", ""),
        ("memory.max", "1G"),
        ("memory.max", "99999999999999999999"),
        ("pids.max", "+5"),
        ("cpu.weight", "max"),
        ("cpu.max", ""),
        ("cpu.max", "0"),
        ("cpu.max", "1 0"),
        ("cpu.max", "1 2 3"),
        ("cpu.max", "-1 100000"),
        ("cpuset.cpus", "3-1"),
        ("cpuset.mems", "x"),
        ("io.weight", "default x"),
        ("memory", "1"),
        (".max", "1"),
        ("memory.", "1"),
        ("../memory.max", "1"),
    ] {
        let error = limit_properties(&unified(&[(file, value)]), &target(Version::V2, 257)).unwrap_err();
        assert!(error.to_string().contains(file), "{file}={value}: {error}");
    }
    let error = limit_properties(&unified(&[("pids.max", "1")]), &target(Version::V1, 257)).unwrap_err();
    assert!(error.to_string().starts_with("unified: "), "{error}");
    assert!(start_properties(&unified(&[("memory.oom.group", "2")])).is_err());
    for limits in [
        UnitLimits { cpu_quota: Some(0), ..UnitLimits::default() },
        UnitLimits { cpu_period: Some(0), ..UnitLimits::default() },
        UnitLimits { cpus: Some("1-".to_owned()), ..UnitLimits::default() },
        UnitLimits { memory_nodes: Some("8192".to_owned()), ..UnitLimits::default() },
    ] {
        assert!(limit_properties(&limits, &target(Version::V2, 257)).is_err(), "{limits:?}");
    }
}

#[test]
fn lists_of_cpus_as_bits() {
    for (text, mask) in [
        ("0", Some(vec![1])),
        ("7,8", Some(vec![0x80, 1])),
        ("0-3,8-9", Some(vec![0x0f, 3])),
        (" 1 , 2 ", Some(vec![6])),
        ("1-1,1", Some(vec![2])),
        ("15", Some(vec![0, 0x80])),
        ("", None),
        (",", None),
        ("-1", None),
        ("1-", None),
        ("2-1", None),
        ("a", None),
        ("8192", None),
        ("0-99999999999", None),
    ] {
        assert_eq!(bit_mask(text), mask, "{text:?}");
    }
}

fn devices(json: &str) -> Vec<String> {
    let rules: Vec<Rule> = serde_json::from_str(json).unwrap();
    of(&UnitLimits { devices: Some(rules), ..UnitLimits::default() }, Version::V2)
}

#[test]
fn device_lists() {
    let everything = ["DevicePolicy s \"auto\"", "DeviceAllow a(ss) []"];
    let nothing = ["DevicePolicy s \"strict\"", "DeviceAllow a(ss) []"];
    assert_eq!(devices(r#"[{"allow": true}]"#), everything);
    assert_eq!(devices(r#"[{"allow": true}, {"allow": false, "type": "c", "major": 1}]"#), everything);
    assert_eq!(devices("[]"), nothing);
    assert_eq!(devices(r#"[{"allow": true}, {"allow": false}]"#), nothing);
    assert_eq!(
        devices(
            r#"[{"allow": false},
                {"allow": true, "type": "c", "access": "m"}, {"allow": true, "type": "b", "access": "m"},
                {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
                {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rw"},
                {"allow": true, "type": "c", "major": 136},
                {"allow": true, "type": "c", "major": 4, "access": "r"},
                {"allow": true, "type": "b", "major": 8, "access": "r"},
                {"allow": true, "type": "b", "major": 77, "access": "r"}]"#
        ),
        [
            "DevicePolicy s \"strict\"",
            "DeviceAllow a(ss) []",
            "DeviceAllow a(ss) [(\"char-*\", \"m\"), (\"/dev/char/1:3\", \"rwm\"), (\"/dev/char/1:5\", \"rw\"), \
             (\"char-/dev/vc/0\", \"r\"), (\"char-tty\", \"r\"), (\"char-pts\", \"rwm\"), (\"block-*\", \"m\"), \
             (\"block-sd\", \"r\")]",
        ]
    );
    // A denied device goes; a hole is left to the exact filter.
    assert_eq!(
        devices(
            r#"[{"allow": true, "type": "c", "major": 1, "minor": 3},
                {"allow": true, "type": "c", "major": 1, "minor": 5},
                {"allow": false, "type": "c", "major": 1, "minor": 3, "access": "w"},
                {"allow": false, "type": "a", "major": 1, "minor": 5}]"#
        )[2],
        "DeviceAllow a(ss) [(\"/dev/char/1:3\", \"rm\")]"
    );
    let two = allow_list(false, [Rule { minor: Some(5), ..Rule::everything(true) }]);
    let limits = UnitLimits { devices: Some(two), ..UnitLimits::default() };
    assert_eq!(
        of(&limits, Version::V1)[2],
        "DeviceAllow a(ss) [(\"char-*\", \"rwm\"), (\"block-*\", \"rwm\")]"
    );
}
