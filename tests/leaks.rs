//! A thousand containers in one process leave no descriptor, thread, child, mount, file or memory file behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::fs;
use std::time::{Duration, Instant};

use libcontainer::{Factory, ProcessConfig, Stdio};
use libcontainer_tests::{Place, World, able, config};

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Anonymous memory, in KiB: heap and stacks, not the program's own file.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One of four ways of living, by number: a reaper with a process, a program, one that is never started, one that is never waited
/// for and has an exit channel.
fn cycle(factory: &Factory, place: &Place, number: usize) {
    let config = config(&place.join("rootfs"));
    let path = place.join("c");
    match number % 4 {
        0 => {
            let container = factory.create(&path, &config).unwrap();
            let process = container.start(ProcessConfig::new(["echo", "x"]).piped()).unwrap();
            assert_eq!(process.output(10).unwrap().stdout, b"x\n");
            container.destroy().unwrap();
        }
        1 => {
            let with = ProcessConfig { terminal: true, ..ProcessConfig::new(["true"]) };
            let (container, mut process) = factory.run(&path, &config, with).unwrap();
            assert!(process.wait().unwrap().success());
            container.destroy().unwrap();
        }
        2 => {
            let (container, _) = factory.create_with(&path, &config, ProcessConfig::new(["true"])).unwrap();
            container.destroy().unwrap();
        }
        _ => {
            let stdout = Stdio::Writer(Box::new(std::io::sink()));
            let with = ProcessConfig { stdout, ..ProcessConfig::new(["sleep", "100"]) };
            let (container, process) = factory.run(&path, &config, with).unwrap();
            let channel = process.exit_channel().unwrap();
            container.destroy().unwrap();
            assert_eq!(channel.recv().unwrap().signal(), Some(libc::SIGKILL));
        }
    }
}

#[test]
fn a_thousand_containers_leave_nothing() {
    if !able("a_thousand_containers_leave_nothing") {
        return;
    }
    let place = Place::new("leaks");
    place.rootfs().unwrap();
    let factory = Factory::new().unwrap();
    // What the first starts keep for the later ones is not counted.
    (0..100).for_each(|number| cycle(&factory, &place, number));
    let settled = || (World::look(place.path()), threads());
    let (before, memory_before) = (settled(), memory());
    (0..1000).for_each(|number| cycle(&factory, &place, number));
    // A thread that has sent its status may need a moment to end.
    let end = Instant::now() + Duration::from_secs(10);
    while settled() != before && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(settled(), before);
    let grown = memory().saturating_sub(memory_before);
    assert!(grown < 2000, "{grown} KiB more, {memory_before} KiB before");
}
