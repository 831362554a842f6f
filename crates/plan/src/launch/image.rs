//! The sealed image of the init, made once for each process.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::detached;

static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// Length of the embedded init in bytes.
pub const INIT_SIZE: usize = IMAGE.len();

/// The bytes of the embedded init: an ELF program without dependencies.
#[must_use]
pub fn init_image() -> &'static [u8] {
    IMAGE
}

// Of linux/memfd.h; nix has no name for it.
const MFD_EXEC: libc::c_uint = 0x10;
const MFD_NOEXEC_SEAL: libc::c_uint = 0x8;

static SEALED: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// A descriptor of the sealed image, of the caller's own.
///
/// # Errors
/// That of memfd_create(2), write(2) or fcntl(2): `EACCES` where the sysctl `vm.memfd_noexec` is 2 and there are no rights for
/// a tmpfs instead.
pub(super) fn sealed() -> io::Result<OwnedFd> {
    let mut cached = SEALED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if cached.is_none() {
        *cached = Some(seal()?);
    }
    cached.as_ref().map_or_else(|| Err(io::Error::other("no image")), |fd| duplicate(fd.as_fd(), 3))
}

/// Another image in place of one that the kernel does not execute, as somebody has it open for writing: a container that may trace what joins
/// it can open what our inits run. Nothing can be written to that, but it would keep this program from starting anything.
///
/// # Errors
/// As [`sealed`].
pub(super) fn renewed(busy: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut cached = SEALED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let number = |fd: BorrowedFd<'_>| nix::sys::stat::fstat(fd).map(|data| (data.st_dev, data.st_ino));
    // Another thread may have done it by now.
    let same = match cached.as_ref() {
        Some(fd) => number(fd.as_fd())? == number(busy)?,
        None => true,
    };
    if same {
        *cached = Some(seal()?);
    }
    cached.as_ref().map_or_else(|| Err(io::Error::other("no image")), |fd| duplicate(fd.as_fd(), 3))
}

fn seal() -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable = MFdFlags::from_bits_retain(MFD_EXEC);
    let fd = match memfd_create(c"libcontainer-init", flags | executable) {
        // KERNEL(6.3): older ones do not know MFD_EXEC and make every memfd executable.
        Err(Errno::EINVAL) => memfd_create(c"libcontainer-init", flags)?,
        Err(Errno::EACCES) => return detached::image(IMAGE).map_err(|_| Errno::EACCES.into()),
        result => result?,
    };
    let mut file = File::from(fd);
    file.write_all(IMAGE)?;
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// An empty memory file that takes seals. It is never executed.
///
/// # Errors
/// That of memfd_create(2).
pub fn memory_file(name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(name, flags | MFdFlags::from_bits_retain(MFD_NOEXEC_SEAL)) {
        // KERNEL(6.3): older ones do not know the flag, nor a sysctl that asks for it.
        Err(Errno::EINVAL) => Ok(memfd_create(name, flags)?),
        result => Ok(result?),
    }
}

/// A copy with a number of `lowest` or more, so that the init's own `dup3` never hits it.
pub(super) fn duplicate(fd: BorrowedFd<'_>, lowest: i32) -> io::Result<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(lowest))?;
    Ok(super::raw::own(number))
}

/// What stands behind an error of starting the init: an `EACCES` comes of the sysctl `vm.memfd_noexec` (sysctl.rst of the kernel's documentation), an `EFBIG` of a limit.
pub(super) fn reason(text: &str, error: &io::Error) -> String {
    let setting = || std::fs::read("/proc/sys/vm/memfd_noexec").is_ok_and(|value| value.starts_with(b"2"));
    let found = match error.raw_os_error() {
        _ if !text.contains("execveat(init)") => "",
        Some(libc::EFBIG) => {
            "the init and its plan are files in memory, for which the caller's limit of the size of files leaves no room \
             (RLIMIT_FSIZE, ulimit -f)"
        }
        Some(libc::EACCES) if setting() => {
            "vm.memfd_noexec=2 forbids executable memory files, and without CAP_SYS_ADMIN there is no other place \
             for the init; 0 and 1 allow it"
        }
        _ => "",
    };
    found.to_owned()
}
