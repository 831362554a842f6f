//! Whether the program of a container that is created is there: who starts it later has no way to tell its caller apart what was missing, and
//! callers of runtimes expect the creation to say so.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use libcontainer_security::ProcessDir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstatat};

use crate::error::named;
use crate::setup::ProcessSetup;

/// Where the program may be, and by which name it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: String,
    candidates: Vec<PathBuf>,
}

impl Program {
    pub(super) fn of(process: &ProcessSetup) -> Self {
        let name = process.args.first().map(Vec::as_slice).unwrap_or_default();
        let candidates = process.candidates.iter().map(|path| process.cwd.join(path)).collect();
        Self { name: String::from_utf8_lossy(name).into_owned(), candidates }
    }

    /// Looks for it in the root of a ready init, as execve(2) would come to it. What can't be found out is left to execve(2).
    ///
    /// # Errors
    /// `ENOENT` or `ENOTDIR` if it is at none of its places, `EACCES` if nobody may execute what is there.
    pub(super) fn look(&self, init: &ProcessDir) -> io::Result<()> {
        let Ok(root) = init.open_file("root") else { return Ok(()) };
        let mut worst = Errno::ENOENT;
        for path in &self.candidates {
            match found(&root, path) {
                Err(gone @ (Errno::ENOENT | Errno::ENOTDIR)) if worst != Errno::EACCES => worst = gone,
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(Errno::EACCES) => worst = Errno::EACCES,
                // There, or nothing is known.
                _ => return Ok(()),
            }
        }
        let places: Vec<_> = self.candidates.iter().map(|path| path.display().to_string()).collect();
        Err(named(format!("program {:?} (looked for at {})", self.name, places.join(", ")), worst.into()))
    }
}

/// `ENOENT`, `ENOTDIR`, and `EACCES` are certain.
fn found(root: &OwnedFd, path: &Path) -> nix::Result<()> {
    // Links of /proc, and those in /dev that lead there, are other ones to us than to the init.
    if ["/proc", "/dev"].iter().any(|dir| path.starts_with(dir)) {
        return Ok(());
    }
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = match openat2(root, path, how) {
        Ok(file) => file,
        // We are refused, which does not say that the program's user is.
        Err(Errno::EACCES) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let data = fstatat(&file, "", AtFlags::AT_EMPTY_PATH)?;
    let anyone = (Mode::S_IXUSR | Mode::S_IXGRP | Mode::S_IXOTH).bits();
    let regular = data.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
    if regular && data.st_mode & anyone != 0 { Ok(()) } else { Err(Errno::EACCES) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn only_what_is_certain_is_an_error() {
        let dir = std::env::temp_dir().join(format!("libcontainer-program-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        for (name, mode) in [("text", 0o644), ("runs", 0o100)] {
            std::fs::write(dir.join(name), "").unwrap();
            std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::symlink("/runs", dir.join("link")).unwrap();
        std::os::unix::fs::symlink("loop", dir.join("loop")).unwrap();
        let root: OwnedFd = std::fs::File::open(&dir).unwrap().into();
        let all = [
            ("/runs", Ok(())),
            ("/link", Ok(())),
            ("/../../runs", Ok(())),
            ("/none", Err(Errno::ENOENT)),
            ("/text/none", Err(Errno::ENOTDIR)),
            ("/text", Err(Errno::EACCES)),
            ("/bin", Err(Errno::EACCES)),
            ("/loop", Err(Errno::ELOOP)),
            ("/proc/self/exe", Ok(())),
            ("/dev/fd/3", Ok(())),
        ];
        for (path, wanted) in all {
            assert_eq!(found(&root, Path::new(path)), wanted, "{path}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
