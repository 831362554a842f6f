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
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use libcontainer_netlink::Name;
use libcontainer_plan::{Pid, open_pidfd, signal_pidfd};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::config::Network;
use crate::error::{Error, Result};
use crate::plan::{Interface, Kind, Plan};

/// Keys that are set and mean nothing for pasta.
pub(crate) fn misplaced(network: &Network) -> impl Iterator<Item = &'static str> {
    let keys = [
        ("address", !network.address.is_empty()),
        ("addresses", !network.addresses.is_empty()),
        ("gateway", !network.gateway.is_empty()),
        ("gateway_v6", !network.gateway_v6.is_empty()),
        ("mac_address", !network.mac_address.is_empty()),
    ];
    keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
}

impl Plan {
    /// Keeps the files of programs that serve the container in `dir`, which must exist when the steps run and go after them.
    pub fn keep_files_in(&mut self, dir: &Path) {
        for interface in &mut self.interfaces {
            if let Kind::Pasta { pid_file } = &mut interface.kind {
                *pid_file = dir.join(format!("pasta-{}.pid", interface.name));
            }
        }
    }

    /// Whether anything on the host is changed, which takes root there: all but what pasta does.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        !self.routes.is_empty() || self.interfaces.iter().any(|interface| !interface.is_pasta())
    }

    /// Whether pasta serves one of the interfaces.
    #[must_use]
    pub fn has_pasta(&self) -> bool {
        self.interfaces.iter().any(Interface::is_pasta)
    }
}

impl Interface {
    fn is_pasta(&self) -> bool {
        matches!(self.kind, Kind::Pasta { .. })
    }
}

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
    match wait(&mut child).map_err(failed)? {
        Some(status) if status.success() => Ok(()),
        Some(_) => Err(Error::wrong(what(), said(&log))),
        None => Err(failed(io::Error::from_raw_os_error(libc::ETIMEDOUT))),
    }
}

/// The first process leaves when the one that stays is ready.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + START;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(TICK);
    }
}

/// What it had to say, without its notes about a system log that is not there.
fn said(log: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.contains("to syslog")).collect();
    let text = lines.join("; ");
    let tun = if text.contains("tun") { "; /dev/net/tun must be open to this user" } else { "" };
    if read.is_err() || text.is_empty() { "it failed without a word".to_owned() } else { text + tun }
}

/// Ends the pasta that was started with this pid file. None is no error.
///
/// # Errors
/// Those of `/proc`, and of pidfd_send_signal(2).
pub(crate) fn stop(pid_file: &Path) -> Result<()> {
    let failed = |source| Error::Io { what: format!("stop the pasta of {}", pid_file.display()), source };
    for pid in processes().map_err(failed)? {
        // ORDER: the descriptor first: what is compared then is the process that it holds.
        let Ok(pidfd) = open_pidfd(pid) else { continue };
        if is_ours(pid, pid_file) {
            end(&pidfd).map_err(failed)?;
        }
    }
    Ok(())
}

fn processes() -> io::Result<Vec<Pid>> {
    let number = |name: &OsStr| name.to_str()?.parse().ok().and_then(Pid::new);
    Ok(fs::read_dir("/proc")?.flatten().filter_map(|entry| number(&entry.file_name())).collect())
}

fn is_ours(pid: Pid, pid_file: &Path) -> bool {
    // A process that has gone meanwhile has no arguments.
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    let program = arguments.next().unwrap_or_default();
    program.ends_with(b"pasta") && arguments.any(|argument| argument == pid_file.as_os_str().as_bytes())
}

fn end(pidfd: &OwnedFd) -> io::Result<()> {
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        match signal_pidfd(pidfd.as_fd(), signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            sent => sent?,
        }
        let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(STOP).unwrap_or(PollTimeout::MAX);
        if poll(&mut polled, limit)? > 0 {
            return Ok(());
        }
    }
    Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
}
