//! `test --vm`: the workspace's test binaries in machines with stock kernels, under QEMU. See docs/vm-tests.md.

mod apt;
mod build;
mod cpio;
mod image;
mod kernel;
mod machine;
mod report;
mod sources;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::run::root;
use crate::tools::{self, Tool, tool};
use build::Wanted;
use machine::Machine;
use report::Report;

/// Boots at a time: one per core of the smallest machine that this is meant for.
const AT_ONCE: usize = 2;
const LAYOUTS: [&str; 6] = ["v2", "v1", "hybrid", "systemd", "systemd-v1", "systemd-hybrid"];
/// Kernel and layout of a run that asks for nothing else. From 6.12 on Debian's kernels have no memory controller of version 1.
const DEFAULT: [(&str, &str); 5] =
    [("6.1", "v2"), ("6.1", "v1"), ("6.1", "hybrid"), ("6.1", "systemd"), ("newest", "v2")];
const ALL_KERNELS: [&str; 3] = ["5.10", "6.1", "newest"];

/// Megabytes that an empty cache grows to, and that a run writes with a full one.
const ROOM_COLD: u64 = 5000;
const ROOM_WARM: u64 = 1500;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    wanted: Wanted,
    kernel: Option<String>,
    layout: Option<String>,
    keep: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().cloned().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--vm" => {}
                "--all" => options.choose(Wanted::All, arg)?,
                "--keep" => options.keep = true,
                "--kernel" => options.kernel = Some(value()?),
                "--cg" => options.layout = Some(value()?),
                other if other.starts_with('-') => bail!("unknown option {other}"),
                other => options.choose(Wanted::Filter(other.to_owned()), other)?,
            }
        }
        match &options.layout {
            Some(layout) if !LAYOUTS.contains(&layout.as_str()) => {
                bail!("--cg {layout}: one of {}", LAYOUTS.join(", "))
            }
            _ => Ok(options),
        }
    }

    fn choose(&mut self, wanted: Wanted, arg: &str) -> Result<()> {
        if self.wanted != Wanted::Layout {
            bail!("{arg}: one filter, or --all");
        }
        self.wanted = wanted;
        Ok(())
    }

    /// Pairs of kernel and layout.
    fn boots(&self) -> Vec<(String, String)> {
        let pair = |kernel: &str, layout: &str| (kernel.to_owned(), layout.to_owned());
        match (self.kernel.as_deref(), self.layout.as_deref()) {
            (None, None) => DEFAULT.iter().map(|(kernel, layout)| pair(kernel, layout)).collect(),
            (None, Some(layout)) => vec![pair("6.1", layout)],
            (Some("all"), layout) => {
                ALL_KERNELS.iter().map(|kernel| pair(kernel, layout.unwrap_or("v2"))).collect()
            }
            (Some(kernel), layout) => vec![pair(kernel, layout.unwrap_or("v2"))],
        }
    }
}

/// Where packages, images and builds are kept.
fn cache() -> PathBuf {
    std::env::var_os("LIBCONTAINER_VM_CACHE").map_or_else(|| root().join("target/vm"), PathBuf::from)
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let cache = cache();
    fs::create_dir_all(&cache)?;
    let cache = std::path::absolute(cache)?;
    qemu()?;
    let machines = machines(&options, &cache)?;
    for (name, reason) in build::LEFT_OUT {
        println!("vm: left out: {name}: {reason}");
    }
    let queue = Mutex::new(machines.iter());
    let good = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(machine) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let report = finish(machine, &good);
                    clean(machine, options.keep || report.is_none());
                }
            });
        }
    });
    // Poisoned by a panic: then none is known to have passed.
    let good = good.into_inner().unwrap_or_default();
    println!("vm: {} of {} machines passed", good.len(), machines.len());
    if good.len() < machines.len() { bail!("tests failed in the machines") } else { Ok(()) }
}

/// Runs a machine and prints its report in one piece; none if it was a failure.
fn finish(machine: &Machine, good: &Mutex<Vec<String>>) -> Option<Report> {
    let name = machine.name();
    let result = machine.run();
    let mut good = good.lock().ok()?;
    match result {
        Ok(report) => {
            report.print(&name);
            if report.broken.is_some() {
                println!("vm {name}: console:\n{}", machine.console());
            }
            report.is_good().then(|| {
                good.push(name);
                report
            })
        }
        Err(error) => {
            println!("vm {name}: {error:#}\n{}", machine.console());
            None
        }
    }
}

fn clean(machine: &Machine, keep: bool) {
    let dir = machine.dir.display();
    if keep {
        println!("vm {}: kept {dir}: console, results, command (starts it again)", machine.name());
    } else if let Err(error) = fs::remove_dir_all(&machine.dir) {
        println!("vm: remove {dir}: {error}");
    }
}

/// Fetches and builds everything that the boots need: what may be refused at once comes first.
fn machines(options: &Options, cache: &Path) -> Result<Vec<Machine>> {
    room(cache)?;
    let apt = apt::Apt::open(cache)?;
    for (series, _) in options.boots() {
        kernel::look_for(&apt, &series)?;
    }
    let binaries = build::build(cache)?;
    let chosen = build::chosen(&build::tests(&binaries), &options.wanted)?;
    let tools = image::Tools::fetch(&apt, cache)?;
    let payload = build::payload(cache, &binaries, &chosen)?;
    let init = fs::read(build::guest(&binaries)?)?;
    let mut kernels = BTreeMap::new();
    let mut all = Vec::new();
    for (series, layout) in options.boots() {
        let kernel = match kernels.entry(series) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let kernel = kernel::Kernel::fetch(&apt, &tools, cache, new.key())?;
                new.insert(kernel)
            }
        }
        .clone();
        let dir = cache.join("runs").join(format!("{}-{layout}", kernel.version));
        fs::create_dir_all(&dir)?;
        let initramfs = dir.join("initramfs");
        fs::write(&initramfs, kernel.initramfs(&init)?)?;
        let (tools, payload) = (tools.image.clone(), payload.clone());
        all.push(Machine { kernel, layout, initramfs, tools, payload, dir });
    }
    Ok(all)
}

/// Whether the disk has room for what is to be fetched and built.
fn room(cache: &Path) -> Result<()> {
    let output = Command::new("df").args(["--output=avail", "-BM"]).arg(cache).output().context("df")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // What df does not tell is found out by writing.
    let free = text.lines().last().and_then(|line| line.trim().trim_end_matches('M').parse::<u64>().ok());
    let needed = if cache.join("payload.ext4").exists() { ROOM_WARM } else { ROOM_COLD };
    match free {
        Some(free) if free < needed => bail!(
            "{}: {free} MB free, {needed} MB needed (LIBCONTAINER_VM_CACHE names another place)",
            cache.display()
        ),
        _ => Ok(()),
    }
}

const QEMU: Tool = tool("qemu-system-x86_64", "qemu-system-x86", "is the machine in which the tests run");

fn qemu() -> Result<()> {
    if tools::install(&[QEMU])?.is_empty() { Ok(()) } else { bail!("{} is missing", QEMU.program) }
}

#[cfg(test)]
mod tests {
    use super::{Options, Wanted};

    fn parse(line: &str) -> Option<(usize, Wanted, bool)> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let options = Options::parse(&args).ok()?;
        Some((options.boots().len(), options.wanted, options.keep))
    }

    #[test]
    fn options() {
        let filter = Wanted::Filter("mount".to_owned());
        for (line, expected) in [
            ("--vm", Some((5, Wanted::Layout, false))),
            ("--vm --all", Some((5, Wanted::All, false))),
            ("--vm --all mount", None),
            ("--vm mount --all", None),
            ("--vm mount --keep", Some((1 + 4, filter.clone(), true))),
            ("--vm --cg v1 mount", Some((1, filter, false))),
            ("--vm --kernel all", Some((3, Wanted::Layout, false))),
            ("--vm --cg v3", None),
            ("--vm --kernel", None),
            ("--vm --fast", None),
            ("--vm a b", None),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }
}
