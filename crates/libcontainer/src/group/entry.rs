//! The way of an init into the control group of its container.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libcontainer_cgroups::{Group, Place};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::process_limit;
use crate::error::as_io;
use crate::process::OutOfMemory;
use crate::setup::CgroupSetup;

/// How long a group may take to get empty.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A group on its way, shared by the steps that make it.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    group: Mutex<Option<Arc<Group>>>,
    tasks: Mutex<Option<BTreeMap<PathBuf, OwnedFd>>>,
    /// How many processes the start needs at once.
    pub(super) processes: u64,
    /// The limit of processes that was reached when the start failed.
    full: Mutex<Option<libcontainer_cgroups::Error>>,
}

impl Entry {
    /// For a start that has so many processes at once.
    pub(crate) fn new(processes: u64) -> Self {
        Self { processes, ..Self::default() }
    }

    /// Takes the group away again. Its limits go with it: what they say of the failure is kept.
    pub(super) fn unmake(&self, group: &Group) -> io::Result<()> {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) =
            process_limit::limit_of(group, self.processes);
        group.destroy(PATIENCE).map_err(as_io)
    }

    /// The limit of processes that was reached when the group was taken away.
    pub(crate) fn full(&self) -> Option<libcontainer_cgroups::Error> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn group(&self) -> MutexGuard<'_, Option<Arc<Group>>> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn made(&self) -> io::Result<Arc<Group>> {
        self.group().clone().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    /// The `tasks` file at `path`; of a hierarchy that had to be left out, the null device, which takes what is written.
    pub(crate) fn tasks(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.is_none() {
            *tasks = Some(open_tasks(&*self.made()?).map_err(as_io)?);
        }
        match tasks.as_mut().and_then(|tasks| tasks.remove(path)) {
            Some(file) => Ok(file),
            None => Ok(nix::fcntl::open("/dev/null", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?),
        }
    }

    /// The watch on its memory.
    pub(crate) fn memory(&self) -> Option<OutOfMemory> {
        OutOfMemory::of_new(self.group().as_deref()?)
    }

    /// The directory in version 2, unless that had to be left out.
    pub(crate) fn unified(&self) -> io::Result<Option<OwnedFd>> {
        unified(&*self.made()?)
    }
}

/// How a process gets into the group at `places`.
pub(crate) fn setup(places: &[Place]) -> CgroupSetup {
    let v1 = places.iter().filter(|place| !place.unified);
    CgroupSetup {
        tasks: v1.map(|place| place.path().join("tasks")).collect(),
        unified: places.iter().find(|place| place.unified).map(Place::path),
    }
}

/// The directory of version 2, to be born into.
pub(crate) fn unified(group: &Group) -> io::Result<Option<OwnedFd>> {
    group.unified().map(|dir| dir.as_fd().try_clone_to_owned()).transpose()
}

/// The `tasks` files of a group, by path.
pub(crate) fn open_tasks(group: &Group) -> libcontainer_cgroups::Result<BTreeMap<PathBuf, OwnedFd>> {
    let join = group.join_files()?;
    let v1 = group.places().iter().filter(|place| !place.unified);
    Ok(v1.map(|place| place.path().join("tasks")).zip(join.tasks).collect())
}
