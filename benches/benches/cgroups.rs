//! Measurements and process lists of one version 2 group: this library, `libcgroups` (youki's) and `cgroups-rs`, over the
//! same directory.
//!
//! Runs as root in a mount namespace of its own, where version 2 is mounted on `/sys/fs/cgroup` (`cgroups-rs` looks nowhere
//! else). Two directories are read:
//!
//! * A group of this kernel with 1 and with 100 processes. It has only the controllers that version 1 left.
//! * What a stock 6.12 kernel shows of a container, all controllers on, as files of a tmpfs. There the kernel's share is
//!   the least that it can be: what is compared is the work above it.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends by panicking and prints what it compares"
)]

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cgroups_rs::manager::Manager as _;
use criterion::Criterion;
use libcgroups::common::CgroupManager as _;
use libcontainer::cgroups::stats::{self, Keep, Parts, Reader, Sources, Stats};
use libcontainer::cgroups::{Dir, Existing, Group, GroupPath, Layout, Pid, Plan, Select};

const ROOT: &str = "/sys/fs/cgroup";
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/cgroups/tests/samples/v2-6.12");
const INNER: &str = "LIBCONTAINER_BENCH_INNER";

fn main() {
    if std::env::var_os(INNER).is_none() {
        return outer();
    }
    let mut criterion = Criterion::default().configure_from_args();
    let name = format!("lcbench-{}", std::process::id());
    let layout = Layout::of_this_process().unwrap();
    let group = make(&layout, &name);
    let mut children = Vec::new();
    for processes in [1, 100] {
        fill(&group, &mut children, processes);
        process_lists(&mut criterion, &group, &name, processes);
    }
    pieces(&mut criterion, &group, &name);
    group.destroy(Duration::from_secs(20)).unwrap();
    for child in &mut children {
        child.wait().unwrap();
    }
    whole(&mut criterion, &name);
    criterion.final_summary();
}

/// Runs this program again where mounts are nobody else's.
fn outer() {
    let script = format!("umount -l {ROOT} && mount -t cgroup2 cgroup2 {ROOT} && exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    command.arg(std::env::current_exe().unwrap()).args(std::env::args_os().skip(1)).env(INNER, "1");
    assert!(command.status().unwrap().success(), "as root, with a kernel that has version 2?");
}

fn make(layout: &Layout, name: &str) -> Group {
    let path = GroupPath::new(format!("/{name}")).unwrap();
    Plan::new(layout, &path, &Select::Usable).unwrap().make(Existing::Refuse).unwrap()
}

fn fill(group: &Group, children: &mut Vec<Child>, count: usize) {
    while children.len() < count {
        let child = Command::new("sleep").arg("100000").stdin(Stdio::null()).spawn().unwrap();
        group.attach(Pid::new(i32::try_from(child.id()).unwrap()).unwrap()).unwrap();
        children.push(child);
    }
}

fn process_lists(criterion: &mut Criterion, group: &Group, name: &str, count: usize) {
    let mut bench = criterion.benchmark_group(format!("list of processes, {count}"));
    let mut pids = Vec::new();
    let reader = group.process_reader().unwrap();
    bench.bench_function("libcontainer, reader", |bench| {
        bench.iter(|| reader.read_into(black_box(&mut pids)).unwrap());
    });
    // Also where the filter leaves that one out.
    reader.read_into(&mut pids).unwrap();
    assert_eq!(pids.len(), count);
    bench.bench_function("libcontainer, afresh", |bench| bench.iter(|| group.processes().unwrap()));
    let youki = youki(name);
    assert_eq!(youki.get_all_pids().unwrap().len(), count);
    bench.bench_function("libcgroups", |bench| bench.iter(|| youki.get_all_pids().unwrap()));
    let kata = cgroups_rs::fs::Cgroup::load(Box::new(cgroups_rs::fs::hierarchies::V2::new()), name);
    assert_eq!(kata.procs().len(), count);
    bench.bench_function("cgroups-rs", |bench| bench.iter(|| kata.procs()));
    floor(&mut bench, &Path::new(ROOT).join(name).join("cgroup.procs"));
    bench.finish();
}

/// What the kernel alone takes for one file that is open already: nobody can be faster.
fn floor(bench: &mut BenchGroup<'_>, file: &Path) {
    let file = fs::File::open(file).unwrap();
    let mut buffer = [0_u8; 4096];
    bench.bench_function("the kernel's pread alone", |bench| {
        bench.iter(|| file.read_at(black_box(&mut buffer), 0).unwrap());
    });
}

fn youki(name: &str) -> libcgroups::v2::manager::Manager {
    libcgroups::v2::manager::Manager::new(ROOT.into(), name.into()).unwrap()
}

/// The pressure files, which a group has whatever its controllers: all that `libcgroups` can read of a group without
/// controllers, since its whole stats fail where one is missing.
fn pieces(criterion: &mut Criterion, group: &Group, name: &str) {
    let dir = Path::new(ROOT).join(name);
    let mut bench = criterion.benchmark_group("pressure of a group of this kernel");
    ours(&mut bench, &group.sources(), Parts::PRESSURE);
    bench.bench_function("libcgroups", |bench| {
        bench.iter(|| {
            ["cpu.pressure", "memory.pressure", "io.pressure"]
                .map(|file| libcgroups::stats::psi_stats(&dir.join(file)).unwrap())
        });
    });
    bench.finish();
}

type BenchGroup<'c> = criterion::BenchmarkGroup<'c, criterion::measurement::WallTime>;

/// The reader, with files kept open and not, and a reading from nothing.
fn ours(bench: &mut BenchGroup<'_>, sources: &Sources, parts: Parts) {
    let mut stats = Stats::default();
    for (name, keep) in
        [("libcontainer, reader", Keep::Open), ("libcontainer, reader, files closed", Keep::Nothing)]
    {
        let mut reader = Reader::with(sources, parts, keep).unwrap();
        bench.bench_function(name, |bench| bench.iter(|| reader.read_into(black_box(&mut stats)).unwrap()));
    }
    bench.bench_function("libcontainer, afresh", |bench| {
        bench.iter(|| {
            let mut stats = Stats::default();
            Reader::with(sources, parts, Keep::Nothing).unwrap().read_into(&mut stats).unwrap();
            stats
        });
    });
}

/// Everything that each of the three calls the stats of a container.
fn whole(criterion: &mut Criterion, name: &str) {
    let dir = stock(name);
    let sources = Sources { v2: Some(Arc::new(Dir::open(&dir).unwrap())), ..Sources::default() };
    let check = stats::read(&sources).unwrap();
    let mut bench = criterion.benchmark_group("stats of a container, as a 6.12 kernel shows them");
    ours(&mut bench, &sources, Parts::all());
    let youki = youki(name);
    assert_eq!(Some(youki.stats().unwrap().memory.memory.usage), check.memory.total.usage);
    bench.bench_function("libcgroups", |bench| bench.iter(|| youki.stats().unwrap()));
    let kata = cgroups_rs::FsManager::new(name).unwrap();
    assert_eq!(kata.stats().memory.memory.map(|memory| memory.usage), check.memory.total.usage);
    bench.bench_function("cgroups-rs", |bench| bench.iter(|| kata.stats()));
    bench.finish();
    same_files(criterion, &sources, name);
    for path in [&dir, &Path::new(ROOT).join("cgroup.controllers")] {
        mount(&["umount", "-l"], path);
    }
    fs::remove_dir(dir).unwrap();
}

/// The files that `libcgroups` reads, and as many of huge pages.
const SAME: &[&str] = &[
    "cpu.stat",
    "cpu.pressure",
    "memory.current",
    "memory.max",
    "memory.peak",
    "memory.events",
    "memory.swap.current",
    "memory.swap.max",
    "memory.swap.peak",
    "memory.swap.events",
    "memory.stat",
    "memory.pressure",
    "io.stat",
    "io.pressure",
    "pids.current",
    "pids.max",
    "hugetlb.2MB.events",
    "hugetlb.2MB.rsvd.current",
    "hugetlb.1GB.events",
    "hugetlb.1GB.rsvd.current",
];

/// Like with like: the same files, by both.
fn same_files(criterion: &mut Criterion, sources: &Sources, name: &str) {
    let mut bench = criterion.benchmark_group("stats of a container, the same 20 files");
    let mut stats = Stats::default();
    for (label, keep) in
        [("libcontainer, reader", Keep::Open), ("libcontainer, reader, files closed", Keep::Nothing)]
    {
        let reader = Reader::with(sources, Parts::all(), keep).unwrap();
        let mut reader = reader.only(|file| SAME.contains(&file));
        // Also where the filter leaves the measurement out.
        reader.read_into(&mut stats).unwrap();
        bench.bench_function(label, |bench| bench.iter(|| reader.read_into(black_box(&mut stats)).unwrap()));
        assert!(keep == Keep::Nothing || reader.open_files() == SAME.len(), "{}", reader.open_files());
    }
    let youki = youki(name);
    bench.bench_function("libcgroups", |bench| bench.iter(|| youki.stats().unwrap()));
    bench.finish();
}

/// The samples where `cgroups-rs` looks for a group, and a list of controllers that goes with them.
fn stock(name: &str) -> PathBuf {
    let dir = Path::new(ROOT).join(name);
    fs::create_dir(&dir).unwrap();
    mount(&["mount", "-t", "tmpfs", "tmpfs"], &dir);
    for file in fs::read_dir(SAMPLES).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.join(file.file_name())).unwrap();
    }
    fs::write(dir.join("cgroup.procs"), "1\n").unwrap();
    // The samples leave out what says nothing new, but libcgroups fails without it.
    for file in ["hugetlb.1GB.events", "hugetlb.2MB.rsvd.events", "hugetlb.1GB.rsvd.events"] {
        fs::write(dir.join(file), "max 0\n").unwrap();
    }
    for file in ["hugetlb.1GB.rsvd.current", "hugetlb.1GB.rsvd.max"] {
        fs::write(dir.join(file), "0\n").unwrap();
    }
    let list = dir.join("cgroup.controllers");
    fs::write(&list, "cpuset cpu io memory hugetlb pids rdma misc\n").unwrap();
    mount(&["mount", "--bind", list.to_str().unwrap()], &Path::new(ROOT).join("cgroup.controllers"));
    dir
}

fn mount(command: &[&str], place: &Path) {
    let (program, args) = command.split_first().unwrap();
    assert!(Command::new(program).args(args).arg(place).status().unwrap().success(), "{command:?} {place:?}");
}
