//! Writing id maps of a new user namespace.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use libcontainer_plan::Pid;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::compile::IdMapSetup;

/// Places where the setuid helpers of shadow-utils are looked for. Absolute: nothing that an image or an environment names is run.
const HELPER_DIRS: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// Maps user and group ids of the user namespace in which `pid` lives.
///
/// # Errors
/// With the name of the file or the helper, and what the helper said.
pub(crate) fn write(pid: Pid, maps: &IdMapSetup) -> io::Result<()> {
    let proc = process_dir(pid)?;
    if maps.rootless && (maps.uids.len() > 1 || maps.uids.iter().any(|line| line[2] > 1)) {
        helper("newuidmap", pid, &maps.uids)?;
    } else {
        write_file(&proc, "uid_map", &lines(&maps.uids))?;
    }
    if maps.rootless && !maps.setgroups_denied() {
        return helper("newgidmap", pid, &maps.gids);
    }
    // ORDER: without privileges the kernel takes a gid map only after setgroups was denied (CVE-2014-8989).
    if maps.setgroups_denied() {
        write_file(&proc, "setgroups", "deny")?;
    }
    write_file(&proc, "gid_map", &lines(&maps.gids))
}

fn lines(maps: &[[u32; 3]]) -> String {
    maps.iter().map(|[inside, outside, count]| format!("{inside} {outside} {count}\n")).collect()
}

/// `/proc/PID` of a process that is our child and was not reaped, so that the number is still its own.
pub(crate) fn process_dir(pid: Pid) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}");
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let named = |errno: nix::errno::Errno| {
        io::Error::new(io::Error::from(errno).kind(), format!("open {path}: {errno}"))
    };
    nix::fcntl::open(path.as_str(), flags, Mode::empty()).map_err(named)
}

pub(crate) fn write_file(proc: &OwnedFd, name: &str, text: &str) -> io::Result<()> {
    let fd = openat(proc, name, OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())?;
    // One write: the kernel takes a map as a whole or not at all.
    let written = File::from(fd).write(text.as_bytes())?;
    if written == text.len() { Ok(()) } else { Err(io::Error::other(format!("{name}: short write"))) }
}

fn helper(name: &str, pid: Pid, maps: &[[u32; 3]]) -> io::Result<()> {
    let found = HELPER_DIRS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    let path = found.ok_or_else(|| {
        let text =
            format!("{name} is not installed (package uidmap or shadow-utils); it maps more than the own id");
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    let mut command = Command::new(&path);
    command.arg(pid.to_string()).args(maps.iter().flatten().map(u32::to_string)).env_clear();
    let output = command.stdin(std::process::Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{}: {}: {}", path.display(), output.status, text.trim()),
    ))
}
