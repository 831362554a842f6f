//! Namespaces that an init is to join.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fstat};

use crate::launch::raw;

/// Opens the namespace at `path`, such as `/proc/PID/ns/net`. `kind` is its `CLONE_NEW…` bit, `name` its name in `/proc/PID/ns`.
///
/// # Errors
/// That of open(2), or that it is no namespace of that kind: ioctl_ns(2), `NS_GET_NSTYPE`.
pub fn open_namespace(path: &Path, kind: u32, name: &str) -> io::Result<OwnedFd> {
    // O_NONBLOCK: what is there may be a FIFO.
    let fd = nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?;
    match raw::namespace_type(fd.as_fd()) {
        Ok(found) if found == kind => Ok(fd),
        Ok(_) => Err(other(name)),
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Err(other(name)),
        Err(error) => Err(error),
    }
}

fn other(name: &str) -> io::Error {
    io::Error::other(format!("is no {name} namespace"))
}

/// The user namespace to which a namespace belongs, as `/proc/PID/ns` shows it.
///
/// # Errors
/// That of ioctl_ns(2), `NS_GET_USERNS`: `EPERM` if it is neither the caller's nor below that.
pub fn namespace_owner(namespace: impl AsFd) -> io::Result<String> {
    namespace_link("user", raw::namespace_owner(namespace.as_fd())?)
}

/// The namespace behind an open file of nsfs, as `/proc/PID/ns` shows it: `net:[4026531840]`.
///
/// # Errors
/// That of fstat(2).
pub fn namespace_link(name: &str, namespace: impl AsFd) -> io::Result<String> {
    Ok(format!("{name}:[{}]", fstat(namespace)?.st_ino))
}
