//! One of several processes that handle the same container at the same time: `racer PATH ROOTFS SECONDS SEED`.
//!
//! The container has a control group, named after the directory of PATH. Prints how often each operation went well and which errors there were. Fails on an error that is not documented for the
//! operation, and if it holds more descriptors or threads at the end than after its first round.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a report for the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use libcontainer::{Config, Error, ErrorKind, Factory, ProcessConfig};

const OPERATIONS: [&str; 10] =
    ["create", "run", "split", "exec", "state", "signal", "processes", "pause", "resume", "destroy"];

struct Racer<'a> {
    factory: Factory,
    path: &'a Path,
    config: Config,
}

impl Racer<'_> {
    /// Makes a container of its own and destroys it: ended children are reaped then.
    fn settle(&self) -> Result<(), Error> {
        let own = self.path.with_extension(std::process::id().to_string());
        // The control group is that of the container that all race for.
        let config = Config { cgroups: None, ..self.config.clone() };
        self.factory.create(own, &config)?.destroy()
    }

    fn attempt(&self, operation: &str) -> Result<(), Error> {
        let sleep = || ProcessConfig::new(["sleep", "100"]);
        let load = || self.factory.load(self.path);
        match operation {
            "create" => self.factory.create(self.path, &self.config).map(drop),
            "run" => self.factory.run(self.path, &self.config, sleep()).map(drop),
            "split" => self.factory.create_with(self.path, &self.config, sleep())?.0.run(),
            "exec" => load()?.start(ProcessConfig::new(["true"]))?.wait().map(drop),
            "state" => load()?.run_state().map(drop),
            "signal" => load()?.signal(libc::SIGTERM),
            "processes" => load()?.processes().map(drop),
            "pause" => load()?.pause(),
            "resume" => load()?.resume(),
            _ => self.factory.destroy(self.path),
        }
    }
}

/// What the documentation of each operation says about a container that another process takes away or gets ahead with.
fn documented(operation: &str, error: &Error) -> bool {
    use ErrorKind::{AlreadyExists, NotFound, StartFailed, Timeout, WrongState};
    // A lock that is held for 10 s.
    let common = [NotFound, Timeout].contains(&error.kind());
    common
        || match operation {
            "create" | "run" => [AlreadyExists, StartFailed].contains(&error.kind()),
            "split" => [AlreadyExists, StartFailed, WrongState].contains(&error.kind()),
            "exec" => [StartFailed, WrongState].contains(&error.kind()),
            "pause" | "resume" => error.kind() == WrongState,
            "signal" => error.kind() == WrongState || error.errno() == Some(libc::ESRCH),
            _ => false,
        }
}

fn held() -> [usize; 2] {
    ["/proc/self/fd", "/proc/self/task"].map(|dir| std::fs::read_dir(dir).map_or(0, Iterator::count))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, rootfs, seconds, seed] = args.as_slice() else { return Err("four arguments".into()) };
    let path: &Path = path.as_ref();
    let group = path.parent().map(libcontainer_tests::group_of);
    let config = Config { cgroups: group, ..libcontainer_tests::config(rootfs.as_ref()) };
    let racer = Racer { factory: Factory::new()?, path, config };
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let mut random: u64 = seed.parse::<u64>()?.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    // What the first start of a process keeps open is not counted.
    racer.settle()?;
    let before = held();
    while Instant::now() < end {
        // xorshift64: Marsaglia, 2003.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let index = usize::try_from(random >> 32).unwrap_or(0) % OPERATIONS.len();
        let operation = OPERATIONS.get(index).copied().unwrap_or("destroy");
        let begun = Instant::now();
        let outcome = match racer.attempt(operation) {
            Ok(()) => format!("{operation} ok"),
            Err(error) if documented(operation, &error) => format!("{operation} {:?}", error.kind()),
            Err(error) => return Err(format!("{operation}: not documented: {error:?}").into()),
        };
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(format!("{outcome}: took {:?}", begun.elapsed()).into());
        }
        *counts.entry(outcome).or_default() += 1;
    }
    racer.factory.destroy(racer.path)?;
    racer.settle()?;
    println!("{}", serde_json::to_string(&counts)?);
    let after = held();
    if after.iter().zip(&before).any(|(after, before)| after > before) {
        let fds = std::fs::read_dir("/proc/self/fd")?.flatten();
        let links: Vec<_> = fds.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
        return Err(
            format!("descriptors, threads: {before:?} at first, {after:?} at the end: {links:?}").into()
        );
    }
    Ok(())
}
