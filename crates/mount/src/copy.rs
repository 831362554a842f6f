//! Copying a tree by descriptors: no link is followed, no path is resolved over more than one name.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use libcontainer_plan::names;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat, setfsgid, setfsuid, symlinkat};

/// Deepest directory that is copied: each level holds three descriptors.
const DEPTH: usize = 100;

/// Which attributes the root of the copy takes from the root of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Permission bits.
    pub mode: bool,
    /// Owner and group.
    pub owner: bool,
}

/// Copies all that lies in the directory `source` into the empty directory `target`, with owners, permission bits and
/// times. Hard links become files of their own; extended attributes are not copied.
///
/// Objects are created as the owner of `target`, so that it works in a filesystem of a user namespace that does not map the
/// caller. An owner that is not mapped there stays what it is: nobody, seen from inside. Where the kernel refuses that, the
/// owner becomes that of `target`, and such a file loses its set-user-id bits.
///
/// # Errors
/// The name of the object, the call, and its errno; `ELOOP` for a tree of more than 100 levels. What was copied stays.
pub(crate) fn copy_tree(source: BorrowedFd<'_>, target: BorrowedFd<'_>, root: Root) -> io::Result<()> {
    let owner = fstat(target).map_err(named(b"/", "fstat"))?;
    let data = fstat(source).map_err(named(b"/", "fstat"))?;
    let copy = || {
        let copier = Copier { uid: Uid::from_raw(owner.st_uid), gid: Gid::from_raw(owner.st_gid) };
        copier.check_ids()?;
        let (from, to) = (open_directory(source, b"/")?, open_directory(target, b"/")?);
        let mut path = Vec::new();
        copier.directory(&from, &to, &mut path, 0)?;
        copier.settle_root(&to, &data, root)
    };
    // The filesystem ids belong to the thread: the caller's own are never touched.
    let copied = libcontainer_thread::apart("tmpcopyup", copy).map_err(named(b"/", "pthread_create"))?;
    copied.unwrap_or_else(|| Err(io::Error::other("the copying thread panicked")))
}

struct Copier {
    uid: Uid,
    gid: Gid,
}

fn open_directory(fd: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(fd, ".", flags, Mode::empty()).map_err(named(path, "openat"))
}

/// Names the object and the call in an error.
fn named<E: Into<io::Error> + Display>(path: &[u8], call: &'static str) -> impl Fn(E) -> io::Error {
    let path = String::from_utf8_lossy(path).into_owned();
    move |error| {
        let text = format!("copy {path}: {call}: {error}");
        io::Error::new(error.into().kind(), text)
    }
}

impl Copier {
    fn directory(&self, from: &OwnedFd, to: &OwnedFd, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        if depth > DEPTH {
            return Err(named(path, "descend")(Errno::ELOOP));
        }
        for name in names(from).map_err(named(path, "getdents64"))? {
            let before = path.len();
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
            self.entry(from, to, &name, path, depth)?;
            path.truncate(before);
        }
        Ok(())
    }

    fn entry(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &OsStr,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> io::Result<()> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let source = match openat(from, name, flags, Mode::empty()) {
            Ok(source) => source,
            // RACE: removed since it was listed.
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(named(path, "openat")(errno)),
        };
        let data = fstat(&source).map_err(named(path, "fstat"))?;
        match SFlag::from_bits_truncate(data.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => {
                let made = self.make_directory(to, name).map_err(named(path, "mkdirat"))?;
                self.directory(&open_directory(source.as_fd(), path)?, &made, path, depth + 1)?;
            }
            SFlag::S_IFREG => self.file(&source, to, name).map_err(|error| {
                let text = format!("copy {}: {error}", String::from_utf8_lossy(path));
                io::Error::new(error.kind(), text)
            })?,
            SFlag::S_IFLNK => {
                let text = readlinkat(&source, c"").map_err(named(path, "readlinkat"))?;
                self.create(|| symlinkat(text.as_os_str(), to, name)).map_err(named(path, "symlinkat"))?;
            }
            // A device needs CAP_MKNOD: made as the caller, who is no more allowed in a user namespace's filesystem than there.
            kind if kind == SFlag::S_IFCHR || kind == SFlag::S_IFBLK => {
                mknodat(to, name, kind, Mode::S_IRUSR, data.st_rdev).map_err(named(path, "mknodat"))?;
            }
            kind => {
                let make = || mknodat(to, name, kind, Mode::S_IRUSR, 0);
                self.create(make).map_err(named(path, "mknodat"))?;
            }
        }
        self.settle(to, name, &data).map_err(named(path, "set owner, mode and times"))
    }

    /// The calls that set filesystem ids tell no failure; what they set is asked for.
    fn check_ids(&self) -> io::Result<()> {
        let now = || (setfsuid(Uid::from_raw(u32::MAX)), setfsgid(Gid::from_raw(u32::MAX)));
        let before = now();
        let (within, after) = (self.create(now), now());
        if within == (self.uid, self.gid) && after == before {
            return Ok(());
        }
        let text = format!("setfsuid and setfsgid to {} and {} have no effect: EPERM", self.uid, self.gid);
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }

    /// Runs `make` with the filesystem ids of the owner of the target.
    fn create<T>(&self, make: impl FnOnce() -> T) -> T {
        let group = setfsgid(self.gid);
        let user = setfsuid(self.uid);
        let made = make();
        // ORDER: the user first: going back to root brings the capabilities back.
        setfsuid(user);
        setfsgid(group);
        made
    }

    fn make_directory(&self, to: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
        self.create(|| {
            mkdirat(to, name, Mode::S_IRWXU)?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(to, name, flags, Mode::empty())
        })
    }

    fn file(&self, source: &OwnedFd, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
        // RACE: opened by the descriptor that was looked at: the name may be something else by now.
        let mut source = File::open(format!("/proc/self/fd/{}", source.as_raw_fd()))?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = self.create(|| openat(to, name, flags, Mode::S_IRUSR | Mode::S_IWUSR))?;
        let size = source.metadata()?.size();
        // A file that grows while it is copied does not hold up the start.
        io::copy(&mut io::Read::take(&mut source, size), &mut File::from(made)).map(drop)
    }

    /// Owner first: chown takes set-user-id bits away.
    fn settle(&self, to: &OwnedFd, name: &OsStr, data: &FileStat) -> Result<(), Errno> {
        let kept = own(to, name, data)?;
        if data.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFLNK.bits() {
            let mode = mode(data, kept);
            // Nobody else can reach the target: the name is what was just made, and no link.
            nix::sys::stat::fchmodat(to, name, mode, nix::sys::stat::FchmodatFlags::FollowSymlink)?;
        }
        let (accessed, modified) = times(data);
        utimensat(to, name, &accessed, &modified, UtimensatFlags::NoFollowSymlink)
    }

    fn settle_root(&self, to: &OwnedFd, data: &FileStat, root: Root) -> io::Result<()> {
        let kept = !root.owner || own(to, OsStr::new("."), data).map_err(named(b"/", "fchownat"))?;
        if root.mode {
            fchmod(to, mode(data, kept)).map_err(named(b"/", "fchmod"))?;
        }
        Ok(())
    }
}

/// Whether owner and group could both be kept: both have to be mapped in the user namespace of the filesystem.
fn own(to: &OwnedFd, name: &OsStr, data: &FileStat) -> Result<bool, Errno> {
    let (uid, gid) = (Some(Uid::from_raw(data.st_uid)), Some(Gid::from_raw(data.st_gid)));
    let mut kept = true;
    for (uid, gid) in [(uid, None), (None, gid)] {
        match fchownat(to, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::EOVERFLOW | Errno::EINVAL) => kept = false,
            Err(errno) => return Err(errno),
        }
    }
    Ok(kept)
}

fn mode(data: &FileStat, owner_kept: bool) -> Mode {
    // A set-user-id file of somebody else must not become one of the container's root.
    Mode::from_bits_truncate(data.st_mode & if owner_kept { 0o7777 } else { 0o1777 })
}

fn times(data: &FileStat) -> (TimeSpec, TimeSpec) {
    (TimeSpec::new(data.st_atime, data.st_atime_nsec), TimeSpec::new(data.st_mtime, data.st_mtime_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the right to it the kernel leaves the filesystem ids as they are, and says nothing.
    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn ids_that_can_not_be_taken_are_an_error() {
        use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
        let found = std::thread::spawn(|| {
            if nix::unistd::geteuid().is_root() {
                let (uid, gid) = (rustix::fs::Uid::from_raw(1000), rustix::fs::Gid::from_raw(1000));
                set_thread_res_gid(gid, gid, gid).unwrap();
                set_thread_res_uid(uid, uid, uid).unwrap();
            }
            let check = |uid, gid| Copier { uid, gid }.check_ids().map_err(|error| error.to_string());
            let own = (setfsuid(Uid::from_raw(u32::MAX)), setfsgid(Gid::from_raw(u32::MAX)));
            (check(own.0, own.1), check(Uid::from_raw(0), own.1), check(own.0, Gid::from_raw(0)))
        });
        let (own, user, group) = found.join().unwrap();
        assert_eq!(own, Ok(()));
        assert!(user.unwrap_err().contains("EPERM") && group.unwrap_err().contains("EPERM"));
    }
}
