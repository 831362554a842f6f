//! Shows what groups use, twice a second: `cgroup_top GROUP...`, each a path below every hierarchy (`/system.slice/ssh.service`).
//!
//! Stop it with Ctrl-C.
#![allow(clippy::print_stdout, reason = "that's what it is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libcontainer_cgroups::stats::{Keep, Parts, Reader, Sampler, Sources, Stats};
use libcontainer_cgroups::{Dir, Result};

/// Looks for the group in the places where hierarchies are usually mounted.
fn sources(group: &str) -> Result<Sources> {
    let (root, group) = (Path::new("/sys/fs/cgroup"), group.trim_start_matches('/'));
    if root.join("cgroup.controllers").exists() {
        return Ok(Sources { v2: Some(Arc::new(Dir::open(root.join(group))?)), ..Sources::default() });
    }
    let mut sources = Sources::default();
    for controller in ["cpu", "cpuacct", "memory", "pids", "blkio"] {
        match Dir::open(root.join(controller).join(group)) {
            Ok(dir) => drop(sources.v1.insert(controller.to_owned(), Arc::new(dir))),
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sources)
}

fn main() -> Result<()> {
    let mut groups = Vec::new();
    for group in std::env::args().skip(1) {
        let reader = Reader::with(&sources(&group)?, Parts::CPU | Parts::MEMORY | Parts::PIDS, Keep::Open)?;
        groups.push((group, reader, Sampler::new()));
    }
    let mut stats = Stats::default();
    while !groups.is_empty() {
        println!("{:>8} {:>12} {:>6}  GROUP", "CPU%", "MEMORY", "PIDS");
        for (group, reader, sampler) in &mut groups {
            reader.read_into(&mut stats)?;
            let percent = sampler.sample(&stats).unwrap_or(0.0);
            let (memory, pids) = (stats.memory.total.usage.unwrap_or(0), stats.pids.current.unwrap_or(0));
            println!("{percent:>8.1} {memory:>12} {pids:>6}  {group}");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
