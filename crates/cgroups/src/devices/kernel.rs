//! bpf(2): loads the device filter and attaches it to a group of version 2.
//!
//! Only the parts of `union bpf_attr` that are used are written out, each as a struct without padding. The kernel takes
//! any size of the union and holds what isn't given for zero (`bpf_check_uarg_tail_zero`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

use super::program::Program;
use super::rules::Rule;
use crate::dir::Dir;
use crate::error::{Error, Result};

/// `BPF_PROG_TYPE_CGROUP_DEVICE` and the attach type `BPF_CGROUP_DEVICE`.
const PROGRAM_TYPE: u32 = 15;
const ATTACH_TYPE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;
/// By this name our programs are told from those of others (systemd attaches its own). At most 15 bytes.
const NAME: &[u8; 16] = b"container_dev\0\0\0";
/// The kernel takes no more than 64 programs for one group (`BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;
const LOG_SIZE: usize = 64 * 1024;

#[derive(Clone, Copy)]
enum Command {
    Load = 5,
    Attach = 8,
    Detach = 9,
    ById = 13,
    Info = 15,
    Query = 16,
}

/// The part of the union for one command: plain numbers, no padding, so that every byte given to the kernel is set.
///
/// The addresses in it must be good for the lengths in it while the call lasts; they are made in this file only.
trait Attribute {}

#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct Info {
    fd: u32,
    length: u32,
    info: u64,
}

/// The head of `struct bpf_prog_info`; a shorter one than the kernel's is filled as far as it goes.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    program_type: u32,
    id: u32,
    tag: [u8; 8],
    lengths: [u32; 2],
    code: [u64; 2],
    load_time: u64,
    creator: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
}

impl Attribute for Load {}
impl Attribute for Attach {}
impl Attribute for Query {}
impl Attribute for ById {}
impl Attribute for Info {}

fn bpf<A: Attribute>(command: Command, attribute: &mut A) -> std::result::Result<libc::c_long, Errno> {
    let pointer = std::ptr::from_mut(attribute);
    // SAFETY: `attribute` is a `repr(C)` struct without padding and `size_of::<A>()` bytes long; addresses in it
    // belong to buffers that the caller keeps borrowed over this call (see `Attribute`).
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_int, pointer, size_of::<A>()) };
    Errno::result(answer)
}

fn bpf_fd<A: Attribute>(command: Command, attribute: &mut A) -> std::result::Result<OwnedFd, Errno> {
    let fd = bpf(command, attribute)?;
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the commands that are given here answer with a new descriptor (close-on-exec), owned by nobody yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: impl AsFd) -> u32 {
    // A descriptor that is open is never negative.
    u32::try_from(fd.as_fd().as_raw_fd()).unwrap_or(u32::MAX)
}

fn address<T>(of: *const T) -> u64 {
    of.addr() as u64
}

fn length(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

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
        self.name.as_bytes() == NAME.trim_ascii_end_nul()
    }
}

trait TrimNul {
    fn trim_ascii_end_nul(&self) -> &[u8];
}

impl TrimNul for [u8; 16] {
    fn trim_ascii_end_nul(&self) -> &[u8] {
        self.split(|byte| *byte == 0).next().unwrap_or_default()
    }
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
                old.detach(group)
            }
            Err(errno) => Err(failed("bpf(BPF_PROG_ATTACH, BPF_F_REPLACE)", group, errno)),
        }
    }

    /// Takes this filter off `group` (`BPF_PROG_DETACH`).
    ///
    /// # Errors
    /// [`Error::Directory`] with the group's path; ENOENT when it isn't attached there.
    pub fn detach(&self, group: &Dir) -> Result<()> {
        let mut attribute = Attach {
            target: number(group),
            program: number(&self.fd),
            attach_type: ATTACH_TYPE,
            ..Attach::default()
        };
        match bpf(Command::Detach, &mut attribute) {
            Ok(_) => Ok(()),
            Err(errno) => Err(failed("bpf(BPF_PROG_DETACH)", group, errno)),
        }
    }

    fn attach_with(&self, group: &Dir, flags: u32, old: Option<&Filter>) -> std::result::Result<(), Errno> {
        let mut attribute = Attach {
            target: number(group),
            program: number(&self.fd),
            attach_type: ATTACH_TYPE,
            flags,
            replaced: old.map_or(0, |old| number(&old.fd)),
        };
        bpf(Command::Attach, &mut attribute).map(drop)
    }
}

fn load(bytes: &[u8], log: &mut [u8]) -> std::result::Result<OwnedFd, Errno> {
    let mut attribute = Load {
        program_type: PROGRAM_TYPE,
        count: length(bytes.len() / 8),
        instructions: address(bytes.as_ptr()),
        licence: address(c"Apache-2.0".as_ptr()),
        log_level: u32::from(!log.is_empty()),
        log_size: length(log.len()),
        log: if log.is_empty() { 0 } else { address(log.as_mut_ptr()) },
        name: *NAME,
        attach_type: ATTACH_TYPE,
        ..Load::default()
    };
    loop {
        // KERNEL: the verifier gives up with EAGAIN when a signal waits.
        match bpf_fd(Command::Load, &mut attribute) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The programs that are attached to `group` itself, in the order in which they run (`BPF_PROG_QUERY`).
///
/// # Errors
/// [`Error::Directory`] with the group's path.
pub fn attached(group: &Dir) -> Result<Vec<Attached>> {
    let mut ids = [0_u32; MOST];
    let mut attribute = Query {
        target: number(group),
        attach_type: ATTACH_TYPE,
        ids: address(ids.as_mut_ptr()),
        count: length(MOST),
        ..Query::default()
    };
    bpf(Command::Query, &mut attribute).map_err(|errno| failed("bpf(BPF_PROG_QUERY)", group, errno))?;
    let count = usize::try_from(attribute.count).unwrap_or(MOST);
    let mut all = Vec::new();
    for id in ids.into_iter().take(count) {
        let mut attribute = ById { id, ..ById::default() };
        match bpf_fd(Command::ById, &mut attribute).and_then(|fd| Ok((name(&fd)?, fd))) {
            Ok((name, fd)) => all.push(Attached { id, name, filter: Filter { fd } }),
            // RACE: another manager took it off in between.
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed("bpf(BPF_PROG_GET_FD_BY_ID)", group, errno)),
        }
    }
    Ok(all)
}

fn name(fd: &OwnedFd) -> std::result::Result<String, Errno> {
    let mut info = ProgramInfo::default();
    let mut attribute = Info {
        fd: number(fd),
        length: length(size_of::<ProgramInfo>()),
        info: address(std::ptr::from_mut(&mut info).cast_const()),
    };
    bpf(Command::Info, &mut attribute)?;
    Ok(String::from_utf8_lossy(info.name.trim_ascii_end_nul()).into_owned())
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
    match ours.next() {
        Some(old) => filter.replace(group, &old.filter)?,
        None => filter.attach(group)?,
    }
    for leftover in ours {
        gone_is_fine(leftover.filter.detach(group))?;
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
