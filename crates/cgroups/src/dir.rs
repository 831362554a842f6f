//! A directory of a control group file system, held by descriptor: renamed or replaced, it is never followed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::{Error, Result, display};
use crate::faults;

const BELOW: ResolveFlag =
    ResolveFlag::RESOLVE_BENEATH.union(ResolveFlag::RESOLVE_NO_SYMLINKS).union(ResolveFlag::RESOLVE_NO_XDEV);

/// One directory of a control group hierarchy.
///
/// All access is relative to the descriptor (`openat2` with `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`, `RESOLVE_NO_XDEV`).
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    /// Opens `path`, which may be a mount point of a hierarchy or any group below one.
    ///
    /// # Errors
    /// [`Error::Directory`] when it can't be opened or is no directory.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        match open(&path, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(errno) => Err(Error::directory("open", path, errno)),
        }
    }

    /// The path by which the directory was opened, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory below this one; `name` may have several components.
    ///
    /// # Errors
    /// [`Error::Directory`]; EXDEV or ELOOP when the way leads out of this hierarchy or over a link.
    pub fn child(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let path = self.path.join(name.as_ref());
        match self.openat(name.as_ref(), OFlag::O_DIRECTORY | OFlag::O_RDONLY) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(errno) => Err(Error::directory("openat2", path, errno)),
        }
    }

    /// The same directory by one more descriptor.
    pub(crate) fn again(&self) -> Result<Self> {
        match self.fd.try_clone() {
            Ok(fd) => Ok(Self { fd, path: self.path.clone() }),
            Err(error) => {
                let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EMFILE));
                Err(Error::directory("dup", &self.path, errno))
            }
        }
    }

    /// Makes the group `name` (one component). Says whether it is new.
    ///
    /// # Errors
    /// [`Error::Directory`] of mkdirat, EEXIST excepted.
    pub fn make(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        match mkdirat(&self.fd, name.as_ref(), Mode::from_bits_truncate(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(Error::directory("mkdir", self.path.join(name.as_ref()), errno)),
        }
    }

    /// Removes the group `name` (one component). Says whether it was there.
    ///
    /// # Errors
    /// [`Error::Directory`] of unlinkat, ENOENT excepted; EBUSY while the group has processes or groups below it.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        match unlinkat(&self.fd, name.as_ref(), UnlinkatFlags::RemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(Error::directory("rmdir", self.path.join(name.as_ref()), errno)),
        }
    }

    /// Names of the groups directly below, in no order.
    ///
    /// # Errors
    /// [`Error::Directory`] of open or getdents64.
    pub fn groups(&self) -> Result<Vec<OsString>> {
        let fail = |errno| Error::directory("getdents64", &self.path, errno);
        // The descriptor of `self` keeps its own offset: list through a fresh one.
        let fresh = self.openat(OsStr::new("."), OFlag::O_DIRECTORY | OFlag::O_RDONLY).map_err(fail)?;
        let mut entries = nix::dir::Dir::from_fd(fresh).map_err(fail)?;
        let mut names = Vec::new();
        for entry in entries.iter() {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if entry.file_type() == Some(nix::dir::Type::Directory) && name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// True if the directory has the file `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        nix::unistd::faccessat(
            &self.fd,
            name,
            nix::unistd::AccessFlags::F_OK,
            nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
        )
        .is_ok()
    }

    /// Opens the control file `name` with `flags` (`O_CLOEXEC` is added).
    ///
    /// # Errors
    /// [`Error::Read`] that names the file.
    pub fn file(&self, name: &str, flags: OFlag) -> Result<OwnedFd> {
        self.openat(OsStr::new(name), flags).map_err(|errno| self.unreadable(name, errno))
    }

    /// Reads the file `name` into `buffer`, which is cleared first and keeps its capacity between calls.
    ///
    /// # Errors
    /// [`Error::Read`] that names the file.
    pub fn read_into<'b>(&self, name: &str, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        let fd = self.file(name, OFlag::O_RDONLY)?;
        read_all(&fd, buffer).map_err(|errno| self.unreadable(name, errno))
    }

    /// Reads the file `name` as text, without the newline at its end.
    ///
    /// # Errors
    /// [`Error::Read`] that names the file.
    pub fn read(&self, name: &str) -> Result<String> {
        let mut buffer = Vec::new();
        Ok(String::from_utf8_lossy(self.read_into(name, &mut buffer)?.trim_ascii_end()).into_owned())
    }

    /// Writes `value` to the file `name` by one write(2).
    ///
    /// # Errors
    /// [`Error::Write`] that names file and value.
    pub fn write(&self, name: &str, value: &str) -> Result<()> {
        let written = faults::of(&self.path, name, value)
            .and_then(|()| self.openat(OsStr::new(name), OFlag::O_WRONLY))
            .and_then(|fd| nix::unistd::write(&fd, value.as_bytes()));
        written.map(drop).map_err(|errno| self.refused(name, value, errno))
    }

    /// [`Dir::write`] to a file that takes a line with each write: `open` keeps it for the next one.
    pub(crate) fn write_again(&self, open: &mut Option<OwnedFd>, name: &str, value: &str) -> Result<()> {
        let written = faults::of(&self.path, name, value).and_then(|()| match open {
            Some(fd) => nix::unistd::write(&*fd, value.as_bytes()),
            None => self
                .openat(OsStr::new(name), OFlag::O_WRONLY)
                .and_then(|fd| nix::unistd::write(open.insert(fd), value.as_bytes())),
        });
        written.map(drop).map_err(|errno| self.refused(name, value, errno))
    }

    pub(crate) fn refused(&self, name: &str, value: &str, errno: Errno) -> Error {
        let (path, value) = (self.path.join(name), value.to_owned());
        Error::Write { path, value, source: errno.into(), hint: String::new() }
    }

    fn unreadable(&self, name: &str, errno: Errno) -> Error {
        Error::Read { path: self.path.join(display(OsStr::new(name))), source: errno.into() }
    }

    fn openat(&self, name: &OsStr, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(BELOW);
        loop {
            // RACE: a rename anywhere on the machine may make the kernel give up a scoped lookup (EAGAIN); it's to be tried again.
            match openat2(&self.fd, name, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                other => return other,
            }
        }
    }
}

/// Reads `fd` from its offset to its end.
pub(crate) fn read_all<'b>(fd: &OwnedFd, buffer: &'b mut Vec<u8>) -> nix::Result<&'b [u8]> {
    buffer.clear();
    buffer.reserve(4096);
    loop {
        let used = buffer.len();
        buffer.resize(used.max(buffer.capacity()), 0);
        let free = buffer.get_mut(used..).unwrap_or_default();
        match nix::unistd::read(fd, free) {
            Ok(0) => {
                buffer.truncate(used);
                return Ok(buffer);
            }
            Ok(count) => buffer.truncate(used + count),
            Err(Errno::EINTR) => buffer.truncate(used),
            Err(errno) => return Err(errno),
        }
        if buffer.len() == buffer.capacity() {
            buffer.reserve(buffer.len());
        }
    }
}
