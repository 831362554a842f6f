//! Namespaces for the benchmark alone, so that nothing of it can stay: its mounts, its bridge and its processes go with them, also when it fails or is
//! interrupted. What namespaces don't hold, directories of control groups, this process removes afterwards.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use libcontainer::cgroups::Layout;
use nix::sys::signal::{SigSet, Signal};

use crate::failure::Failure;

/// In the environment of the inner process: what the names of its control groups end with.
pub(crate) const MARK: &str = "LCBENCH_MARK";

/// crun refuses a hybrid layout, so the hierarchy of version 2 is not shown beside those of version 1.
const SCRIPT: &str = "umount -l /sys/fs/cgroup/unified 2>/dev/null
mount -t tmpfs -o mode=755 tmpfs \"$TMPDIR\" && exec \"$0\" --inner \"$@\"";

/// Runs this program again, with `--inner` before its arguments.
pub(crate) fn run(args: &[String]) -> Result<(), Failure> {
    let mark = format!("{}", std::process::id());
    let dir = std::env::temp_dir().join(format!("lcbench-{mark}"));
    let status = run_in(&dir, &mark, args);
    let left: Vec<_> = clean(&dir, &mark).into_iter().collect();
    for error in &left {
        eprintln!("{error}");
    }
    match status?.code() {
        Some(0) if left.is_empty() => Ok(()),
        Some(0) => Err("something is left".into()),
        _ => Err("the benchmark has failed, or was interrupted".into()),
    }
}

fn run_in(dir: &Path, mark: &str, args: &[String]) -> Result<ExitStatus, Failure> {
    // ORDER: before there is anything to clean: these end the benchmark, and this process afterwards.
    let ends = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD]);
    ends.thread_block()?;
    fs::create_dir(dir).map_err(|error| format!("mkdir {}: {error}", dir.display()))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["--propagation", "private", "sh", "-c", SCRIPT]).arg(std::env::current_exe()?).args(args);
    let mut child =
        command.env("TMPDIR", dir).env(MARK, mark).spawn().map_err(|error| format!("unshare: {error}"))?;
    wait(&mut child, &ends)
}

/// Until the child has ended; a signal ends it, and all processes of its pid namespace with it.
fn wait(child: &mut Child, ends: &SigSet) -> Result<ExitStatus, Failure> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if ends.wait()? != Signal::SIGCHLD {
            child.kill()?;
            child.wait()?;
            return Ok(ExitStatus::from_raw(Signal::SIGINT as i32));
        }
    }
}

/// Removes the directory, which is empty here, and control groups; returns what can't be removed.
fn clean(dir: &Path, mark: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mut removed = |path: &Path| match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            left.push(format!("rmdir {}: {error}", path.display()));
        }
        _ => {}
    };
    removed(dir);
    match groups(mark) {
        Ok(groups) => groups.iter().for_each(|group| removed(group)),
        Err(error) => left.push(format!("look for control groups: {error}")),
    }
    left
}

/// The processes of a group may need a moment to be gone.
fn remove(path: &Path) -> io::Result<()> {
    for _ in 0..100 {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
    fs::remove_dir(path)
}

/// Control groups of this run, those within others first.
fn groups(mark: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for hierarchy in Layout::of_this_process()?.all() {
        below(&hierarchy.mountpoint, &format!("-{mark}"), false, 4, &mut all)?;
    }
    Ok(all)
}

fn below(dir: &Path, end: &str, ours: bool, depth: u32, all: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if depth == 0 || !entry.file_type()?.is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = ours || name.contains("lcbench-") && name.ends_with(end);
        match below(&entry.path(), end, ours, depth - 1, all) {
            // Somebody else's, gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            result => result?,
        }
        all.extend(ours.then(|| entry.path()));
    }
    Ok(())
}
