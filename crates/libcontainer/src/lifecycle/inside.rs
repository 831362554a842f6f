//! A running container as its first process shows it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use libcontainer_plan::{Pid, names};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlink, readlinkat};
use nix::sys::stat::Mode;

use crate::config::NamespaceKind;
use crate::error::{Error, Result, named};
use crate::resolve::{Accounts, read_accounts};

/// What a join needs to know of the first process.
pub(super) struct Inside {
    /// How its namespaces differ, as `CLONE_NEW…` bits.
    pub(super) namespaces: u32,
    /// All of them, as `/proc/PID/ns` shows them.
    pub(super) links: Vec<String>,
    pub(super) accounts: Accounts,
    /// Its user namespace was made without privileges: nobody can set groups there, whoever joins.
    pub(super) setgroups_denied: bool,
}

/// Looks by `/proc/PID`.
pub(super) fn look(pid: Pid) -> Result<Inside> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let failed = |error| Error::io(format!("read namespaces of process {pid}"), error);
    let (namespaces, links) = different(pid).map_err(failed)?;
    let setgroups = std::fs::read(format!("/proc/{pid}/setgroups")).map_err(failed)?;
    let setgroups_denied = setgroups.starts_with(b"deny");
    Ok(Inside { namespaces, links, accounts: read_accounts(&root)?, setgroups_denied })
}

/// What a hook that enters the namespaces of an init alone needs to know: how they differ, and whether nobody can set groups there.
pub(super) fn way_in(pid: Pid) -> Result<(u32, bool)> {
    let failed = |error| Error::io(format!("read namespaces of process {pid}"), error);
    let (namespaces, _) = different(pid).map_err(failed)?;
    let setgroups = std::fs::read(format!("/proc/{pid}/setgroups")).map_err(failed)?;
    Ok((namespaces, setgroups.starts_with(b"deny")))
}

/// The kinds of namespaces in which a process differs from the caller, as `CLONE_NEW…` bits, and all that it is in.
fn different(pid: Pid) -> io::Result<(u32, Vec<String>)> {
    let dir = |path: &Path| -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        Ok(open(path, flags, Mode::empty())?)
    };
    let (theirs, ours) =
        (dir(&PathBuf::from(format!("/proc/{pid}/ns")))?, dir(Path::new("/proc/thread-self/ns"))?);
    let (mut flags, mut links) = (0, Vec::new());
    for kind in NamespaceKind::ALL {
        let link = |dir: &OwnedFd| named_namespace(&readlinkat(dir, kind.file())?, kind);
        let found = link(&theirs)?;
        if found != link(&ours)? {
            flags |= kind.flag();
        }
        links.push(found);
    }
    Ok((flags, links))
}

/// What a link of `/proc/PID/ns` says, `net:[4026531840]`. Two that say nothing are not one namespace.
fn named_namespace(link: &OsStr, kind: NamespaceKind) -> io::Result<String> {
    let link = link.to_string_lossy().into_owned();
    let is_one =
        link.strip_prefix(kind.file()).is_some_and(|rest| rest.starts_with(":[") && rest.ends_with(']'));
    let unlike = || io::Error::other(format!("/proc/PID/ns/{}: {link:?} names no namespace", kind.file()));
    if is_one { Ok(link) } else { Err(unlike()) }
}

/// All processes.
fn pids() -> io::Result<Vec<Pid>> {
    // What is no number is no process.
    let number = |name: OsString| name.to_str()?.parse().ok().and_then(Pid::new);
    Ok(File::open("/proc").and_then(names)?.into_iter().filter_map(number).collect())
}

/// How many pid namespaces a process is in, counted from that of the procfs: everyone is shown that. `None` if it has gone.
fn depth(pid: Pid) -> io::Result<Option<usize>> {
    let path = format!("/proc/{pid}/status");
    let text = match fs::read(&path) {
        Err(error) if is_gone(&error) => return Ok(None),
        text => text.map_err(|error| named(format!("read {path}"), error))?,
    };
    let mut lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"NSpid:"));
    let line = lines.next().ok_or_else(|| io::Error::other(format!("{path}: no line NSpid")))?;
    Ok(Some(line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count()))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// All processes whose pid namespace is that of `init`.
pub(crate) fn in_pid_namespace(init: Pid) -> io::Result<Vec<Pid>> {
    let namespace = |pid: Pid| readlink(format!("/proc/{pid}/ns/pid").as_str());
    let (wanted, deep) = (namespace(init)?, depth(init)?);
    let privileged = nix::unistd::geteuid().is_root();
    let mut found = Vec::new();
    for pid in pids()? {
        match namespace(pid) {
            Ok(other) if other == wanted => found.push(pid),
            // A process that has gone meanwhile has no namespace any more; an ordinary user is not shown those of others.
            Ok(_) | Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(Errno::EACCES | Errno::EPERM) if !privileged => {}
            // Root without CAP_SYS_PTRACE is not shown them either; what lies less deep or deeper is in another one.
            Err(Errno::EACCES | Errno::EPERM) if depth(pid)? != deep => {}
            Err(errno) => return Err(named(format!("readlink /proc/{pid}/ns/pid"), errno.into())),
        }
    }
    found.sort_unstable();
    Ok(found)
}
