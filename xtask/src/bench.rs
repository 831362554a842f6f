//! `bench`: sets up what the benchmarks need, builds and runs them, with the facts about the machine that explain their noise.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::profiles;
use crate::run::{cargo, check};
use crate::test;
use crate::tools::{self, BUSYBOX, Tool, tool};

/// Without these nothing can be measured.
const NEEDED: [Tool; 3] = [
    BUSYBOX,
    tool("ip", "iproute2", "makes the bridge of the containers that have one"),
    tool("unshare", "util-linux", "keeps mounts, processes and interfaces of the benchmark apart"),
];
/// Their rows are left out where they can't be had.
const OTHERS: [Tool; 2] =
    [tool("crun", "crun", "is measured side by side"), tool("runc", "runc", "is measured side by side")];

/// `bench [COUNT | --short]`, `bench memory`, `bench templates [COUNT]`, `bench cgroups …`, `bench netlink …`, `bench seccomp …`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    facts()?;
    match args.split_first() {
        Some((what, rest)) if what == "cgroups" => cgroups(rest),
        Some((what, rest)) if what == "netlink" => netlink(rest),
        Some((what, rest)) if what == "seccomp" => seccomp(rest),
        Some((what, [])) if what == "--short" => short(),
        Some((what, [])) if what == "memory" => starts(&["--memory"]),
        Some((what, [])) if what == "templates" => starts(&["--templates"]),
        Some((what, [count])) if what == "templates" => starts(&["--templates", number(count)?]),
        Some((count, [])) => starts(&[number(count)?]),
        Some(_) => bail!("one number of rounds, or --short"),
        None => starts(&[]),
    }
}

fn number(count: &str) -> Result<&str> {
    count.parse::<usize>().with_context(|| format!("{count:?}: a number of rounds, or --short"))?;
    Ok(count)
}

fn facts() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).with_context(|| path.to_owned());
    let (load, kernel) = (read("/proc/loadavg")?, read("/proc/sys/kernel/osrelease")?);
    let processors = std::thread::available_parallelism().context("number of processors")?;
    println!("kernel {}, {processors} processors, load {}", kernel.trim(), load.trim());
    Ok(())
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
    set_up()?;
    let package = ["run", "--profile", "bench", "-p", "libcontainer-benches", "--bin", "netlink", "--"];
    check(cargo(&package).args(args))
}

/// Compiling filters, and what they cost per call, side by side with libseccomp.
fn seccomp(args: &[String]) -> Result<()> {
    profiles::fetch();
    check(cargo(&["bench", "-p", "libcontainer-security", "--bench", "seccomp", "--"]).args(args))
}

fn set_up() -> Result<()> {
    if !tools::is_root()? {
        bail!("only root can measure: it takes namespaces, a bridge and control groups");
    }
    let left = tools::install(&NEEDED)?;
    if let Some(tool) = left.first() {
        bail!("{} is missing: install the package {}", tool.program, tool.package);
    }
    Ok(())
}

/// The command line as users build it, the library as its users do; all programs lie in one directory then.
fn starts(args: &[&str]) -> Result<()> {
    set_up()?;
    tools::install_where_possible(&OTHERS)?;
    let profile = ["--profile", "bench"];
    check(&mut cargo(&["build", "-p", "nsinit", "--release"]))?;
    // The benchmark starts one of the others.
    check(cargo(&["build", "-p", "libcontainer-benches", "--bins"]).args(profile))?;
    let mut run = cargo(&["run", "-p", "libcontainer-benches", "--bin", "side_by_side"]);
    check(run.args(profile).arg("--").args(args))
}

/// On what `test` has built, by the same command: nothing is left to compile behind it.
fn short() -> Result<()> {
    set_up()?;
    tools::install_where_possible(&OTHERS)?;
    println!("built as for tests: this shows that the benchmark works, not how long anything takes");
    check(&mut cargo(&test::PROGRAMS))?;
    // Where this program lies.
    let program = std::env::current_exe().context("the path of xtask")?.with_file_name("side_by_side");
    check(Command::new(program).args(["3", "--short"]))
}
