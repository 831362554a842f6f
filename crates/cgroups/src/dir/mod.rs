//! A directory of a control group file system, held by descriptor: renamed or replaced, it is never followed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libc::nlink_t;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, fstat, fstatat, mkdirat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};

use crate::error::{Error, Result, display};
use crate::faults;

/// One entry of a directory.
pub(crate) struct Entry {
    pub(crate) name: OsString,
    /// KERNEL: control group file systems always tell the type.
    pub(crate) is_dir: bool,
}

const BELOW: ResolveFlag =
    ResolveFlag::RESOLVE_BENEATH.union(ResolveFlag::RESOLVE_NO_SYMLINKS).union(ResolveFlag::RESOLVE_NO_XDEV);
const ABOVE: ResolveFlag = ResolveFlag::RESOLVE_NO_SYMLINKS.union(ResolveFlag::RESOLVE_NO_XDEV);
/// A file that every group has, of both versions.
const EVERY: &str = "cgroup.procs";

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

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.fd
    }
}

impl Dir {
    /// Opens `path`, which may be a mount point of a hierarchy or any group below one.
    ///
    /// # Errors
    /// [`Error::Directory`] when it can't be opened or is no directory.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        match faults::of("openat", &path, "").and_then(|()| patient(|| open(&path, flags, Mode::empty()))) {
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
        let copy = faults::of("fcntl", &self.path, "").map_err(Into::into).and_then(|()| self.fd.try_clone());
        match copy {
            Ok(fd) => Ok(Self { fd, path: self.path.clone() }),
            Err(source) => Err(Error::Directory { call: "fcntl", path: self.path.clone(), source }),
        }
    }

    /// The directory above this one, also when this one was removed. Never one of another mount.
    pub(crate) fn above(&self) -> Result<Self> {
        let path = self.path.parent().unwrap_or(&self.path).to_owned();
        match self.open_scoped(OsStr::new(".."), OFlag::O_DIRECTORY | OFlag::O_RDONLY, ABOVE) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(errno) => Err(Error::directory("openat2", path, errno)),
        }
    }

    /// Makes the group `name` (one component). Says whether it is new.
    ///
    /// # Errors
    /// [`Error::Directory`] of mkdirat, EEXIST excepted.
    pub fn make(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = name.as_ref();
        let made = faults::of("mkdirat", &self.path, name)
            .and_then(|()| patient(|| mkdirat(&self.fd, name, Mode::from_bits_truncate(0o755))));
        match made {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(Error::directory("mkdir", self.path.join(name), errno)),
        }
    }

    /// Removes the group `name` (one component). Says whether it was there.
    ///
    /// # Errors
    /// [`Error::Directory`] of unlinkat, ENOENT excepted; EBUSY while the group has processes or groups below it.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        self.remove_above(0, name.as_ref())
    }

    /// [`Self::remove`] of what lies in the directory that is `levels` above this one. Needs no descriptor, so it also works when
    /// there is none to be had, and when this directory was removed itself.
    pub(crate) fn remove_above(&self, levels: usize, name: &OsStr) -> Result<bool> {
        let way = up(levels, name);
        let removed = faults::of("unlinkat", &self.path, &way)
            .and_then(|()| patient(|| unlinkat(&self.fd, &way, UnlinkatFlags::RemoveDir)));
        match removed {
            Ok(()) => Ok(true),
            // The name isn't there: the way to it is `..` only, which always is.
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(Error::directory("rmdir", self.path_above(levels, name), errno)),
        }
    }

    /// The inode number of what lies by the name `name` in the directory that is `levels` above this one; None when nothing does.
    /// Needs no descriptor.
    pub(crate) fn inode_above(&self, levels: usize, name: &OsStr) -> Result<Option<u64>> {
        Ok(self.inode_and_links_above(levels, name)?.map(|(inode, _)| inode))
    }

    /// [`Self::inode_and_links`] of what lies by the name `name` in the directory that is `levels` above this one; None when nothing
    /// does. Needs no descriptor.
    pub(crate) fn inode_and_links_above(
        &self,
        levels: usize,
        name: &OsStr,
    ) -> Result<Option<(u64, nlink_t)>> {
        let way = up(levels, name);
        let found = faults::of("newfstatat", &self.path, &way)
            .and_then(|()| patient(|| fstatat(&self.fd, &way, AtFlags::AT_SYMLINK_NOFOLLOW)));
        match found {
            Ok(found) => Ok(Some((found.st_ino, found.st_nlink))),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::directory("fstatat", self.path_above(levels, name), errno)),
        }
    }
    /// The number of this directory, and how many links it has: two and the groups below it, on a control group file system.
    pub(crate) fn inode_and_links(&self) -> Result<(u64, nlink_t)> {
        let found = faults::of("fstat", &self.path, "")
            .and_then(|()| patient(|| fstat(&self.fd)))
            .map_err(|errno| Error::directory("fstat", &self.path, errno))?;
        Ok((found.st_ino, found.st_nlink))
    }

    /// On which kind of file system it lies.
    pub(crate) fn kind(&self) -> Result<FsType> {
        let found = faults::of("fstatfs", &self.path, "").and_then(|()| patient(|| fstatfs(&self.fd)));
        let found = found.map_err(|errno| Error::directory("fstatfs", &self.path, errno))?;
        Ok(found.filesystem_type())
    }

    fn path_above(&self, levels: usize, name: &OsStr) -> PathBuf {
        self.path.ancestors().nth(levels).unwrap_or(&self.path).join(name)
    }

    /// Names of the groups directly below, in no order.
    ///
    /// # Errors
    /// [`Error::Directory`] of open or getdents64.
    pub fn groups(&self) -> Result<Vec<OsString>> {
        Ok(self.entries()?.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect())
    }

    /// What is in the directory, but for `.` and `..`, in no order.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        // The descriptor of `self` keeps its own offset: list through a fresh one.
        let listed = self.openat(OsStr::new("."), OFlag::O_DIRECTORY | OFlag::O_RDONLY).and_then(|fresh| {
            faults::of("getdents64", &self.path, "")?;
            list(fresh).map_err(|error| Errno::from_raw(error.raw_os_error()))
        });
        listed.map_err(|errno| Error::directory("getdents64", &self.path, errno))
    }

    /// Whether the directory of a group has the file `name`.
    ///
    /// # Errors
    /// [`Error::Directory`] when that can't be known: of faccessat, and with ENOENT when the group itself was removed
    /// ([`Error::is_gone`]), since it has no files then, whatever it had.
    pub fn has(&self, name: &str) -> Result<bool> {
        if self.is_there(name)? {
            return Ok(true);
        }
        // Every group has this file.
        match name != EVERY && self.is_there(EVERY)? {
            true => Ok(false),
            false => Err(Error::directory("faccessat", self.path.join(EVERY), Errno::ENOENT)),
        }
    }

    fn is_there(&self, name: &str) -> Result<bool> {
        let found = faults::of("faccessat", &self.path, name).and_then(|()| {
            patient(|| faccessat(&self.fd, name, AccessFlags::F_OK, AtFlags::AT_SYMLINK_NOFOLLOW))
        });
        match found {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(Error::directory("faccessat", self.path.join(name), errno)),
        }
    }

    /// [`Self::read`], None when the group doesn't have the file.
    pub(crate) fn read_if_there(&self, name: &str) -> Result<Option<String>> {
        match self.read(name) {
            Err(error) if error.errno() == Some(libc::ENOENT) && !self.has(name)? => Ok(None),
            read => read.map(Some),
        }
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
        faults::of("read", &self.path, name)
            .and_then(|()| read_all(&fd, buffer))
            .map_err(|errno| self.unreadable(name, errno))
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
    /// [`Error::Write`] that names file and value; [`Error::Directory`] with ENOENT when the group was removed.
    pub fn write(&self, name: &str, value: &str) -> Result<()> {
        self.write_again(&mut None, name, value)
    }

    /// [`Dir::write`] to a file that takes a line with each write: `open` keeps it for the next one.
    pub(crate) fn write_again(&self, open: &mut Option<OwnedFd>, name: &str, value: &str) -> Result<()> {
        let refuse = |errno| self.refused_or_gone(name, value, errno);
        let file = match open {
            Some(file) => file,
            None => open.insert(self.openat(OsStr::new(name), OFlag::O_WRONLY).map_err(refuse)?),
        };
        let written = faults::of_write(&self.path, name, value)
            .and_then(|()| patient(|| nix::unistd::write(&*file, value.as_bytes())));
        match written {
            Ok(count) if count == value.len() => Ok(()),
            // The kernel takes a value whole or not at all; half of it would be another one.
            Ok(_) => Err(refuse(Errno::EIO)),
            Err(errno) => Err(refuse(errno)),
        }
    }

    /// ENOENT and ENODEV are also answers about a value (no such device, a controller that isn't given): only a look tells.
    fn refused_or_gone(&self, name: &str, value: &str, errno: Errno) -> Error {
        let may_be_gone = matches!(errno, Errno::ENOENT | Errno::ENODEV);
        match may_be_gone && matches!(self.is_there(EVERY), Ok(false)) {
            true => Error::directory("write", self.path.join(name), Errno::ENOENT),
            false => self.refused(name, value, errno),
        }
    }

    pub(crate) fn refused(&self, name: &str, value: &str, errno: Errno) -> Error {
        let (path, value) = (self.path.join(name), value.to_owned());
        Error::Write { path, value, source: errno.into(), hint: String::new() }
    }

    fn unreadable(&self, name: &str, errno: Errno) -> Error {
        Error::Read { path: self.path.join(display(OsStr::new(name))), source: errno.into() }
    }

    fn openat(&self, name: &OsStr, flags: OFlag) -> nix::Result<OwnedFd> {
        self.open_scoped(name, flags, BELOW)
    }

    fn open_scoped(&self, name: &OsStr, flags: OFlag, scope: ResolveFlag) -> nix::Result<OwnedFd> {
        faults::of("openat2", &self.path, name)?;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(scope);
        // RACE: a rename anywhere on the machine may make the kernel give up a scoped lookup (EAGAIN); it's to be tried again.
        patient(|| openat2(&self.fd, name, how))
    }
}

/// All entries but `.` and `..`. Directories of nix and of std panic when they are dropped and close(2) fails.
fn list(directory: OwnedFd) -> rustix::io::Result<Vec<Entry>> {
    let mut all = Vec::new();
    for entry in rustix::fs::Dir::new(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            all.push(Entry { name: name.to_owned(), is_dir: entry.file_type().is_dir() });
        }
    }
    Ok(all)
}

/// The way from a directory up and to a name there.
fn up(levels: usize, name: &OsStr) -> PathBuf {
    let mut way: PathBuf = std::iter::repeat_n("..", levels).collect();
    way.push(name);
    way
}

/// Reads `fd` from its offset to its end.
pub(crate) fn read_all<'b>(fd: &OwnedFd, buffer: &'b mut Vec<u8>) -> nix::Result<&'b [u8]> {
    const ROOM: [u8; 4096] = [0; 4096];
    buffer.clear();
    buffer.reserve(ROOM.len());
    loop {
        let used = buffer.len();
        // Copied: byte for byte, as `resize` does it in a build for size, costs more than the read.
        while buffer.len() < buffer.capacity() {
            let room = (buffer.capacity() - buffer.len()).min(ROOM.len());
            buffer.extend_from_slice(ROOM.get(..room).unwrap_or_default());
        }
        let read = patient(|| nix::unistd::read(fd, buffer.get_mut(used..).unwrap_or_default()));
        // ORDER: what was not read is cut off before an error is told.
        buffer.truncate(used + read.unwrap_or(0));
        if read? == 0 {
            return Ok(buffer);
        }
        if buffer.len() == buffer.capacity() {
            buffer.reserve(buffer.len());
        }
    }
}

/// How often a call that was interrupted is made again. Nothing but a filter of system calls interrupts one that often.
const TIMES: u32 = 1000;

/// Makes a call again that a signal has interrupted, or that the kernel asks to be made again.
pub(crate) fn patient<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    for _ in 1..TIMES {
        match call() {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            other => return other,
        }
    }
    call()
}
