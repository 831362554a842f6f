//! Labels of files, by descriptors: the attribute `security.selinux`, xattr(7).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr, getxattr, setxattr};
use rustix::io::Errno;

use super::context::Context;
use super::error::SelinuxError;

const NAME: &str = "security.selinux";
/// Room for a context: a page.
const LONGEST: usize = 4096;

/// The label of an open file; `None` if it has none. An `O_PATH` descriptor will do, of a link too.
///
/// # Errors
/// fgetxattr(2): `EOPNOTSUPP` where the filesystem has no labels.
pub fn file_label(file: impl AsFd) -> Result<Option<Context>, SelinuxError> {
    match read(file.as_fd()).map_err(|error| SelinuxError::call("fgetxattr(security.selinux)", &error))? {
        Some(bytes) => Ok(Some(Context::from_bytes(&bytes)?)),
        None => Ok(None),
    }
}

/// Labels an open file. An `O_PATH` descriptor will do, of a link too.
///
/// # Errors
/// fsetxattr(2): `EOPNOTSUPP` where the filesystem has no labels, `EINVAL` for a label that the policy does not have, `EACCES` where it does
/// not allow it. Who has `CAP_MAC_ADMIN` is let set a label that the policy does not have, with which the file is closed to all:
/// [`check`](super::check) tells before.
pub fn set_file_label(file: impl AsFd, label: &Context) -> Result<(), SelinuxError> {
    let written = write(file.as_fd(), label.to_string().as_bytes());
    written.map_err(|error| SelinuxError::call(format!("fsetxattr(security.selinux, {label})"), &error))
}

/// The path of a descriptor that is `O_PATH`, for which the calls on descriptors give `EBADF`. A link is not followed any further from there.
///
/// KERNEL(6.13): setxattrat(2) takes the descriptor itself.
fn magic_link(file: BorrowedFd<'_>) -> String {
    format!("/proc/thread-self/fd/{}", file.as_raw_fd())
}

/// As the kernel stores it.
pub(super) fn read(file: BorrowedFd<'_>) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; LONGEST];
    let found = match fgetxattr(file, NAME, &mut bytes) {
        Err(Errno::BADF) => getxattr(magic_link(file), NAME, &mut bytes),
        found => found,
    };
    match found {
        Ok(len) => {
            bytes.truncate(len);
            Ok(Some(bytes))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

pub(super) fn write(file: BorrowedFd<'_>, label: &[u8]) -> io::Result<()> {
    // With its NUL, as libselinux writes it: so that both find it equal.
    let label = [label, b"\0"].concat();
    match fsetxattr(file, NAME, &label, XattrFlags::empty()) {
        Err(Errno::BADF) => Ok(setxattr(magic_link(file), NAME, &label, XattrFlags::empty())?),
        written => Ok(written?),
    }
}
