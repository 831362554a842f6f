//! A network namespace that outlives all who are in it: mounted in the container's directory, for devices that could not be brought home.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, fstatfs, mknodat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::config::NetworkState;
use crate::error::{Error, Result};
use crate::home::{Renamed, bring_home};

/// Name of the file in a container's directory on which its network namespace is mounted.
pub const HELD: &str = "netns";
/// Beside it as long as a namespace is to be mounted on it: who does not see that can't take it for gone.
const MOUNTED: &str = "netns.mounted";
/// `NSFS_MAGIC`.
const NSFS: u64 = 0x6e73_6673;

/// Brings the devices of the host's home from a container's namespace that nobody may be in any more; else keeps that, until [`let_go`], for
/// [`held`].
///
/// # Errors
/// As [`bring_home`], and whether the namespace is kept.
pub fn rescue(state: &NetworkState, namespace: &File, dir: &Path) -> Result<Vec<Renamed>> {
    bring_home(state, std::slice::from_ref(namespace)).map_err(|error| keep(error, namespace, dir))
}

/// Has a namespace outlive all who are in it, as a device could not be brought out: why, and what becomes of it.
pub(crate) fn keep(error: Error, namespace: &File, dir: &Path) -> Error {
    let kept = || {
        let at = dir.join(HELD);
        format!("its network namespace is kept at {}, and destroy brings the device home", at.display())
    };
    let fate = match hold(namespace, dir) {
        Ok(None) => kept(),
        Ok(Some(unmarked)) => {
            format!("{}: from this mount namespace alone, as others can't be told of it: {unmarked}", kept())
        }
        Err(left) => format!("a virtual device is lost with its network namespace: {left}"),
    };
    Error::Away { source: Box::new(error), fate }
}

/// Takes no descriptor: want of them may be what has hindered the rest. Returns why those who don't see the mount don't know of it, if they don't.
fn hold(namespace: &File, dir: &Path) -> Result<Option<Error>> {
    let (at, mark) = (dir.join(HELD), dir.join(MOUNTED));
    let failed =
        |source| Error::Io { what: format!("keep the network namespace at {}", at.display()), source };
    let ours = namespace.metadata().map_err(failed)?;
    // What can't be looked at is mounted once more: that keeps it too.
    let is_mounted =
        fs::symlink_metadata(&at).is_ok_and(|data| (data.dev(), data.ino()) == (ours.dev(), ours.ino()));
    let make = |at: &Path| match mknodat(CWD, at, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    };
    let failed_at = |errno: Errno| failed(errno.into());
    if !is_mounted {
        make(&at).map_err(failed_at)?;
    }
    // ORDER: before the mount: who is killed behind that has told of it. Behind the file, which matters more where there is room for one.
    let marked = make(&mark);
    if !is_mounted {
        if let Err(errno) = mount_bind(format!("/proc/thread-self/fd/{}", namespace.as_raw_fd()), &at) {
            // A mark that stays keeps the record.
            let _ = fs::remove_file(&mark);
            return Err(failed_at(errno));
        }
    }
    let unmarked =
        |errno: Errno| Error::Io { what: format!("make {}", mark.display()), source: errno.into() };
    Ok(marked.err().map(unmarked))
}

/// The namespace that is held in a container's directory, if one is.
///
/// # Errors
/// Those of open(2) and fstatfs(2); and if it is mounted elsewhere only, as in another mount namespace.
pub fn held(dir: &Path) -> Result<Option<File>> {
    let at = dir.join(HELD);
    let what = || format!("network namespace at {}", at.display());
    let failed = |source| Error::Io { what: what(), source };
    let file = match File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&at) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let found = fstatfs(&file).map_err(|errno| failed(errno.into()))?;
    if u64::try_from(found.f_type).is_ok_and(|kind| kind == NSFS) {
        return Ok(Some(file));
    }
    if !dir.join(MOUNTED).try_exists().map_err(failed)? {
        return Ok(None);
    }
    let problem = "is not mounted in this mount namespace: delete the container where it is, or remove the file to give its devices up";
    Err(Error::wrong(what(), problem))
}

/// Lets it go; that none is held is no error. The file stays.
///
/// # Errors
/// Those of unlink(2) and umount2(2).
pub fn let_go(dir: &Path) -> io::Result<()> {
    // ORDER: before the unmounting: who comes behind a failure finds a file that says nothing.
    match fs::remove_file(dir.join(MOUNTED)) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed?,
    }
    match unmount(dir.join(HELD), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        done => Ok(done?),
    }
}
