//! bpf(2), which has no safe wrapper, for device filters.
//!
//! Of `union bpf_attr` only the parts that are used are written out, each as a struct without padding. The kernel takes
//! any size of the union and holds what isn't given for zero (`bpf_check_uarg_tail_zero`).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// `BPF_PROG_TYPE_CGROUP_DEVICE` and the attach type `BPF_CGROUP_DEVICE`.
const PROGRAM_TYPE: u32 = 15;
const ATTACH_TYPE: u32 = 6;

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

/// Loads a device program under the name `name`. What the verifier says is put into `log` unless that is empty.
pub(super) fn load_program(bytes: &[u8], name: [u8; 16], log: &mut [u8]) -> nix::Result<OwnedFd> {
    let mut attribute = Load {
        program_type: PROGRAM_TYPE,
        count: length(bytes.len() / 8),
        instructions: address(bytes.as_ptr()),
        licence: address(c"Apache-2.0".as_ptr()),
        log_level: u32::from(!log.is_empty()),
        log_size: length(log.len()),
        log: if log.is_empty() { 0 } else { address(log.as_mut_ptr()) },
        name,
        attach_type: ATTACH_TYPE,
        ..Load::default()
    };
    bpf_fd(Command::Load, &mut attribute)
}

/// Attaches a program to a group, with `flags`, and in the place of `replaced`.
pub(super) fn attach_program(
    target: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    flags: u32,
    replaced: Option<BorrowedFd<'_>>,
) -> nix::Result<()> {
    let mut attribute = Attach {
        target: number(target),
        program: number(program),
        attach_type: ATTACH_TYPE,
        flags,
        replaced: replaced.map_or(0, number),
    };
    bpf(Command::Attach, &mut attribute).map(drop)
}

/// Takes a program off a group.
pub(super) fn detach_program(target: BorrowedFd<'_>, program: BorrowedFd<'_>) -> nix::Result<()> {
    let mut attribute = Attach {
        target: number(target),
        program: number(program),
        attach_type: ATTACH_TYPE,
        ..Attach::default()
    };
    bpf(Command::Detach, &mut attribute).map(drop)
}

/// Puts the numbers of the programs that are attached to a group itself into `ids`, and returns how many these are.
pub(super) fn attached_programs(target: BorrowedFd<'_>, ids: &mut [u32]) -> nix::Result<usize> {
    let mut attribute = Query {
        target: number(target),
        attach_type: ATTACH_TYPE,
        ids: address(ids.as_mut_ptr()),
        count: length(ids.len()),
        ..Query::default()
    };
    bpf(Command::Query, &mut attribute)?;
    usize::try_from(attribute.count).map_err(|_| Errno::EOVERFLOW)
}

/// Opens the program with the number `id`.
pub(super) fn program_by_id(id: u32) -> nix::Result<OwnedFd> {
    let mut attribute = ById { id, ..ById::default() };
    bpf_fd(Command::ById, &mut attribute)
}

/// The name that a program's loader gave it, filled up with NUL.
pub(super) fn program_name(program: BorrowedFd<'_>) -> nix::Result<[u8; 16]> {
    let mut info = ProgramInfo::default();
    let mut attribute = Info {
        fd: number(program),
        length: length(size_of::<ProgramInfo>()),
        info: address(std::ptr::from_mut(&mut info).cast_const()),
    };
    bpf(Command::Info, &mut attribute)?;
    Ok(info.name)
}

fn bpf<A: Attribute>(command: Command, attribute: &mut A) -> nix::Result<libc::c_long> {
    let pointer = std::ptr::from_mut(attribute);
    // SAFETY: `attribute` is a `repr(C)` struct without padding and `size_of::<A>()` bytes long; addresses in it
    // belong to buffers that the caller keeps borrowed over this call (see `Attribute`).
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_int, pointer, size_of::<A>()) };
    Errno::result(answer)
}

fn bpf_fd<A: Attribute>(command: Command, attribute: &mut A) -> nix::Result<OwnedFd> {
    let fd = bpf(command, attribute)?;
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the commands that are given here answer with a new descriptor (close-on-exec), owned by nobody yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    // A descriptor that is open is never negative.
    u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX)
}

fn address<T>(of: *const T) -> u64 {
    of.addr() as u64
}

fn length(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
