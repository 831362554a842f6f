//! `/proc/PID` of a child, held open.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use libcontainer_plan::Pid;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;

/// Most bytes that a file is believed: room for 65,536 groups.
const LIMIT: usize = 1024 * 1024;

/// `/proc/PID` of a process that is the caller's child and was not reaped when it was opened, so that the number was its own. What is
/// opened later by the descriptor is the same process's, or fails with `ESRCH`.
#[derive(Debug)]
pub struct ProcessDir {
    pid: Pid,
    dir: OwnedFd,
}

impl ProcessDir {
    /// Opens it.
    ///
    /// # Errors
    /// That of open(2), with the path.
    pub fn open(pid: Pid) -> io::Result<Self> {
        let path = format!("/proc/{pid}");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(path.as_str(), flags, Mode::empty());
        Ok(Self { pid, dir: dir.map_err(|errno| told(format_args!("open {path}"), errno))? })
    }

    fn named<'a>(&'a self, call: &'a str, name: &'a str) -> impl Fn(Errno) -> io::Error + 'a {
        move |errno| told(format_args!("{call} /proc/{}/{name}", self.pid), errno)
    }

    fn opened(&self, name: &str, flags: OFlag) -> io::Result<OwnedFd> {
        let opened = openat(&self.dir, name, flags | OFlag::O_CLOEXEC, Mode::empty());
        opened.map_err(self.named("open", name))
    }

    /// Writes a file of it by one write(2): the kernel takes a value as a whole or not at all.
    ///
    /// # Errors
    /// Those of openat(2) and write(2).
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let fd = self.opened(name, OFlag::O_WRONLY | OFlag::O_NOFOLLOW)?;
        let written = nix::unistd::write(&fd, text.as_bytes()).map_err(self.named("write", name))?;
        if written == text.len() { Ok(()) } else { Err(io::Error::other(format!("{name}: short write"))) }
    }

    /// The first MiB of a file of it.
    ///
    /// # Errors
    /// Those of openat(2) and read(2).
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let fd = self.opened(name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW)?;
        // Room for the whole file: the kernel formats it anew for each read.
        let mut bytes = Vec::with_capacity(4096);
        let read = File::from(fd).take(LIMIT as u64).read_to_end(&mut bytes);
        read.map(|_| bytes)
            .map_err(|error| libcontainer_plan::named(format!("read /proc/{}/{name}", self.pid), error))
    }

    /// Opens a file of it that is going to be read later, perhaps more than once.
    ///
    /// # Errors
    /// That of openat(2).
    pub(crate) fn keep_open(&self, name: &str) -> io::Result<ProcessFile> {
        let file = File::from(self.opened(name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW)?);
        Ok(ProcessFile { file, name: format!("/proc/{}/{name}", self.pid), room: Vec::new() })
    }

    /// Opens a file of it for reading, a link followed: `ns/mnt` gives the namespace.
    ///
    /// # Errors
    /// That of openat(2).
    pub fn open_file(&self, name: &str) -> io::Result<OwnedFd> {
        self.opened(name, OFlag::O_RDONLY)
    }

    /// The text of a link of it, such as `ns/net`.
    ///
    /// # Errors
    /// That of readlinkat(2).
    pub fn link(&self, name: &str) -> io::Result<OsString> {
        readlinkat(&self.dir, name).map_err(self.named("readlink", name))
    }
}

/// A file of a process, held open. It stays that process's: once that is reaped, reading it fails with `ESRCH`.
#[derive(Debug)]
pub(crate) struct ProcessFile {
    file: File,
    name: String,
    /// Kept for the next reading.
    room: Vec<u8>,
}

impl ProcessFile {
    /// What it has now, the first MiB of that.
    ///
    /// # Errors
    /// That of pread(2), with the path.
    pub(crate) fn read(&mut self) -> io::Result<&[u8]> {
        let mut filled = 0;
        while filled < LIMIT {
            if filled == self.room.len() {
                // Room for the whole file at first: the kernel formats it anew where a reading begins.
                self.room.resize((filled * 2).max(4096), 0);
            }
            match self.file.read_at(self.room.get_mut(filled..).unwrap_or_default(), filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(libcontainer_plan::named(format!("read {}", self.name), error)),
            }
        }
        Ok(self.room.get(..filled).unwrap_or_default())
    }
}

fn told(call: std::fmt::Arguments<'_>, errno: Errno) -> io::Error {
    libcontainer_plan::named(call.to_string(), errno.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends by panicking")]
mod tests {
    use std::process::Command;

    use super::*;

    fn of(number: u32) -> ProcessDir {
        ProcessDir::open(Pid::new(i32::try_from(number).unwrap()).unwrap()).unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_file_that_is_kept_open_says_what_holds_now_and_nothing_of_another_process() {
        let mut child = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let dir = of(child.id());
        let mut file = dir.keep_open("status").unwrap();
        let alive = file.read().unwrap().to_vec();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(alive.starts_with(b"Name:\t"), "{}", alive.escape_ascii());
        let error = file.read().unwrap_err();
        let errno = libcontainer_plan::unnamed(&error).and_then(io::Error::raw_os_error);
        assert_eq!(errno, Some(libc::ESRCH), "{error}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_file_that_is_kept_open_is_read_whole_again_and_again() {
        let mut file = of(std::process::id()).keep_open("environ").unwrap();
        let read = std::fs::read("/proc/self/environ").unwrap();
        assert!(!read.is_empty());
        for _ in 0..2 {
            assert_eq!(file.read().unwrap(), read);
        }
        let mut longer = of(std::process::id()).keep_open("smaps").unwrap();
        assert!(longer.read().unwrap().len() > 8192);
    }
}
