//! Measurements: sample texts in the format of each kernel, groups of this machine, arbitrary input.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "stats/group.rs"]
mod group;
#[path = "stats/live.rs"]
mod live;
#[path = "stats/wire.rs"]
mod wire;

use std::path::Path;

use libcontainer_cgroups::Error;
use libcontainer_cgroups::stats::{IdRange, Limit, NodeValue, Op, Stats, Version};
use proptest::prelude::*;

fn samples(layout: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(layout);
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

fn version(layout: &str) -> Version {
    if layout == "v1" { Version::V1 } else { Version::V2 }
}

fn parsed(layout: &str) -> Stats {
    let mut stats = Stats::default();
    for (file, text) in samples(layout) {
        assert!(stats.parse(version(layout), &file, &text).unwrap(), "{layout}/{file} tells nothing");
    }
    stats
}

#[test]
fn kernel_6_1_on_version_2() {
    let stats = parsed("v2-6.1");
    let cpu = &stats.cpu;
    assert_eq!(
        (cpu.usage, cpu.user, cpu.system),
        (Some(8_112_345_000), Some(6_000_001_000), Some(2_112_344_000))
    );
    assert_eq!((cpu.forced_idle, cpu.nice), (Some(5000), None));
    let limit = cpu.throttling;
    assert_eq!(
        (limit.periods, limit.throttled_periods, limit.throttled_time),
        (Some(120), Some(17), Some(934_211_000))
    );
    assert_eq!((limit.bursts, limit.burst_time), (Some(3), Some(4_100_000)));

    let memory = &stats.memory;
    assert_eq!((memory.total.usage, memory.total.max_usage), (Some(104_857_600), Some(134_217_728)));
    assert_eq!(
        (memory.total.limit, memory.high, memory.low),
        (Some(Limit::At(268_435_456)), Some(Limit::Max), Some(Limit::At(0)))
    );
    assert_eq!(
        (memory.swap.usage, memory.swap.limit, memory.swap.failcnt),
        (Some(4096), Some(Limit::Max), Some(7))
    );
    let events = memory.events;
    assert_eq!((events.low, events.high, events.max), (Some(1), Some(2), Some(3)));
    assert_eq!((events.oom, events.oom_kill, events.oom_group_kill), (Some(4), Some(5), Some(6)));
    assert_eq!(
        (memory.rss, memory.cache, memory.inactive_file),
        (Some(52_428_800), Some(41_943_040), Some(31_457_280))
    );
    assert_eq!((memory.kernel.usage, memory.kernel_tcp.usage), (Some(5_242_880), Some(8192)));
    assert_eq!(memory.working_set(), Some(104_857_600 - 31_457_280));
    assert_eq!((memory.stat.len(), memory.stat.get("pgmajfault")), (51, Some(21)));
    assert_eq!(memory.numa[1].nodes[1], NodeValue { node: 1, value: 20_971_520 });

    let disk = stats.io.devices[0];
    assert_eq!((disk.major, disk.minor, disk.read_bytes, disk.writes), (253, 0, Some(1_048_576), Some(128)));
    assert_eq!((disk.discard_bytes, disk.discards, disk.cost_usage), (Some(8192), Some(2), None));
    assert_eq!(stats.io.devices.len(), 1, "a disk without values has no element");
}

#[test]
fn the_smaller_controllers() {
    let stats = parsed("v2-6.1");
    let pages = stats.hugetlb.iter().find(|pages| pages.size == "2MB").unwrap();
    assert_eq!(
        (pages.used.usage, pages.used.limit, pages.used.failcnt),
        (Some(2_097_152), Some(Limit::At(4_194_304)), Some(8))
    );
    assert_eq!((stats.hugetlb.len(), pages.reserved.limit), (2, Some(Limit::Max)));
    assert_eq!(
        (stats.pids.current, stats.pids.limit, stats.pids.refused),
        (Some(12), Some(Limit::At(512)), Some(9))
    );
    let device = stats.rdma.iter().find(|device| device.name == "mlx4_0").unwrap();
    assert_eq!((device.handles, device.objects), (Some(2), Some(2000)));
    assert_eq!(
        (device.handle_limit, device.object_limit, stats.rdma.len()),
        (Some(Limit::At(20)), Some(Limit::Max), 2)
    );
    let resource = stats.misc.iter().find(|resource| resource.name == "res_b").unwrap();
    assert_eq!((resource.current, resource.limit, resource.refused), (Some(0), Some(Limit::At(4)), Some(2)));
    assert_eq!(stats.cpuset.cpus, [IdRange { first: 0, last: 1 }, IdRange { first: 3, last: 3 }]);
    assert_eq!((stats.cpuset.mems.len(), stats.cpuset.effective_mems[0].last), (0, 0));
    let some = stats.pressure.cpu.unwrap().some.unwrap();
    assert_eq!((some.avg10, some.avg60, some.avg300, some.total), (1.5, 0.47, 0.74, 128_701_185));
    assert_eq!(stats.pressure.memory.unwrap().full.unwrap().avg10, 12.05);
    assert_eq!(
        (stats.pressure.irq.unwrap().some, stats.pressure.irq.unwrap().full.unwrap().total),
        (None, 31)
    );
}

#[test]
fn what_kernel_6_12_adds() {
    let stats = parsed("v2-6.12");
    assert_eq!(
        (stats.cpu.nice, stats.memory.swap.max_usage, stats.pids.peak),
        (Some(9000), Some(8192), Some(40))
    );
    assert_eq!(stats.misc.iter().find(|resource| resource.name == "res_a").unwrap().peak, Some(5));
    assert_eq!(stats.memory.stat.get("numa_hint_faults"), Some(0));
    let disk = stats.io.devices[0];
    assert_eq!((disk.cost_usage, disk.cost_wait, stats.io.devices[1].reads), (Some(733), Some(11), Some(3)));
}

#[test]
fn version_1() {
    let stats = parsed("v1");
    assert_eq!(
        (stats.cpu.usage, stats.cpu.user, stats.cpu.system),
        (Some(900_000_000), Some(600_000_000), Some(300_000_000))
    );
    assert_eq!(
        (&stats.cpu.per_cpu[..], &stats.cpu.per_cpu_system[..]),
        (&[400_000_000, 500_000_000][..], &[100_000_000, 200_000_000][..])
    );
    assert_eq!(
        (stats.cpu.throttling.throttled_time, stats.cpu.throttling.burst_time),
        (Some(5_000_000), Some(20))
    );
    let memory = &stats.memory;
    assert_eq!(
        (memory.total.limit, memory.soft_limit),
        (Some(Limit::Max), Some(Limit::Max)),
        "whatever the page size"
    );
    assert_eq!((memory.memory_and_swap.limit, memory.swap.usage), (Some(Limit::At(4_194_304)), Some(8192)));
    assert_eq!((memory.cache, memory.rss, memory.inactive_file), (Some(40_960), Some(81_920), Some(20_480)));
    assert_eq!(
        (memory.under_oom, memory.oom_kill_disable, memory.events.oom_kill),
        (Some(true), Some(false), Some(2))
    );
    let page = memory.numa[0].total.unwrap() / 30;
    assert_eq!((memory.numa[0].name.as_str(), memory.numa[0].nodes[1].value), ("total", 20 * page));
    assert!(page >= 4096, "bytes, not pages");
    let disk = stats.io.devices[0];
    assert_eq!((disk.read_bytes, disk.write_bytes, disk.discard_bytes), (Some(4096), Some(8192), Some(512)));
    assert_eq!((disk.reads, disk.writes, stats.io.serviced[2].op), (Some(1), Some(2), Some(Op::Other)));
    assert_eq!((stats.io.sectors[0].op, stats.io.sectors[0].value, stats.io.queued[0].value), (None, 24, 5));
    assert_eq!((stats.cpuset.cpu_exclusive, stats.cpuset.sched_relax_domain_level), (Some(true), Some(-1)));
    assert_eq!((stats.hugetlb[0].used.failcnt, stats.hugetlb[0].used.limit), (Some(2), Some(Limit::Max)));
}

#[test]
fn lines_of_old_kernels() {
    let mut stats = Stats::default();
    stats.parse(Version::V1, "cpuacct.stat", b"user 7\nsystem 3\n").unwrap();
    let (user, system) = (stats.cpu.user.unwrap(), stats.cpu.system.unwrap());
    assert_eq!((user / 7, user % 7, system), (system / 3, 0, user / 7 * 3));
    stats.parse(Version::V2, "io.stat", b"8:0 8:16 rbytes=1 wios=2\n(unknown) rbytes=3\n").unwrap();
    assert_eq!(
        (stats.io.devices.len(), stats.io.devices[0].minor, stats.io.devices[0].read_bytes),
        (1, 16, Some(1))
    );
    stats.parse(Version::V2, "cpu.pressure", b"some avg10=0.00 avg60=0.00 avg300=0.00 total=4\n").unwrap();
    assert_eq!(stats.pressure.cpu.unwrap().full, None);
}

#[test]
fn bad_text_is_named_with_its_file() {
    let cases: &[(Version, &str, &str, &str)] = &[
        (Version::V2, "memory.current", "12x", "12x"),
        (Version::V2, "memory.current", "", "\"\""),
        (Version::V2, "memory.max", "min", "number or `max`"),
        (Version::V2, "memory.current", "18446744073709551616", "18446744073709551616"),
        (Version::V2, "memory.stat", "anon 5\nfile\n", "\"file\""),
        (Version::V2, "memory.stat", "anon -5\n", "-5"),
        (Version::V2, "cpu.stat", "usage_usec 1 2\n", "usage_usec 1 2"),
        (Version::V2, "io.stat", "8:x rbytes=1\n", "8:x"),
        (Version::V2, "io.stat", "8:0 rbytes=y\n", "\"y\""),
        (Version::V2, "cpu.pressure", "most avg10=0.00\n", "most"),
        (Version::V2, "cpu.pressure", "some avg10=0.000.1\n", "0.000.1"),
        (Version::V2, "cpuset.cpus", "3-1", "3-1"),
        (Version::V2, "misc.max", "res_a\n", "res_a"),
        (Version::V2, "hugetlb.2MB.current", "?", "?"),
        (Version::V1, "memory.numa_stat", "total=1 X0=1\n", "X0=1"),
        (Version::V1, "cpuacct.usage_all", "cpu user system\n4294967295 1 1\n", "4294967295"),
        (Version::V1, "blkio.throttle.io_serviced", "8:0 Read 1 2\n", "8:0 Read 1 2"),
    ];
    for (version, file, text, quoted) in cases {
        let error = Stats::default().parse(*version, file, text.as_bytes()).expect_err(file);
        assert!(matches!(error, Error::Content { .. }));
        let message = error.to_string();
        assert!(message.starts_with(file) && message.contains(quoted), "{message}");
    }
    assert!(!Stats::default().parse(Version::V2, "cgroup.procs", b"1\n").unwrap());
    let long = Stats::default().parse(Version::V2, "memory.current", &[b'x'; 9000]).unwrap_err().to_string();
    assert!(long.len() < 200, "quotes no more than needed");
}

/// Texts that look a bit like the kernel's.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("max".to_owned()),
        Just("8:0".to_owned()),
        Just("some".to_owned()),
        Just("Total".to_owned()),
        Just("N0=1".to_owned()),
        Just("avg10=".to_owned()),
        Just("\n".to_owned()),
        Just("=".to_owned()),
        Just("a.max".to_owned()),
        "[0-9]{1,22}",
        "[ -~]{0,9}",
    ];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(word, 0..30).prop_map(|words| words.join(" ").into_bytes()),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in text(), cut in 0_usize..3000) {
        for layout in ["v1", "v2-6.12"] {
            let mut stats = Stats::default();
            for (file, good) in samples(layout) {
                // Arbitrary, cut off at any place, and one after the other into the same value.
                let _ = stats.parse(version(layout), &file, &text);
                let _ = stats.parse(version(layout), &file, good.get(..cut).unwrap_or(&good));
                let again = stats.parse(version(layout), &file, &good);
                prop_assert!(again.is_ok(), "{file}: {again:?}");
            }
        }
    }
}
