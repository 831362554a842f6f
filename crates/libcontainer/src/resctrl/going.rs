//! Into a class, and its end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libcontainer_cgroups::{mark_of, set_mark};
use libcontainer_plan::{HostStep, Pid};

use crate::error::named;
use crate::record::ResctrlGroup;

/// Moves the init into these groups, and with it all that it starts.
pub(crate) fn enter(groups: &[ResctrlGroup]) -> Option<HostStep> {
    let last = groups.last()?;
    let (text, groups) = (format!("move the init into resctrl {}", last.path.display()), groups.to_vec());
    Some(HostStep::new(text, "", move |context| {
        let pid = context.pid()?;
        groups.iter().try_for_each(|group| put(group, pid)).map(|()| None)
    }))
}

fn put(group: &ResctrlGroup, pid: Pid) -> io::Result<()> {
    let path = group.path.join(&group.tasks);
    let written = File::options()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(pid.to_string().as_bytes()));
    written.map_err(|error| named(format!("write {pid} to {}", path.display()), error))
}

/// Removes those that were made for the container. Who is still in one goes to the class of everybody else, by the kernel.
/// `token` is that of the container's marks.
pub(crate) fn remove(groups: &[ResctrlGroup], token: impl Fn() -> io::Result<Vec<u8>>) -> Vec<io::Error> {
    // ORDER: a group that measures lies in its class.
    groups.iter().rev().filter(|group| group.made).filter_map(|group| gone(group, &token).err()).collect()
}

/// Says of a directory whose it is, by an extended attribute that no container can set.
pub(super) fn mark(path: &Path, token: &[u8]) -> io::Result<()> {
    let marked = File::open(path).and_then(|dir| set_mark(dir, token));
    match marked {
        // Then it is known by its inode, as soon as the record has that.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        marked => marked.map_err(|error| named(format!("mark {}", path.display()), error)),
    }
}

fn gone(group: &ResctrlGroup, token: impl Fn() -> io::Result<Vec<u8>>) -> io::Result<()> {
    let failed = |call: &str| {
        let what = format!("{call} {}", group.path.display());
        move |error| named(what, error)
    };
    let found = match fs::symlink_metadata(&group.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed("lstat"))?,
    };
    match group.inode {
        // Another one of that name, made since.
        Some(inode) if inode != found.ino() => return Ok(()),
        Some(_) => {}
        // RACE: killed behind mkdir, or before it while somebody else has made one of that name.
        None => match File::open(&group.path).and_then(mark_of).map_err(failed("read the mark of"))? {
            Some(mark) if mark == token()? => {}
            // Another container's.
            Some(_) => return Ok(()),
            None => {
                let text = "nothing says whether it was made for this container: rmdir it if so";
                return Err(failed("remove")(io::Error::other(text)));
            }
        },
    }
    rmdir(&group.path)
}

/// No error if it is not there.
pub(super) fn rmdir(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| named(format!("rmdir {}", path.display()), error)),
    }
}
