//! What is known of a system call.

use nix::errno::Errno;

/// One system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    /// What it may fail with, having done nothing.
    pub(crate) errors: &'static str,
    /// What may be told although it was done: an answer that is lost on the way.
    pub(crate) lost: &'static str,
    /// Which argument is a path.
    pub(crate) path: Option<usize>,
    /// Which argument is a descriptor.
    pub(crate) fd: Option<usize>,
}

/// Errors of a call that looks a path up.
pub(crate) const PATH: &str = "EIO ENOMEM EPERM";
/// Errors of a call that changes a file.
pub(crate) const FILE: &str = "EIO ENOMEM EPERM ENOSPC";
/// Errors of a call that makes a file.
pub(crate) const MAKES_FILE: &str = "EIO ENOMEM ENOSPC EPERM";
/// Errors of a call that reads.
pub(crate) const READ: &str = "EIO EINTR ENOMEM";
/// Errors of a call that writes.
pub(crate) const WRITE: &str = "EIO EINTR ENOMEM ENOSPC EPERM";
/// Errors of a call that opens a path.
pub(crate) const OPEN: &str = "EIO ENOMEM EINTR EMFILE ENFILE ENOSPC EPERM";
/// Errors of a call that makes a descriptor out of nothing.
pub(crate) const NEW_FD: &str = "EMFILE ENFILE ENOMEM";
/// Errors of the calls about mounts.
pub(crate) const MOUNT: &str = "EIO ENOMEM EPERM ENOSPC EBUSY";

impl Call {
    pub(crate) const fn new(number: i64, name: &'static str, errors: &'static str) -> Self {
        Self { number, name, errors, lost: "", path: None, fd: None }
    }

    pub(crate) const fn lost(mut self, errors: &'static str) -> Self {
        self.lost = errors;
        self
    }

    pub(crate) const fn path(mut self, argument: usize) -> Self {
        self.path = Some(argument);
        self
    }

    pub(crate) const fn fd(mut self, argument: usize) -> Self {
        self.fd = Some(argument);
        self
    }

    /// A path below a descriptor.
    pub(crate) const fn at(self) -> Self {
        self.fd(0).path(1)
    }

    /// What it may fail with, having done nothing.
    pub(crate) fn errors(&self) -> impl Iterator<Item = Errno> {
        self.errors.split(' ').filter_map(errno)
    }

    /// What it may say although it was done.
    pub(crate) fn lost_answers(&self) -> impl Iterator<Item = Errno> {
        self.lost.split(' ').filter_map(errno)
    }
}

/// An errno by its name.
pub(crate) fn errno(name: &str) -> Option<Errno> {
    (1..134).map(Errno::from_raw).find(|errno| errno_name(*errno) == name)
}

/// The name of an errno, such as `EIO`.
pub(crate) fn errno_name(errno: Errno) -> String {
    format!("{errno:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_has_one_name() {
        assert_eq!(errno("ENOMEM"), Some(Errno::ENOMEM));
        assert_eq!(errno_name(Errno::EIO), "EIO");
        assert_eq!(errno("ENOTHING"), None);
        assert_eq!(errno(""), None);
    }
}
