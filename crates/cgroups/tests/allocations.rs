//! A reader allocates at its first reading and never again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod counting;
#[path = "stats/group.rs"]
mod group;

use counting::used;
use group::Live;
use libcontainer_cgroups::stats::{Keep, Parts, Reader, Stats};

fn allocations(work: impl FnOnce()) -> usize {
    used(work).0
}

#[test]
fn a_second_reading_allocates_nothing() {
    let all = ["blkio", "cpu", "cpuacct", "cpuset", "memory", "pids", "unified"];
    for keep in [Keep::Open, Keep::Nothing] {
        let Some(live) = Live::of("a_second_reading_allocates_nothing", &all) else { return };
        let mut reader = Reader::with(&live.sources(), Parts::all(), keep).unwrap();
        let mut stats = Stats::default();
        assert!(allocations(|| reader.read_into(&mut stats).unwrap()) > 0, "the first one has to");
        let later = allocations(|| (0..100).for_each(|_| reader.read_into(&mut stats).unwrap()));
        assert_eq!(later, 0, "{keep:?}");
        assert!(stats.pids.current.is_some() && stats.memory.stat.len() > 10);
    }
}

/// A thousand; less where the process may not open the five files of each.
fn as_many_groups_as_fit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: usize = files.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    (soft / 8).clamp(1, 1000)
}

#[test]
fn a_thousand_groups_share_one_value() {
    let groups: Vec<Live> = (0..as_many_groups_as_fit())
        .map_while(|_| Live::of("a_thousand_groups_share_one_value", &["pids"]))
        .collect();
    let mut readers: Vec<Reader> =
        groups.iter().map(|live| Reader::with(&live.sources(), Parts::PIDS, Keep::Open).unwrap()).collect();
    let mut stats = Stats::default();
    let mut round = || readers.iter_mut().for_each(|reader| reader.read_into(&mut stats).unwrap());
    round();
    assert_eq!(allocations(|| (0..3).for_each(|_| round())), 0);
    assert!(groups.is_empty() || stats.pids.limit.is_some());
}

#[test]
fn sample_texts_allocate_nothing_the_second_time() {
    use libcontainer_cgroups::stats::Version;
    for (layout, version) in [("v1", Version::V1), ("v2-6.12", Version::V2)] {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(layout);
        let texts: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        let mut stats = Stats::default();
        let mut round =
            || texts.iter().for_each(|(file, text)| assert!(stats.parse(version, file, text).unwrap()));
        round();
        assert_eq!(allocations(round), 0, "{layout}");
    }
}
