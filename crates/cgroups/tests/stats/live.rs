//! Groups of this machine.

use std::time::Instant;

use libcontainer_cgroups::stats::{Keep, Limit, Parts, Reader, Sampler, Sources, Stats, read};

use crate::group::{Live, skip};

const V1: [&str; 6] = ["blkio", "cpu", "cpuacct", "cpuset", "memory", "pids"];

fn file(live: &Live, controller: &str, name: &str) -> String {
    std::fs::read_to_string(live.path(controller).join(name)).unwrap().trim().to_owned()
}

#[test]
fn a_group_of_version_1_agrees_with_the_kernels_files() {
    let Some(mut live) = Live::new(
        "a_group_of_version_1_agrees_with_the_kernels_files",
        &V1[..3].iter().chain(&V1[4..]).copied().collect::<Vec<_>>(),
    ) else {
        return;
    };
    std::fs::write(live.path("memory").join("memory.limit_in_bytes"), "67108864").unwrap();
    live.run("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; exec sleep 1000");
    let mut reader = Reader::new(&live.sources()).unwrap();
    let mut stats = Stats::default();
    let start = Instant::now();
    // The kernel's counters per processor are summed up now and then: compares what two looks at the files agree on.
    let shown = loop {
        let before = asleep(&live, "pids").then(|| shown(&live));
        reader.read_into(&mut stats).unwrap();
        let one_look = read(&live.sources()).unwrap();
        match before {
            Some(before) if one_look == stats && before == shown(&live) => break before,
            _ => assert!(start.elapsed().as_secs() < 20, "never at rest: {stats:?}, {one_look:?}"),
        }
    };
    let table: Vec<String> =
        stats.memory.stat.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let numa: Vec<&str> = stats.memory.numa.iter().map(|entry| entry.name.as_str()).collect();
    let numbers = [stats.cpu.usage, stats.memory.total.max_usage].map(|number| number.unwrap().to_string());
    let names = shown[3].lines().map(|line| line.split('=').next().unwrap());
    assert_eq!([&numbers[0], &numbers[1], &table.join("\n")], [&shown[0], &shown[1], &shown[2]]);
    assert!(!numa.is_empty() && names.eq(numa));
    assert_eq!(stats.cpu.per_cpu.iter().sum::<u64>(), stats.cpu.usage.unwrap());
    assert_eq!((stats.pids.current, stats.pids.limit), (Some(1), Some(Limit::Max)));
    assert_eq!(stats.memory.total.limit, Some(Limit::At(67_108_864)));
}

#[test]
fn a_group_of_version_2_agrees_with_the_kernels_files() {
    let Some(mut live) = Live::new("a_group_of_version_2_agrees_with_the_kernels_files", &["unified"]) else {
        return;
    };
    for name in ["memory.max", "pids.max", "cpu.max"] {
        if !live.path("unified").join(name).exists() {
            skip(
                "a_group_of_version_2_agrees_with_the_kernels_files",
                &format!("version 2 has no {name} here"),
            );
            return;
        }
    }
    std::fs::write(live.path("unified").join("memory.max"), "67108864").unwrap();
    live.run("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; exec sleep 1000");
    let mut reader = Reader::new(&live.sources()).unwrap();
    let mut stats = Stats::default();
    let texts =
        |live: &Live| ["cpu.stat", "memory.stat", "memory.current"].map(|name| file(live, "unified", name));
    let start = Instant::now();
    let shown = loop {
        let before = asleep(&live, "unified").then(|| texts(&live));
        reader.read_into(&mut stats).unwrap();
        let one_look = read(&live.sources()).unwrap();
        match before {
            Some(before) if one_look == stats && before == texts(&live) => break before,
            _ => assert!(start.elapsed().as_secs() < 20, "never at rest: {stats:?}, {one_look:?}"),
        }
    };
    let table: Vec<String> =
        stats.memory.stat.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let usage = format!("usage_usec {}", stats.cpu.usage.unwrap() / 1000);
    assert!(shown[0].lines().any(|line| line == usage), "{usage}: {}", shown[0]);
    assert_eq!([&table.join("\n"), &stats.memory.total.usage.unwrap().to_string()], [&shown[1], &shown[2]]);
    assert_eq!((stats.pids.current, stats.pids.limit), (Some(1), Some(Limit::Max)));
    assert_eq!(stats.memory.total.limit, Some(Limit::At(67_108_864)));
}

/// What the files themselves say.
fn shown(live: &Live) -> [String; 4] {
    let all = [
        ("cpuacct", "cpuacct.usage"),
        ("memory", "memory.max_usage_in_bytes"),
        ("memory", "memory.stat"),
        ("memory", "memory.numa_stat"),
    ];
    all.map(|(controller, name)| file(live, controller, name))
}

/// True once the shell has become the sleeping program.
fn asleep(live: &Live, controller: &str) -> bool {
    let pid = file(live, controller, "cgroup.procs");
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains("(sleep) S"))
}

#[test]
fn cpuset_and_an_empty_group() {
    let Some(live) = Live::new("cpuset_and_an_empty_group", &["cpuset", "blkio"]) else { return };
    std::fs::write(live.path("cpuset").join("cpuset.mems"), "0").unwrap();
    std::fs::write(live.path("cpuset").join("cpuset.cpus"), "0").unwrap();
    let stats = read(&live.sources()).unwrap();
    assert_eq!((stats.cpuset.cpus.len(), stats.cpuset.effective_cpus[0].last), (1, 0));
    assert_eq!(
        (stats.cpuset.sched_load_balance, stats.cpuset.sched_relax_domain_level),
        (Some(true), Some(-1))
    );
    assert_eq!((stats.cpu.usage, stats.memory.total.usage, stats.io.devices.len()), (None, None, 0));
}

#[test]
fn the_unified_part_of_a_hybrid_tells_pressure_and_times() {
    let Some(mut live) = Live::new("the_unified_part_of_a_hybrid_tells_pressure_and_times", &["unified"])
    else {
        return;
    };
    if !live.path("unified").join("cpu.pressure").exists() {
        skip("the_unified_part_of_a_hybrid_tells_pressure_and_times", "no pressure stall information");
        return;
    }
    live.run("exec sleep 1000");
    let stats = read(&live.sources()).unwrap();
    assert!(stats.pressure.cpu.is_some_and(|cpu| cpu.some.is_some()), "{stats:?}");
    assert!(stats.cpu.usage.is_some());
}

#[test]
fn percent_of_a_busy_process() {
    let Some(mut live) = Live::of("percent_of_a_busy_process", &["cpuacct"]) else { return };
    live.run("while :; do :; done");
    let mut reader = Reader::with(&live.sources(), Parts::CPU, Keep::Open).unwrap();
    let (mut stats, mut sampler) = (Stats::default(), Sampler::new());
    let start = Instant::now();
    let percent = loop {
        reader.read_into(&mut stats).unwrap();
        match sampler.sample(&stats) {
            Some(percent) if percent > 0.0 => break percent,
            _ => assert!(start.elapsed().as_secs() < 20),
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert!(percent < 130.0, "one process can't use more than one processor: {percent}");
}

#[test]
fn a_removed_group_is_an_error_and_nothing_else() {
    for keep in [Keep::Open, Keep::Nothing] {
        let Some(mut live) = Live::of("a_removed_group_is_an_error_and_nothing_else", &["memory", "pids"])
        else {
            return;
        };
        let sources = live.sources();
        let mut reader = Reader::with(&sources, Parts::all(), keep).unwrap();
        let mut unused = Reader::with(&sources, Parts::all(), keep).unwrap();
        let mut stats = Stats::default();
        reader.read_into(&mut stats).unwrap();
        live.remove();
        for reader in [&mut reader, &mut unused] {
            let error = reader.read_into(&mut stats).unwrap_err();
            assert!(error.is_gone(), "{error}");
            assert!(error.to_string().contains("libcontainer-stats-"), "{error}");
        }
        assert!(Reader::new(&sources).unwrap_err().is_gone());
    }
}

#[test]
fn files_can_be_given_back() {
    let Some(live) = Live::of("files_can_be_given_back", &["memory"]) else { return };
    let mut reader = Reader::new(&live.sources()).unwrap();
    let (mut kept, mut anew) = (Stats::default(), Stats::default());
    reader.read_into(&mut kept).unwrap();
    assert!(reader.open_files() > 10);
    reader.close();
    assert_eq!(reader.open_files(), 0);
    reader.read_into(&mut anew).unwrap();
    assert_eq!((reader.open_files(), &anew), (0, &kept));
}

#[test]
fn only_the_files_that_are_wanted() {
    let Some(live) = Live::of("only_the_files_that_are_wanted", &["pids"]) else { return };
    let reader = Reader::with(&live.sources(), Parts::PIDS, Keep::Open).unwrap();
    let mut reader = reader.only(|file| file == "pids.max");
    let mut stats = Stats::default();
    reader.read_into(&mut stats).unwrap();
    assert_eq!(reader.open_files(), 1);
    assert_eq!((stats.pids.limit, stats.pids.current), (Some(Limit::Max), None));
}

#[test]
fn one_value_serves_readers_of_different_groups() {
    let Some(first) = Live::of("one_value_serves_readers_of_different_groups", &["memory"]) else { return };
    let Some(second) = Live::of("one_value_serves_readers_of_different_groups", &["pids"]) else { return };
    let mut stats = Stats::default();
    Reader::new(&first.sources()).unwrap().read_into(&mut stats).unwrap();
    assert!(!stats.memory.stat.is_empty());
    Reader::with(&second.sources(), Parts::PIDS, Keep::Open).unwrap().read_into(&mut stats).unwrap();
    assert_eq!(stats.memory, read(&Sources::default()).unwrap().memory, "nothing stays behind");
    assert_eq!(stats.pids.current, Some(0));
}

/// A process that is out of descriptors: the test runs itself with a small limit.
#[test]
fn a_reader_without_descriptors_closes_its_own() {
    if std::env::var_os("LIBCONTAINER_STATS_FEW").is_none() {
        let program = std::env::current_exe().unwrap();
        let name = "live::a_reader_without_descriptors_closes_its_own";
        let script =
            format!("ulimit -n 16; LIBCONTAINER_STATS_FEW=1 exec {} --exact {name}", program.display());
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
        return;
    }
    let Some(live) = Live::of("a_reader_without_descriptors_closes_its_own", &["memory"]) else { return };
    let mut reader = Reader::new(&live.sources()).unwrap();
    let mut stats = Stats::default();
    reader.read_into(&mut stats).unwrap();
    assert_eq!(reader.open_files(), 0);
    assert!(stats.memory.total.usage.is_some() && !stats.memory.numa.is_empty());
}
