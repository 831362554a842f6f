//! Files as a process sees them: below its own root.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};

/// The root of a process whose call waits.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    process: PathBuf,
    /// Error numbers of looks that show nothing, not even that nothing is there.
    failed: RefCell<BTreeSet<i32>>,
}

/// What says that a name leads nowhere, or that its process is gone.
const NOTHING: [i32; 7] =
    [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG, libc::ENXIO, libc::EXDEV, libc::ESRCH];

/// Most that is read of a program to find its interpreter.
const HEAD: u64 = 8192;

impl Root {
    /// That of a thread.
    pub(super) fn of(thread: u32) -> io::Result<Self> {
        let process = PathBuf::from(format!("/proc/{thread}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(process.join("root"), flags, Mode::empty())?;
        Ok(Self { fd, process, failed: RefCell::default() })
    }

    /// The outcome of a look. Why it shows nothing is kept, unless nothing is there.
    pub(super) fn seen<T, E: Into<io::Error>>(&self, look: Result<T, E>) -> Option<T> {
        match look.map_err(Into::into) {
            Ok(found) => Some(found),
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                if !NOTHING.contains(&errno) {
                    self.failed.borrow_mut().insert(errno);
                }
                None
            }
        }
    }

    /// Error numbers of looks that have failed.
    pub(super) fn failed(self) -> BTreeSet<i32> {
        self.failed.into_inner()
    }

    /// What a name means that is given with the directory `dir`, if it is relative.
    pub(super) fn absolute(&self, dir: Option<i32>, name: &Path) -> Option<PathBuf> {
        let base = match dir.filter(|dir| *dir != libc::AT_FDCWD) {
            _ if name.is_absolute() => PathBuf::from("/"),
            Some(number) => self.descriptor(number)?,
            None => self.seen(std::fs::read_link(self.process.join("cwd")))?,
        };
        let path = base.join(name);
        // `components` leaves out "." and doubled slashes, and keeps "..", which may lead through a link.
        Some(path.components().collect()).filter(|path: &PathBuf| path.is_absolute())
    }

    /// The path of an open file; `None` for a pipe, a socket, and the like.
    pub(super) fn descriptor(&self, number: i32) -> Option<PathBuf> {
        let path = self.seen(std::fs::read_link(self.process.join("fd").join(number.to_string())))?;
        Some(path).filter(|path| path.is_absolute())
    }

    fn open(&self, path: &Path, flags: OFlags) -> Option<OwnedFd> {
        self.seen(openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT))
    }

    /// What is there, links followed; `None` for nothing.
    pub(super) fn kind(&self, path: &Path) -> Option<FileType> {
        let stat = self.seen(fstat(self.open(path, OFlags::PATH)?))?;
        Some(FileType::from_raw_mode(stat.st_mode))
    }

    /// The beginning of an ordinary file.
    pub(super) fn head(&self, path: &Path) -> Option<Vec<u8>> {
        // ORDER: looked at first: to open a pipe would wait, and to open a device may do anything.
        self.kind(path).filter(|kind| kind.is_file())?;
        let file = File::from(self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let mut bytes = Vec::new();
        self.seen(file.take(HEAD).read_to_end(&mut bytes))?;
        Some(bytes)
    }

    /// The process that a thread belongs to.
    pub(super) fn leader(&self) -> Option<i32> {
        let file = openat2(
            CWD,
            self.process.join("status"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::empty(),
        );
        let mut text = Vec::new();
        self.seen(File::from(self.seen(file)?).take(HEAD).read_to_end(&mut text))?;
        let text = String::from_utf8_lossy(&text);
        text.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
    }
}
