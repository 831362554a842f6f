//! `miri`: the tests of all pure code in Miri, which knows what is undefined; what it can't run says so, and is counted.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use crate::run::root;
use crate::test::Totals;

/// What runs: unit tests of packages, and test binaries that need no kernel.
const PURE: [(&str, &str); 11] = [
    ("libcontainer-plan", "--lib"),
    ("libcontainer-mount", "--lib"),
    ("libcontainer-mount", "mountinfo"),
    ("libcontainer-network", "--lib"),
    ("libcontainer-cgroups", "--lib"),
    ("libcontainer-security", "--lib"),
    ("libcontainer-oci", "--lib"),
    ("libcontainer-netlink", "--lib"),
    ("libcontainer", "--lib"),
    ("libcontainer-oci", "refused"),
    ("libcontainer-oci", "converted"),
];
/// What a test that is left out may say of itself (`cfg_attr(miri, ignore = "…")`).
const REASONS: [(&str, &str); 3] = [
    ("asks the kernel", "by calls that Miri does not have"),
    ("no device numbers", "Miri's stat(2) says 0 for all"),
    ("too long", "hours, of what a shorter test does too"),
];
const FLAGS: &str = "-Zmiri-permissive-provenance -Zmiri-disable-isolation";

/// What was run.
#[derive(Debug, Default)]
struct Tally {
    totals: Totals,
    ignored: BTreeMap<String, Vec<String>>,
    failed: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let wanted = |package: &str| args.is_empty() || args.iter().any(|arg| arg == package);
    if let Some(arg) = args.iter().find(|arg| !PURE.iter().any(|(package, _)| package == arg)) {
        bail!("{arg}: no package of pure code");
    }
    let version = miri(&["--version"]).output().context("rustup")?;
    if !version.status.success() {
        bail!("no Miri: rustup toolchain install nightly --component miri --component rust-src");
    }
    let tally = Mutex::new(Tally::default());
    let left = Mutex::new(PURE.into_iter().filter(|(package, _)| wanted(package)));
    let next = || left.lock().ok()?.next();
    // An interpreter has one thread.
    thread::scope(|scope| {
        let work = || -> Result<()> { std::iter::from_fn(next).try_for_each(|one| test(one, &tally)) };
        let workers: Vec<_> =
            (0..thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(work)).collect();
        let ended = |worker: thread::ScopedJoinHandle<'_, Result<()>>| {
            worker.join().unwrap_or_else(|_| bail!("a worker panicked"))
        };
        workers.into_iter().try_for_each(ended)
    })?;
    tally.into_inner().map_err(|_| anyhow!("a worker panicked"))?.report()
}

/// Runs one of them, and tells of it when it has ended.
fn test((package, target): (&str, &str), tally: &Mutex<Tally>) -> Result<()> {
    let mut command = miri(&["test", "--package", package]);
    match target {
        "--lib" => command.arg(target),
        binary => command.args(["--test", binary]),
    };
    let begun = Instant::now();
    let output = command.stderr(Stdio::inherit()).output().context("rustup")?;
    let mut tally = tally.lock().map_err(|_| anyhow!("a worker panicked"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{package} {target}: {}, {} s", output.status, begun.elapsed().as_secs());
    text.lines().for_each(|line| tally.line(line));
    // What Miri does not allow ends the whole binary, without a result.
    if !output.status.success() {
        tally.failed.push(format!("{package} {target}: {}", output.status));
    }
    Ok(())
}

/// The proxy of rustup: cargo's own variable names the toolchain of this program.
fn miri(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "miri"]).args(args).current_dir(root());
    command.env("MIRIFLAGS", FLAGS).env_remove("CARGO").env_remove("RUSTC").stdin(Stdio::null());
    command
}

impl Tally {
    fn line(&mut self, line: &str) {
        self.totals.add(line);
        let Some((name, reason)) = line.split_once(" ... ignored, ") else { return };
        let name = name.trim_start_matches("test ").to_owned();
        self.ignored.entry(reason.trim().to_owned()).or_default().push(name);
    }

    fn report(&self) -> Result<()> {
        for (reason, names) in &self.ignored {
            let known = REASONS.iter().find(|(known, _)| known == reason);
            let why = known.map_or("a reason that xtask does not know", |(_, why)| why);
            println!("left out, {reason} ({why}): {}", names.join(", "));
        }
        let ignored: usize = self.ignored.values().map(Vec::len).sum();
        println!("{} passed, {} failed, {ignored} left out", self.totals.passed, self.totals.failed);
        self.failed.iter().for_each(|failed| println!("{failed}"));
        if !self.failed.is_empty() || self.totals.passed == 0 {
            bail!("not all passed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_there() {
        for (package, target) in PURE.iter().filter(|(_, target)| *target != "--lib") {
            let folder = package.trim_start_matches("libcontainer-");
            let path = root().join("crates").join(folder).join("tests").join(format!("{target}.rs"));
            assert!(path.exists(), "{}", path.display());
        }
    }

    #[test]
    fn results_and_reasons_are_counted() {
        let mut tally = Tally::default();
        for line in [
            "test a::b ... ok",
            "test a::c ... ignored, asks the kernel",
            "test a::d ... ignored, asks the kernel",
            "test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out",
        ] {
            tally.line(line);
        }
        assert_eq!(tally.totals, Totals { passed: 1, failed: 0 });
        assert_eq!(tally.ignored["asks the kernel"], ["a::c", "a::d"]);
        assert!(tally.report().is_ok());
        tally.failed.push("x --lib: exit status: 1".to_owned());
        assert!(tally.report().is_err() && Tally::default().report().is_err());
    }
}
