//! Labels of a whole tree.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use libcontainer_plan::Seen;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlink};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::context::Context;
use super::error::SelinuxError;
use super::file;
use super::protected::{Protected, is_protected};

/// How a tree is going to be relabelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relabel {
    /// The label.
    pub label: Context,
    /// What is mounted below is relabelled too.
    pub mounts: bool,
    /// A link in the last place of the path is not followed.
    pub nofollow: bool,
    /// What somebody has seen there: anything else by then is an error.
    pub seen: Option<Seen>,
}

impl Relabel {
    /// With the label of a container's mounts, as 2014's `relabel` of a mount has it: `z` for what containers share, at level `s0`, `Z` for
    /// what is this one's. `None` for any other text.
    #[must_use]
    pub fn of(option: &str, label: Context) -> Option<Self> {
        let label = match option {
            "z" => label.shared(),
            "Z" => label,
            _ => return None,
        };
        Some(Self { label, mounts: true, nofollow: false, seen: None })
    }

    /// Whether the tree at `path` may be relabelled: looks, and changes nothing.
    ///
    /// # Errors
    /// [`SelinuxError::Protected`], [`SelinuxError::Replaced`], or a look that failed.
    pub fn check(&self, path: &Path) -> Result<(), SelinuxError> {
        Tree::open(path, self).map(drop)
    }

    /// Relabels the tree at `path`, `path` itself last, and returns how many labels were changed; those that are right stay. Links below are not
    /// followed but labelled themselves, and every object is held while it is labelled, so that nobody can put another in its place. What
    /// vanishes meanwhile is passed over. There is no way back: a tree that was relabelled in part stays so.
    ///
    /// # Errors
    /// [`SelinuxError::Protected`], [`SelinuxError::Replaced`]; else the first object that can't be labelled, with `EOPNOTSUPP` where its filesystem has no labels.
    pub fn run(&self, path: &Path) -> Result<u64, SelinuxError> {
        let tree = Tree::open(path, self)?;
        let label = self.label.to_string();
        let mut walk = Walk { tree: &tree, label: label.as_bytes(), mounts: self.mounts, changed: 0 };
        let mut waiting = if tree.is_dir { vec![PathBuf::new()] } else { Vec::new() };
        while let Some(dir) = waiting.pop() {
            walk.directory(&dir, &mut waiting)?;
        }
        walk.object(tree.root.as_fd(), Path::new(""))?;
        Ok(walk.changed)
    }
}

/// Where it begins.
struct Tree {
    path: PathBuf,
    root: OwnedFd,
    is_dir: bool,
    protected: Protected,
}

impl Tree {
    fn open(path: &Path, how: &Relabel) -> Result<Self, SelinuxError> {
        let last = if how.nofollow { OFlag::O_NOFOLLOW } else { OFlag::empty() };
        let failed = |errno: Errno| SelinuxError::call(format!("open {}", path.display()), &errno.into());
        let root =
            nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC | last, Mode::empty()).map_err(failed)?;
        let data = fstat(&root).map_err(failed)?;
        let found = Seen { device: data.st_dev, inode: data.st_ino, kind: data.st_mode & libc::S_IFMT };
        if how.seen.is_some_and(|seen| seen != found) {
            return Err(SelinuxError::Replaced { path: path.to_owned() });
        }
        let link = format!("/proc/thread-self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&root));
        let real = PathBuf::from(readlink(link.as_str()).map_err(failed)?);
        let protected = Protected::look()?;
        if is_protected(&real) || is_protected(path) || protected.has(data.st_dev, data.st_ino) {
            return Err(SelinuxError::Protected { path: path.to_owned() });
        }
        let is_dir = found.kind == libc::S_IFDIR;
        Ok(Self { path: path.to_owned(), root, is_dir, protected })
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    label: &'a [u8],
    mounts: bool,
    changed: u64,
}

impl Walk<'_> {
    /// Labels what is in the directory at this path below the root, and notes the directories there. Paths are kept instead of descriptors, so
    /// that no depth takes more of these; they are opened without any link.
    fn directory(&mut self, dir: &Path, waiting: &mut Vec<PathBuf>) -> Result<(), SelinuxError> {
        let name = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let Some(opened) = self.open(self.tree.root.as_fd(), name, OFlag::O_DIRECTORY, dir)? else {
            return Ok(());
        };
        let names = libcontainer_plan::names(&opened).map_err(|error| self.failed("read", dir, &error))?;
        for name in names {
            let path = dir.join(&name);
            if self.child(opened.as_fd(), &name, &path)? {
                waiting.push(path);
            }
        }
        Ok(())
    }

    /// Whether it is a directory.
    fn child(&mut self, dir: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<bool, SelinuxError> {
        let Some(object) = self.open(dir, Path::new(name), OFlag::O_NOFOLLOW, path)? else {
            return Ok(false);
        };
        let data = fstat(&object).map_err(|errno| self.failed("stat", path, &errno.into()))?;
        let is_dir = SFlag::from_bits_truncate(data.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
        // A mount below may be of a directory of the system's.
        if is_dir && self.tree.protected.has(data.st_dev, data.st_ino) {
            return Err(SelinuxError::Protected { path: self.tree.path.join(path) });
        }
        self.object(object.as_fd(), path)?;
        Ok(is_dir)
    }

    fn object(&mut self, object: BorrowedFd<'_>, path: &Path) -> Result<(), SelinuxError> {
        let found = file::read(object).map_err(|error| self.failed("read the label of", path, &error))?;
        let plain = found.as_deref().map(|found| found.strip_suffix(b"\0").unwrap_or(found));
        if plain == Some(self.label) {
            return Ok(());
        }
        file::write(object, self.label).map_err(|error| self.failed("label", path, &error))?;
        self.changed += 1;
        Ok(())
    }

    /// An `O_PATH` descriptor; `None` of what is gone, or of a mount that is left out.
    fn open(
        &self,
        at: BorrowedFd<'_>,
        name: &Path,
        flags: OFlag,
        path: &Path,
    ) -> Result<Option<OwnedFd>, SelinuxError> {
        let beneath = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let resolve = if self.mounts { beneath } else { beneath | ResolveFlag::RESOLVE_NO_XDEV };
        let how = OpenHow::new().flags(flags | OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
        match patient(|| openat2(at, name, how)) {
            Ok(fd) => Ok(Some(fd)),
            // RACE: who uses the tree may remove it, or put something else there, which is new and not ours to label.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            // A mount that is left out, or what was moved out of the tree while it was looked up.
            Err(Errno::EXDEV) => Ok(None),
            Err(errno) => Err(self.failed("open", path, &errno.into())),
        }
    }

    #[cold]
    fn failed(&self, call: &str, path: &Path, error: &io::Error) -> SelinuxError {
        let path =
            if path.as_os_str().is_empty() { self.tree.path.clone() } else { self.tree.path.join(path) };
        SelinuxError::call(format!("{call} {}", path.display()), error)
    }
}
/// Calls again while a rename elsewhere keeps the kernel from saying where a name leads.
fn patient<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    for _ in 0..ATTEMPTS {
        match call() {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            result => return result,
        }
    }
    call()
}

/// How often a look-up is tried that renames disturb.
const ATTEMPTS: u32 = 128;
