//! `bench`: the benchmarks, with the facts about the machine that explain their noise.

use anyhow::Result;

use crate::run::{cargo, check};

pub(crate) fn run(args: &[String]) -> Result<()> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("kernel {}, {processors} processors, load {}", kernel.trim(), load.trim());
    if let Some(("netlink", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let package = ["run", "--profile", "bench", "-p", "libcontainer-benches", "--bin", "netlink", "--"];
        return check(cargo(&package).args(rest));
    }
    // The command line as users build it, the library as its users do; both lie in one directory.
    check(&mut cargo(&["build", "--release", "-p", "nsinit"]))?;
    let mut command =
        cargo(&["run", "--profile", "bench", "-p", "libcontainer-benches", "--bin", "side_by_side", "--"]);
    check(command.args(args))
}
