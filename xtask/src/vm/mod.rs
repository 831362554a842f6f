//! `test --vm`: the workspace's test binaries in machines with stock kernels, under QEMU. See docs/vm-tests.md.

mod apt;
mod build;
mod cpio;
mod image;
mod kernel;
mod machine;
mod options;
mod purpose;
mod report;
mod selinux;
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
use machine::Machine;
use options::{Boot, Options};
use purpose::Purpose;
use report::Report;

/// Boots at a time: one per core of the smallest machine that this is meant for.
const AT_ONCE: usize = 2;
/// Megabytes that an empty cache grows to, and that a run writes with a full one.
const ROOM_COLD: u64 = 4000;
const ROOM_WARM: u64 = 1500;

/// Where packages, images and builds are kept.
fn cache() -> PathBuf {
    std::env::var_os("LIBCONTAINER_VM_CACHE").map_or_else(|| root().join("target/vm"), PathBuf::from)
}

/// Fetches packages by an apt of our own and unpacks them into `dir`; the system has none of them then. Their files.
pub(crate) fn packages(names: &[&str], dir: &Path) -> Result<Vec<PathBuf>> {
    let cache = cache();
    fs::create_dir_all(&cache)?;
    let apt = apt::Apt::open(&std::path::absolute(cache)?)?;
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let debs = apt.download(&names)?;
    apt::extract(&debs, dir)?;
    Ok(debs)
}

/// The same of one package of a suite, with all that it depends on.
pub(crate) fn with_dependencies(suite: &str, name: &str, dir: &Path) -> Result<()> {
    let cache = cache();
    fs::create_dir_all(&cache)?;
    let apt = apt::Apt::of_suite(&std::path::absolute(cache)?, suite)?;
    apt::extract(&apt.closure(&["-t", suite, name])?, dir)
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let cache = cache();
    fs::create_dir_all(&cache)?;
    let cache = std::path::absolute(cache)?;
    qemu()?;
    let machines = machines(&options, &cache)?;
    for (name, reason) in build::LEFT_OUT.iter().filter(|_| options.script.is_none()) {
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
    for boot in options.boots() {
        kernel::look_for(&apt, &boot.series)?;
    }
    let Built { purpose, payload, init } = built(options, cache)?;
    let tools = image::Tools::fetch(&apt, cache, &purpose)?;
    let mut kernels = BTreeMap::new();
    let mut all = Vec::new();
    for boot in options.boots() {
        let kernel = match kernels.entry(boot.series.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let kernel = kernel::Kernel::fetch(&apt, &tools, cache, new.key())?;
                new.insert(kernel)
            }
        }
        .clone();
        let policy = if boot.lsm == options::SELINUX { Some(selinux::policy(&tools, cache)?) } else { None };
        let run = format!("{}-{}-{}", kernel.version, boot.layout, boot.lsm);
        let dir = dir_of_script(options, cache).unwrap_or_else(|| cache.join("runs").join(run));
        fs::create_dir_all(&dir)?;
        let initramfs = dir.join("initramfs");
        fs::write(&initramfs, kernel.initramfs(&init, policy.as_deref())?)?;
        let (tools, payload, purpose) = (tools.image.clone(), payload.clone(), purpose.clone());
        let only = options.only(&boot);
        let Boot { layout, lsm, .. } = boot;
        all.push(Machine { kernel, layout, lsm, only, purpose, initramfs, tools, payload, dir });
    }
    Ok(all)
}

/// What was compiled, for all machines of a run.
struct Built {
    purpose: Purpose,
    payload: PathBuf,
    init: Vec<u8>,
}

fn built(options: &Options, cache: &Path) -> Result<Built> {
    let Some((disk, dir)) = options.script.as_ref().zip(dir_of_script(options, cache)) else {
        let binaries = build::build(cache)?;
        let chosen = build::chosen(&build::tests(&binaries), &options.wanted)?;
        let purpose = if chosen.has_clients() { Purpose::Clients } else { Purpose::Tests };
        // Others need not pay for it.
        let more = if chosen.has_clients() { build::cri_client(cache)? } else { Vec::new() };
        let all = [binaries.as_slice(), &more].concat();
        let payload = build::payload(cache, &all, &chosen)?;
        return Ok(Built { purpose, payload, init: fs::read(build::guest(&binaries)?)? });
    };
    fs::create_dir_all(&dir)?;
    let binaries = build::programs(cache)?;
    let purpose = Purpose::Script(std::path::absolute(disk)?);
    let payload = build::payload_of_script(&dir, &binaries)?;
    Ok(Built { purpose, payload, init: fs::read(build::guest(&binaries)?)? })
}

/// Named after the disk: more than one may run at a time.
fn dir_of_script(options: &Options, cache: &Path) -> Option<PathBuf> {
    Some(cache.join("runs").join(options.script.as_ref()?.file_stem()?))
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
