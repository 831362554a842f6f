//! `bench`: the benchmarks, with the facts about the machine that explain their noise.

use anyhow::Result;

use crate::run::{cargo, check};

pub(crate) fn run(args: &[String]) -> Result<()> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("kernel {}, {processors} processors, load {}", kernel.trim(), load.trim());
    match args.split_first() {
        Some((what, rest)) if what == "cgroups" => cgroups(rest),
        Some((what, rest)) if what == "netlink" => netlink(rest),
        _ => starts(args),
    }
}

/// Measurements and process lists, side by side with the crates that have them too.
fn cgroups(args: &[String]) -> Result<()> {
    let bench = ["bench", "-p", "libcontainer-benches", "--features", "peers", "--bench", "cgroups", "--"];
    check(cargo(&bench).args(args))?;
    // Not a matter of microseconds, but of whether the share of time is the one that was asked for.
    check(&mut cargo(&["run", "-p", "libcontainer-cgroups", "--example", "cpu_quota"]))
}

/// Links, addresses and routes, side by side with rtnetlink and ip.
fn netlink(args: &[String]) -> Result<()> {
    let package = ["run", "--profile", "bench", "-p", "libcontainer-benches", "--bin", "netlink", "--"];
    check(cargo(&package).args(args))
}

fn starts(args: &[String]) -> Result<()> {
    // The command line as users build it, the library as its users do; both lie in one directory.
    check(&mut cargo(&["build", "--release", "-p", "nsinit"]))?;
    let mut command =
        cargo(&["run", "--profile", "bench", "-p", "libcontainer-benches", "--bin", "side_by_side", "--"]);
    check(command.args(args))
}
