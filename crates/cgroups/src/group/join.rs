//! Getting processes into a group.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::OFlag;

use super::{Group, Pid};
use crate::error::{Error, Result};

/// What a process that is about to be needs, so as to be in the group before its first instruction.
#[derive(Debug)]
pub struct Join {
    /// Version 1: the `tasks` file of each hierarchy, open for writing. A process with a single thread writes `0` to each.
    /// That moves only the thread that writes and therefore waits for nobody, unlike `cgroup.procs`, which takes milliseconds
    /// after a quiet moment.
    pub tasks: Vec<OwnedFd>,
    /// Version 2: the directory, for clone3(2) with `CLONE_INTO_CGROUP`.
    pub unified: Option<OwnedFd>,
}

impl Group {
    /// Opens what a new process needs for joining (openat2 per version 1 hierarchy, fcntl for version 2).
    ///
    /// # Errors
    /// [`Error::Read`] with the file that can't be opened, [`Error::Directory`].
    pub fn join_files(&self) -> Result<Join> {
        let tasks = self.tasks().map(|file| file.map(|(_, file)| file)).collect::<Result<_>>()?;
        let unified = self.nodes.iter().find(|node| node.place.unified).map(|node| {
            node.dir.has("cgroup.procs")?;
            Ok(node.dir.again()?.into())
        });
        Ok(Join { tasks, unified: unified.transpose()? })
    }

    /// The `tasks` files of [`Join`] with their paths, each opened when it is asked for: for who needs one after the other.
    pub fn tasks(&self) -> impl Iterator<Item = Result<(PathBuf, OwnedFd)>> {
        self.nodes.iter().filter(|node| !node.place.unified).map(|node| {
            let file = node.dir.file("tasks", OFlag::O_WRONLY)?;
            Ok((node.place.path().join("tasks"), file))
        })
    }

    /// Moves a running process with all its threads into the group by `cgroup.procs`, hierarchy by hierarchy.
    ///
    /// Takes milliseconds per hierarchy after a quiet moment, since the kernel waits for all processors; see [`Join`].
    ///
    /// # Errors
    /// [`Error::Write`]: ESRCH when there is no such process, EACCES without permission over both groups. On error the
    /// process may be in some hierarchies' group already.
    pub fn attach(&self, pid: Pid) -> Result<()> {
        for node in self.present()? {
            node.dir.write("cgroup.procs", &pid.to_string()).map_err(explain)?;
        }
        Ok(())
    }
}

fn explain(mut error: Error) -> Error {
    if let Error::Write { source, hint, .. } = &mut error {
        let text = match source.raw_os_error() {
            Some(libc::EBUSY) => "; the group gives controllers to groups below it and so takes no processes",
            Some(libc::EOPNOTSUPP) => "; the group is threaded",
            Some(libc::ENOSPC) => "; cpuset.cpus or cpuset.mems of the group is empty",
            Some(libc::ESRCH) => "; no such process",
            _ => return error,
        };
        text.clone_into(hint);
    }
    error
}
