//! Device filters in the kernel: loaded, attached to groups of version 2, found there and taken off, by bpf(2).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::bpf;
use super::program::Program;
use super::rules::Rule;
use crate::dir::{Dir, patient};
use crate::error::{Error, Result};
use crate::faults;

const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;
/// By this name our programs are told from those of others (systemd attaches its own). At most 15 bytes.
const NAME: &[u8; 16] = b"container_dev\0\0\0";
/// The kernel takes no more than 64 programs for one group (`BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;
const LOG_SIZE: usize = 64 * 1024;

/// A device filter that the kernel has taken and verified. Dropped, it is freed unless it is attached somewhere.
#[derive(Debug)]
pub struct Filter {
    fd: OwnedFd,
}

/// One program that [`attached`] has found.
#[derive(Debug)]
pub struct Attached {
    /// Number of the program in the kernel, as `bpftool prog` shows it.
    pub id: u32,
    /// The name that its loader gave it, at most 15 bytes.
    pub name: String,
    filter: Filter,
}

impl Attached {
    /// True when this library has loaded it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.name.as_bytes() == until_nul(NAME)
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl Filter {
    /// Loads a program (`BPF_PROG_LOAD`; `CAP_BPF` and `CAP_NET_ADMIN`, before 5.8 `CAP_SYS_ADMIN`).
    ///
    /// # Errors
    /// [`Error::Write`] with the errno and, in the hint, what the verifier said.
    pub fn load(program: &Program) -> Result<Self> {
        Self::load_bytes(&program.bytes())
    }

    /// Loads raw instructions of eight bytes each, as [`Program::bytes`] makes them. The kernel's verifier refuses what isn't sound.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_bytes(bytes: &[u8]) -> Result<Self> {
        match load(bytes, &mut []) {
            Ok(fd) => Ok(Self { fd }),
            // The log costs time: ask for it only when there is something to read.
            Err(errno) => {
                let mut log = vec![0; LOG_SIZE];
                match load(bytes, &mut log) {
                    Ok(fd) => Ok(Self { fd }),
                    Err(_) => Err(unloaded(bytes.len() / 8, errno, &log)),
                }
            }
        }
    }

    /// Adds this filter to those of `group`; an access must pass all of them (`BPF_PROG_ATTACH` with `BPF_F_ALLOW_MULTI`).
    ///
    /// # Errors
    /// [`Error::Directory`] with the group's path.
    pub fn attach(&self, group: &Dir) -> Result<()> {
        self.attach_with(group, ALLOW_MULTI, None)
            .map_err(|errno| failed("bpf(BPF_PROG_ATTACH)", group, errno))
    }

    /// Puts this filter in the place of `old` in one step.
    ///
    /// KERNEL(5.6): before it had `BPF_F_REPLACE`, both are there for a moment, so what both allow stays allowed.
    ///
    /// # Errors
    /// [`Error::Directory`] with the group's path.
    pub fn replace(&self, group: &Dir, old: &Filter) -> Result<()> {
        match self.attach_with(group, ALLOW_MULTI | REPLACE, Some(old)) {
            Ok(()) => Ok(()),
            Err(Errno::EINVAL) => {
                self.attach(group)?;
                old.detach(group).map_err(|cause| match self.detach(group) {
                    Ok(()) => cause,
                    Err(left) => Error::NotRolledBack { cause: Box::new(cause), left: vec![left] },
                })
            }
            Err(errno) => Err(failed("bpf(BPF_PROG_ATTACH, BPF_F_REPLACE)", group, errno)),
        }
    }

    /// Takes this filter off `group` (`BPF_PROG_DETACH`).
    ///
    /// # Errors
    /// [`Error::Directory`] with the group's path; ENOENT when it isn't attached there.
    pub fn detach(&self, group: &Dir) -> Result<()> {
        let detached = faults::of("bpf", group.path(), "")
            .and_then(|()| bpf::detach_program(group.as_fd(), self.fd.as_fd()));
        detached.map_err(|errno| failed("bpf(BPF_PROG_DETACH)", group, errno))
    }

    fn attach_with(&self, group: &Dir, flags: u32, old: Option<&Filter>) -> std::result::Result<(), Errno> {
        faults::of("bpf", group.path(), "")?;
        bpf::attach_program(group.as_fd(), self.fd.as_fd(), flags, old.map(|old| old.fd.as_fd()))
    }
}

fn load(bytes: &[u8], log: &mut [u8]) -> std::result::Result<OwnedFd, Errno> {
    faults::of("bpf", "bpf(BPF_PROG_LOAD)".as_ref(), "")?;
    // KERNEL: the verifier gives up with EAGAIN when a signal waits.
    patient(|| bpf::load_program(bytes, *NAME, log))
}

/// The programs that are attached to `group` itself, in the order in which they run (`BPF_PROG_QUERY`).
///
/// # Errors
/// [`Error::Directory`] with the group's path.
pub fn attached(group: &Dir) -> Result<Vec<Attached>> {
    let mut ids = [0_u32; MOST];
    let count = faults::of("bpf", group.path(), "")
        .and_then(|()| bpf::attached_programs(group.as_fd(), &mut ids))
        .map_err(|errno| failed("bpf(BPF_PROG_QUERY)", group, errno))?;
    let mut all = Vec::new();
    for id in ids.into_iter().take(count) {
        match bpf::program_by_id(id).and_then(|fd| Ok((name(&fd)?, fd))) {
            Ok((name, fd)) => all.push(Attached { id, name, filter: Filter { fd } }),
            // RACE: another manager took it off in between.
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed("bpf(BPF_PROG_GET_FD_BY_ID)", group, errno)),
        }
    }
    Ok(all)
}

fn name(fd: &OwnedFd) -> std::result::Result<String, Errno> {
    let name = bpf::program_name(fd.as_fd())?;
    Ok(String::from_utf8_lossy(until_nul(&name)).into_owned())
}

/// Brings the filter of `group` to `rules`: attaches one, or replaces the one of this library in one step. Programs of
/// others (systemd) stay and go on to apply.
///
/// # Errors
/// [`Error::Invalid`] for rules that can't be; [`Error::Write`] when the kernel refuses the program, [`Error::Directory`]
/// when it can't be attached. On error the old filter still stands.
pub fn set(group: &Dir, rules: &[Rule]) -> Result<Filter> {
    let filter = Filter::load(&Program::assemble(rules)?)?;
    let mut ours = attached(group)?.into_iter().filter(Attached::is_ours);
    let old = ours.next();
    // ORDER: a second one is what a change that failed half-way has left. It goes first, so that after an error the old filter stands alone.
    for leftover in ours {
        gone_is_fine(leftover.filter.detach(group))?;
    }
    match old {
        Some(old) => filter.replace(group, &old.filter)?,
        None => filter.attach(group)?,
    }
    Ok(filter)
}

/// Takes every filter of this library off `group`. Says how many there were.
///
/// # Errors
/// [`Error::Directory`] with the group's path.
pub fn detach_all(group: &Dir) -> Result<usize> {
    let mut count = 0;
    for one in attached(group)?.into_iter().filter(Attached::is_ours) {
        gone_is_fine(one.filter.detach(group))?;
        count += 1;
    }
    Ok(count)
}

fn gone_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

fn failed(call: &'static str, group: &Dir, errno: Errno) -> Error {
    Error::directory(call, group.path(), errno)
}

fn unloaded(count: usize, errno: Errno, log: &[u8]) -> Error {
    let log = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let log = String::from_utf8_lossy(log.trim_ascii()).into_owned();
    let hint = match (errno, log.is_empty()) {
        (_, false) => format!("; the verifier says: {log}"),
        (Errno::EPERM, true) => {
            "; this needs CAP_BPF and CAP_NET_ADMIN (or RLIMIT_MEMLOCK is too low)".to_owned()
        }
        (Errno::ENOSYS | Errno::EINVAL, true) => "; is the kernel built with CONFIG_CGROUP_BPF?".to_owned(),
        (_, true) => String::new(),
    };
    let value = format!("device filter of {count} instructions");
    Error::Write { path: "bpf(BPF_PROG_LOAD)".into(), value, source: io::Error::from(errno), hint }
}
