//! The account files of a container, read below its root.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstat};

use super::joined::{open_namespaces, open_root};
use crate::config::{Config, NamespaceKind};
use crate::error::{Error, Result};

const LIMIT: u64 = 8 * 1024 * 1024;
const TRIES: u32 = 128;

/// The container's own account files.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) passwd: Vec<u8>,
    pub(crate) group: Vec<u8>,
}

/// For a plan that is only shown: without a rootfs at hand, a named user stands as 65534 and a named group too.
pub(crate) fn accounts_to_show(config: &Config, spec: &str) -> Result<Accounts> {
    match accounts(config) {
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            let mut names = spec.split(':');
            let (user, group) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
            Ok(Accounts {
                passwd: format!("{user}:x:65534:65534::/:").into_bytes(),
                group: format!("{group}:x:65534:").into_bytes(),
            })
        }
        found => found,
    }
}

/// Those of the config's rootfs.
pub(crate) fn accounts(config: &Config) -> Result<Accounts> {
    if !config.namespaces.is_new(NamespaceKind::Mount) {
        let failed = |error| Error::io("read the account files", error);
        let root = open_namespaces(config).and_then(|joined| open_root(config, &joined)).map_err(failed)?;
        return root.map_or_else(|| Ok(Accounts::default()), |root| accounts_below(&root, &config.rootfs));
    }
    read_accounts(&config.rootfs)
}

/// Reads `/etc/passwd` and `/etc/group` of the tree at `root`; links are followed inside of it only. Missing files are empty.
pub(crate) fn read_accounts(root: &Path) -> Result<Accounts> {
    let failed = |error: Errno| Error::io(format!("open rootfs {}", root.display()), error.into());
    let dir = nix::fcntl::open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(failed)?;
    accounts_below(&dir, root)
}

fn accounts_below(dir: &OwnedFd, root: &Path) -> Result<Accounts> {
    let read = |name: &str| {
        read_below(dir, name).map_err(|error| Error::io(format!("read /{name} of {}", root.display()), error))
    };
    Ok(Accounts { passwd: read("etc/passwd")?, group: read("etc/group")? })
}

/// The mode of a directory of the tree at `root`, links followed inside of it only; `None` if there is none, or none that this user can see.
///
/// # Errors
/// Anything else: a mode that can't be found out is not taken for one that nobody has set.
pub(super) fn directory_mode(root: &Path, path: &Path) -> io::Result<Option<u32>> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let open = |root: OwnedFd| open_again(&root, path, OpenHow::new().flags(flags).resolve(resolve));
    match nix::fcntl::open(root, flags, Mode::empty()).and_then(open) {
        // What is in the way is told by the plan, which makes the place.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES) => Ok(None),
        found => Ok(Some(fstat(found?)?.st_mode & 0o7777)),
    }
}

/// Asks again while the kernel can't tell whether a `..` stays inside: any rename or mount of the whole system is a reason.
fn open_again<P: nix::NixPath + ?Sized>(root: &OwnedFd, name: &P, how: OpenHow) -> nix::Result<OwnedFd> {
    let mut tries = 0;
    loop {
        match openat2(root, name, how) {
            Err(Errno::EAGAIN) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

fn read_below(root: &OwnedFd, name: &str) -> io::Result<Vec<u8>> {
    // O_NONBLOCK: what looks like a file to an image's author may be a FIFO.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = match open_again(root, name, how) {
        Ok(fd) => File::from(fd),
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    };
    let data = file.metadata()?;
    if !data.is_file() || data.len() > LIMIT {
        return Err(io::Error::other("not a regular file of at most 8 MiB"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(data.len()).unwrap_or(0) + 1);
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_mode_that_can_not_be_known_is_an_error() {
        let mode = |path: &str| directory_mode(Path::new("/"), Path::new(path));
        assert_eq!(mode("/no-such/directory").unwrap(), None);
        assert_eq!(mode("/proc/version").unwrap(), None);
        assert_eq!(mode("/proc").unwrap(), Some(0o555));
        assert_eq!(mode(&"x".repeat(300)).unwrap_err().raw_os_error(), Some(libc::ENAMETOOLONG));
    }
}
