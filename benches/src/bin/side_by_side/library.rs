//! This library, and the floor beneath it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use libcontainer::plan::{Builder, Launch, wire};
use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::Place;

use crate::failure::Failure;
use crate::rows::Row;

pub(crate) fn floor_program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?.with_file_name("floor"))
}

pub(crate) fn floor(program: &Path, rootfs: &Path) -> Result<Duration, Failure> {
    micros(told(Command::new(program).arg(rootfs).args(["1", "0"]))?.trim())
}

/// A process that waits in new namespaces and nothing else: until it executes a program, or until that has ended.
pub(crate) fn waiting(program: &Path, rootfs: &Path, ended: bool) -> Result<Duration, Failure> {
    let both = told(Command::new(program).arg("waiting").arg(rootfs.join("bin/true")))?;
    let (executed, over) = both.trim().split_once(' ').ok_or_else(|| format!("floor: {both:?}"))?;
    micros(if ended { over } else { executed })
}

/// What is beneath templates.
pub(crate) fn floor_rows<'a>(program: &Path, rootfs: &Path) -> Vec<Row<'a>> {
    let both = || (program.to_owned(), rootfs.to_owned());
    let ((first, a), (second, b), (third, c)) = (both(), both(), both());
    vec![
        Row::own("floor", move || floor(&first, &a)),
        Row::own("a waiting process until it executes", move || waiting(&second, &b, false)),
        Row::own("a waiting process until it has ended", move || waiting(&third, &c, true)),
    ]
}

fn told(floor: &mut Command) -> Result<String, Failure> {
    let output = floor.output().map_err(|error| format!("floor: {error}"))?;
    if !output.status.success() {
        return Err(format!("floor: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn micros(text: &str) -> Result<Duration, Failure> {
    Ok(Duration::from_micros(text.parse()?))
}

pub(crate) fn run(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    Ok(spans(factory, place, config)?.1)
}

/// The time until the program runs, and until all is gone again.
pub(crate) fn spans(
    factory: &Factory,
    place: &Place,
    config: &Config,
) -> Result<(Duration, Duration), Failure> {
    let start = Instant::now();
    let (container, mut process) =
        factory.run(place.join("run/c"), config, ProcessConfig::new(["/bin/true"]))?;
    let running = start.elapsed();
    process.wait()?;
    container.destroy()?;
    Ok((running, start.elapsed()))
}

pub(crate) fn created(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    let start = Instant::now();
    let program = ProcessConfig::new(["/bin/true"]);
    let (container, mut process) = factory.create_with(place.join("run/c"), config, program)?;
    container.run()?;
    process.wait()?;
    container.destroy()?;
    Ok(start.elapsed())
}

pub(crate) fn reaper(factory: &Factory, place: &Place, config: &Config) -> Result<Duration, Failure> {
    let start = Instant::now();
    let container = factory.create(place.join("run/c"), config)?;
    container.start(ProcessConfig::new(["/bin/true"]))?.wait()?;
    container.destroy()?;
    Ok(start.elapsed())
}

/// Only namespaces and exec, by the sealed init.
pub(crate) fn planned(wait: bool) -> Result<Duration, Failure> {
    let start = Instant::now();
    let mut plan = Builder::new();
    let new =
        libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWPID | libc::CLONE_NEWNET;
    plan.namespaces(u64::from(wire::unsigned(new)));
    plan.start_init();
    if wait {
        plan.notify_host("ready");
        plan.await_host("committed");
    }
    plan.exec(&["/bin/true".into()], &[b"true".to_vec()], &[]);
    plan.await_exec();
    let status = Launch::new(plan.seal()?).run()?.wait()?;
    let taken = start.elapsed();
    match status {
        nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(taken),
        other => Err(format!("/bin/true: {other:?}").into()),
    }
}

/// The floor is one only if it makes what the container has: both show their mounts, but for numbers.
pub(crate) fn same_mounts(place: &Place, config: &Config) -> Result<(), Failure> {
    let show = ProcessConfig::new(["/bin/cat", "/proc/self/mountinfo"]).piped();
    let (container, process) = Factory::new()?.run(place.join("run/c"), config, show)?;
    let ours = process.output(4096)?.stdout;
    container.destroy()?;
    let program = floor_program()?;
    let floor = Command::new(&program).arg(&config.rootfs).arg("mounts").output();
    let floor = floor.map_err(|error| format!("{}: {error}", program.display()))?.stdout;
    let (ours, floor) = (mounts(&ours), mounts(&floor));
    if ours == floor && !ours.is_empty() {
        return Ok(());
    }
    Err(format!("the floor has other mounts: {floor:#?}, not {ours:#?}").into())
}

/// Root, place, options and kind of each mount; not the numbers before them and the options of the whole filesystem behind.
fn mounts(table: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(table).into_owned();
    let of_mount = |line: &str| Some(line.rsplit_once(' ')?.0.splitn(4, ' ').nth(3)?.to_owned());
    let mut all: Vec<_> = text.lines().filter_map(of_mount).collect();
    all.sort_unstable();
    all
}
