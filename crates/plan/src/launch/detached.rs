//! The image where memory files must not be executed: a file of a tmpfs that is mounted nowhere and read-only.
//!
//! Nobody reaches the filesystem by a path, and the mount takes no writer: the file is as immutable as the sealed one. Takes
//! `CAP_SYS_ADMIN`, which a memory file does not.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::raw;

const NAME: &str = "libcontainer-init";
const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const ATTEMPTS: u32 = 200;

/// A descriptor of the image, open for reading.
///
/// # Errors
/// Those of fsopen(2), fsconfig(2), fsmount(2), openat(2), write(2) and mount_setattr(2): `EPERM` without `CAP_SYS_ADMIN`.
pub(super) fn image(bytes: &[u8]) -> io::Result<OwnedFd> {
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    File::from(openat(&mount, NAME, flags, Mode::S_IRUSR | Mode::S_IXUSR)?).write_all(bytes)?;
    for _ in 0..ATTEMPTS {
        match raw::mount_setattr(&mount, RDONLY | NOSUID | NODEV) {
            // RACE: a process that another thread has just forked holds our descriptor for writing until its exec.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                crate::rest::rest(Duration::from_millis(5));
            }
            done => {
                done?;
                return Ok(openat(&mount, NAME, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?);
            }
        }
    }
    Err(Errno::EBUSY.into())
}
