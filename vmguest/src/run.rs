//! Runs the test binaries one by one and reports each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::json;

/// What the host wants to be run.
const JOB: &str = "/vmtest/job.json";
/// The second serial line: a file on the host.
const RESULTS: &str = "/dev/ttyS1";
/// Where the tests' temporary files go: a disk with a filesystem that a host would have.
pub(crate) const SCRATCH: &str = "/scratch";
const SKIPS: &str = "/run/vmtest-skips";
const OUTPUT: &str = "/run/vmtest-output";
/// Where systemd is pid 1 (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// Bytes of a binary's output that are reported: its end.
const TAIL: usize = 48 * 1024;

#[derive(Debug, Deserialize)]
struct Job {
    tests: Vec<Test>,
}

/// One test binary.
#[derive(Debug, Deserialize)]
struct Test {
    name: String,
    path: PathBuf,
    args: Vec<String>,
    cwd: PathBuf,
    env: BTreeMap<String, String>,
    /// Seconds until it is killed.
    limit: u64,
}

/// Runs everything in the job and writes a line for each, and one at the end.
pub(crate) fn run() -> Result<()> {
    let text = fs::read(JOB).context(JOB)?;
    let job: Job = serde_json::from_slice(&text).context(JOB)?;
    let mut results = fs::OpenOptions::new().write(true).open(RESULTS).context(RESULTS)?;
    let mut line = |value: &serde_json::Value| -> Result<()> {
        results.write_all(format!("{value}\n").as_bytes()).context(RESULTS)
    };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    line(&json!({"start": release.trim(), "uptime": uptime.split(' ').next()}))?;
    let only = word("vm.only")?;
    let asked =
        |test: &&Test| only.as_ref().is_none_or(|names| names.split(',').any(|name| name == test.name));
    let tests: Vec<&Test> = job.tests.iter().filter(asked).collect();
    for test in &tests {
        eprintln!("vmguest: {}", test.name);
        line(&one(test))?;
    }
    line(&json!({"end": tests.len()}))
}

/// What the kernel's command line says of `key`.
pub(crate) fn word(key: &str) -> Result<Option<String>> {
    let words = fs::read_to_string("/proc/cmdline").context("/proc/cmdline")?;
    let value = |word: &str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    Ok(words.split_whitespace().find_map(value))
}

fn one(test: &Test) -> serde_json::Value {
    let _ = fs::write(SKIPS, "");
    let _ = fs::set_permissions(SKIPS, fs::Permissions::from_mode(0o666));
    let start = Instant::now();
    let (status, exit) = match execute(test) {
        Ok((_, true)) => (format!("killed after {} s", test.limit), -1),
        Ok((status, false)) => (status.to_string(), status.code().unwrap_or(-1)),
        Err(error) => (format!("{error:#}"), -1),
    };
    let skips = fs::read(SKIPS).unwrap_or_default();
    json!({
        "name": test.name,
        "exit": exit,
        "status": status,
        "seconds": start.elapsed().as_secs_f64(),
        "output": tail(Path::new(OUTPUT)),
        "skips": String::from_utf8_lossy(&skips),
    })
}

/// The status, and whether the time was over.
///
/// Each binary has a mount namespace of its own. Without systemd it has a pid namespace too, so whatever it leaves behind ends with
/// it; but systemd must know our processes by their numbers, and what it mounts (`/run/user/1000`) must be seen.
fn execute(test: &Test) -> Result<(ExitStatus, bool)> {
    let output = File::create(OUTPUT).context(OUTPUT)?;
    let own = Path::new("/vmtest/vmguest");
    let alone: &[&str] = match Path::new(SYSTEMD).exists() {
        true => &["--propagation", "slave"],
        false => &["--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"],
    };
    let mut child = Command::new("/usr/bin/unshare")
        .arg("--mount")
        .args(alone)
        .arg("--")
        .arg(own)
        .arg("reap")
        .arg(&test.path)
        .args(&test.args)
        .current_dir(&test.cwd)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("TMPDIR", SCRATCH)
        .env("LIBCONTAINER_SKIP_FILE", SKIPS)
        .env("LIBCONTAINER_EMULATED", "1")
        .envs(&test.env)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().context(OUTPUT)?)
        .stderr(output)
        .spawn()
        .context("unshare")?;
    let end = Instant::now() + Duration::from_secs(test.limit);
    loop {
        if let Some(status) = child.try_wait().context("wait")? {
            return Ok((status, false));
        }
        if Instant::now() > end {
            // The test too: it has a pid namespace that dies with the child only where there is no systemd.
            let _ = i32::try_from(child.id()).map(|id| killpg(Pid::from_raw(id), Signal::SIGKILL));
            return Ok((child.wait().context("wait")?, true));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The end of a file as text.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let from = bytes.len().saturating_sub(TAIL);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
}
