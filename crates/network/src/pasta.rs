//! The outside world without privileges: pasta(1), a program of its own, copies between a tap device in the container's network
//! namespace and ordinary sockets outside.
//!
//! A process is ours if the path of our pid file is among its arguments: that names the container's directory, so neither a
//! number given to another process nor a pasta of somebody else's can be taken for it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use libcontainer_netlink::Name;
use libcontainer_plan::{Pid, open_pidfd, signal_pidfd, wait_readable};
use rustix::fs::Dir;

use crate::error::{Error, Result};

/// How long it may take to set up the device.
const START: Duration = Duration::from_secs(10);
/// How long it may take to leave.
const STOP: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(2);
/// Nothing is forwarded inwards, and no address of the host's loopback is mapped.
const CLOSED: [&str; 11] =
    ["--config-net", "--no-map-gw", "--quiet", "-t", "none", "-u", "none", "-T", "none", "-U", "none"];

/// Starts pasta for the namespaces of the process `init`; returns when the device is configured.
///
/// # Errors
/// That the program is missing, or what it says.
pub(crate) fn start(init: Pid, name: &Name, mtu: Option<u32>, pid_file: &Path) -> Result<()> {
    let what = || format!("start pasta for {name}");
    let failed = |source| Error::Io { what: what(), source };
    let log = pid_file.with_extension("log");
    let mut command = Command::new("pasta");
    command.args(CLOSED).arg("-I").arg(name.to_string());
    if let Some(mtu) = mtu {
        command.arg("-m").arg(mtu.to_string());
    }
    command.arg("--pid").arg(pid_file).arg(init.to_string());
    // A file, because the process that stays would keep a pipe open.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).map_err(failed)?);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::wrong(what(), "pasta is not installed: apt-get install passt"),
        _ => failed(error),
    })?;
    match wait(&mut child) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(_)) => Err(Error::wrong(what(), said(&log))),
        Ok(None) => Err(failed(io::Error::from_raw_os_error(libc::ETIMEDOUT))),
        Err(error) => Err(failed(error)),
    }
}

/// The first process leaves when the one that stays is ready; none if it did not in time. It is gone in any case.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let waited = wait_until(child, Instant::now() + START);
    if !matches!(waited, Ok(Some(_))) {
        // The reason above is the one to tell; what may live on is found by its arguments.
        let _ = child.kill();
        let _ = child.wait();
    }
    waited
}

fn wait_until(child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= end {
            return Ok(status);
        }
        libcontainer_plan::rest(TICK);
    }
}

/// What it had to say, without its notes about a system log that is not there.
fn said(log: &Path) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = File::open(log).and_then(|file| file.take(4096).read_to_end(&mut bytes)) {
        return format!("it failed, and what it said can't be read: {}: {error}", log.display());
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.contains("to syslog")).collect();
    let text = lines.join("; ");
    let tun = if text.contains("tun") { "; /dev/net/tun must be open to this user" } else { "" };
    if text.is_empty() { "it failed without a word".to_owned() } else { text + tun }
}

/// Ends the pasta that was started with this pid file. None is no error.
///
/// # Errors
/// Those of `/proc`, pidfd_open(2) and pidfd_send_signal(2): then it is not known whether there is one.
pub(crate) fn stop(pid_file: &Path) -> Result<()> {
    let failed = |source| Error::Io { what: format!("stop the pasta of {}", pid_file.display()), source };
    let ours = |argument: &[u8]| argument == pid_file.as_os_str().as_bytes();
    for (pid, _) in serving(&ours).map_err(failed)? {
        // ORDER: the descriptor first: what is compared then is the process that it holds.
        let Some(pidfd) = alive(open_pidfd(pid)).map_err(failed)? else { continue };
        if argument(pid, &ours).map_err(failed)?.is_some() {
            end(&pidfd).map_err(failed)?;
        }
    }
    Ok(())
}

/// The pid files in a directory with which pastas run now.
///
/// # Errors
/// Those of `/proc`.
pub(crate) fn running_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let in_dir = |argument: &[u8]| {
        let path = Path::new(OsStr::from_bytes(argument));
        path.parent() == Some(dir) && path.extension() == Some(OsStr::new("pid"))
    };
    let failed = |source| Error::Io { what: format!("look for the pastas of {}", dir.display()), source };
    let found = serving(&in_dir).map_err(failed)?;
    Ok(found.into_iter().map(|(_, argument)| PathBuf::from(OsStr::from_bytes(&argument))).collect())
}

/// All pastas with an argument that is meant, and that argument.
fn serving(meant: &dyn Fn(&[u8]) -> bool) -> io::Result<Vec<(Pid, Vec<u8>)>> {
    let mut found = Vec::new();
    // Those of std and nix panic when they are dropped and close(2) fails.
    let mut processes = Dir::new(OwnedFd::from(File::open("/proc")?))?;
    while let Some(entry) = processes.read() {
        // Other names are no processes.
        let pid = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok()).and_then(Pid::new);
        let Some(pid) = pid else { continue };
        found.extend(argument(pid, meant)?.map(|argument| (pid, argument)));
    }
    Ok(found)
}

/// The argument that is meant, if the process is a pasta that has one.
fn argument(pid: Pid, meant: &dyn Fn(&[u8]) -> bool) -> io::Result<Option<Vec<u8>>> {
    let Some(arguments) = alive(fs::read(format!("/proc/{pid}/cmdline")))? else { return Ok(None) };
    let mut arguments = arguments.split(|byte| *byte == 0);
    let is_pasta = arguments.next().is_some_and(|program| program.ends_with(b"pasta"));
    Ok(arguments.find(|argument| is_pasta && meant(argument)).map(<[u8]>::to_vec))
}

/// None for a process that the kernel says is gone.
fn alive<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        answer => answer.map(Some),
    }
}

fn end(pidfd: &OwnedFd) -> io::Result<()> {
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        if alive(signal_pidfd(pidfd.as_fd(), signal))?.is_none() || wait_readable(pidfd.as_fd(), Some(STOP))?
        {
            return Ok(());
        }
    }
    Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
}
