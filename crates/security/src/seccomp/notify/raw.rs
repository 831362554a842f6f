//! seccomp(2), the ioctls of its listener, and one of sockets: calls that neither nix nor rustix wraps as safe ones.
#![allow(unsafe_code, reason = "listed in xtask/src/tidy.rs")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use crate::seccomp::instruction::Instruction;

const SET_MODE_FILTER: libc::c_uint = 1;
const GET_NOTIF_SIZES: libc::c_uint = 3;

/// An ioctl of a listener: linux/seccomp.h.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    Receive,
    Send,
    IsValid,
    AddFd,
}

/// Words of `struct seccomp_notif`, `seccomp_notif_resp` and `seccomp_notif_addfd` as they are known here.
pub(super) const NOTIFICATION: usize = 10;
pub(super) const RESPONSE: usize = 3;
pub(super) const ADD_FD: usize = 3;

impl Request {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Receive => "ioctl(SECCOMP_IOCTL_NOTIF_RECV)",
            Self::Send => "ioctl(SECCOMP_IOCTL_NOTIF_SEND)",
            Self::IsValid => "ioctl(SECCOMP_IOCTL_NOTIF_ID_VALID)",
            Self::AddFd => "ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)",
        }
    }

    /// `_IOC(direction, '!', number, size)` of asm-generic/ioctl.h, with sizes as known here: the kernel compares the number as a whole,
    /// and goes by its own sizes then.
    fn number(self) -> u32 {
        const WRITE: u32 = 1;
        const BOTH: u32 = 3;
        let (direction, number, words) = match self {
            Self::Receive => (BOTH, 0, NOTIFICATION),
            Self::Send => (BOTH, 1, RESPONSE),
            Self::IsValid => (WRITE, 2, 1),
            Self::AddFd => (WRITE, 3, ADD_FD),
        };
        let size = u32::try_from(words * 8).unwrap_or(0);
        direction << 30 | size << 16 | u32::from(b'!') << 8 | number
    }

    /// Words that the kernel may read and write.
    pub(super) fn words(self) -> io::Result<usize> {
        let (notification, response) = sizes()?;
        Ok(match self {
            Self::Receive => notification.max(NOTIFICATION),
            Self::Send => response.max(RESPONSE),
            Self::IsValid => 1,
            Self::AddFd => ADD_FD,
        })
    }
}

/// Words of the running kernel's `struct seccomp_notif` and `seccomp_notif_resp`: `SECCOMP_GET_NOTIF_SIZES`.
fn sizes() -> io::Result<(usize, usize)> {
    static SIZES: OnceLock<(usize, usize)> = OnceLock::new();
    if let Some(known) = SIZES.get() {
        return Ok(*known);
    }
    let mut sizes = libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
    let place = &raw mut sizes;
    // SAFETY: the kernel writes one `struct seccomp_notif_sizes`, for which there is room until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, GET_NOTIF_SIZES, 0, place) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let words = |bytes: u16| usize::from(bytes).div_ceil(8);
    Ok(*SIZES.get_or_init(|| (words(sizes.seccomp_notif), words(sizes.seccomp_notif_resp))))
}

/// Makes the request with `words` in which the kernel reads and writes; grown if the kernel's structure is longer.
pub(super) fn request(fd: BorrowedFd<'_>, request: Request, words: &mut Vec<u64>) -> io::Result<i32> {
    let wanted = request.words()?.max(words.len());
    words.resize(wanted, 0);
    let (fd, place) = (fd.as_raw_fd(), words.as_mut_ptr());
    #[allow(clippy::cast_lossless, clippy::cast_possible_wrap, reason = "musl's has 32 bits and a sign")]
    let number = request.number() as libc::Ioctl;
    // SAFETY: the descriptor is open for the length of the call. A listener takes the requests here by their whole number, and reads and writes one structure of
    // the size that the kernel itself has told, or that is in the number: there is room for either, and every bit pattern is a word.
    // A descriptor of another kind answers ENOTTY: the number is of a type ('!') that linux/ioctl-number.rst gives to nothing else with these sizes.
    let result = unsafe { libc::ioctl(fd, number, place) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Loads a filter for the calling thread: `SECCOMP_SET_MODE_FILTER`. What the kernel returns.
pub(super) fn load(program: &[Instruction], flags: u32) -> io::Result<libc::c_long> {
    let mut lines: Vec<libc::sock_filter> = program.iter().map(line).collect();
    let len = libc::c_ushort::try_from(lines.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: lines.as_mut_ptr() };
    let place = &raw const program;
    // SAFETY: the kernel reads one `struct sock_fprog` and as many instructions as it says, which both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, place) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn line(instruction: &Instruction) -> libc::sock_filter {
    let Instruction { code, jt, jf, k } = *instruction;
    libc::sock_filter { code, jt, jf, k }
}

/// Owns the listener that [`load`] has returned.
pub(super) fn own(number: i32) -> OwnedFd {
    // SAFETY: the kernel has just made it for this thread, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Bytes sent by a socket that its other end has not taken: `SIOCOUTQ`, of unix(7).
pub(super) fn untaken(socket: BorrowedFd<'_>) -> io::Result<i32> {
    let mut bytes: libc::c_int = 0;
    let (fd, place) = (socket.as_raw_fd(), &raw mut bytes);
    // SAFETY: the descriptor is open for the length of the call, which writes one int.
    let result = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, place) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(bytes) }
}
