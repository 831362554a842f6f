//! The way of an init into the control group of its container.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libcontainer_cgroups::{Dir, Group, Place};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::PATIENCE;
use super::mark::end_marked;
use super::process_limit;
use crate::error::as_io;
use crate::process::OutOfMemory;
use crate::setup::CgroupSetup;

/// A group on its way, shared by the steps that make it.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// How many processes the start needs at once.
    pub(super) processes: u64,
    /// What there is to be taken back.
    made: Mutex<Made>,
    /// What of the group is open. Not the group itself for longer than needed: that is a descriptor in each hierarchy.
    open: Mutex<Open>,
    /// The limit of processes that was reached when the start failed.
    full: Mutex<Option<libcontainer_cgroups::Error>>,
}

/// What was made.
#[derive(Debug, Default)]
enum Made {
    #[default]
    Nothing,
    /// The whole group.
    Group(Vec<Place>),
    /// A part that couldn't be taken back: why, and its mark.
    Part(String, Vec<u8>),
}

/// What a start holds of its group.
#[derive(Debug, Default)]
struct Open {
    group: Option<Group>,
    way_in: WayIn,
    memory: Option<OutOfMemory>,
}

/// How a process gets into a group.
#[derive(Debug, Default)]
pub(crate) struct WayIn {
    /// Version 1: the queue of `tasks` files.
    pub(crate) tasks: Option<OwnedFd>,
    /// Version 2: the directory.
    unified: Option<Arc<Dir>>,
}

impl WayIn {
    /// Into `group`, in the order of these hierarchies. A hierarchy that had to be left out has the null device, which takes what is written.
    pub(crate) fn open(group: &Group, hierarchies: &[PathBuf]) -> io::Result<Self> {
        let mut made = group.tasks().map(|file| file.map_err(as_io)).peekable();
        let files = hierarchies.iter().map(|hierarchy| {
            let is_next = |file: &io::Result<(PathBuf, OwnedFd)>| {
                file.as_ref().map_or(true, |(own, _)| own.starts_with(hierarchy))
            };
            match made.next_if(is_next) {
                Some(file) => file.map(|(_, file)| file),
                None => Ok(nix::fcntl::open("/dev/null", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?),
            }
        });
        let tasks = if hierarchies.is_empty() { None } else { Some(libcontainer_plan::queue(files)?) };
        Ok(Self { tasks, unified: group.unified().cloned() })
    }

    /// The directory in version 2 to be born into, unless that had to be left out.
    pub(crate) fn unified(self) -> io::Result<Option<OwnedFd>> {
        self.unified.map(|dir| dir.as_fd().try_clone_to_owned()).transpose()
    }
}

impl Entry {
    /// For a start that has so many processes at once.
    pub(crate) fn new(processes: u64) -> Self {
        Self { processes, ..Self::default() }
    }

    /// Takes what a start needs of a group that was made, and the group itself if it is needed once more.
    pub(super) fn keep(&self, group: Group, paths: &[PathBuf], once_more: bool) -> io::Result<()> {
        let mut open = self.open();
        open.way_in = WayIn::open(&group, paths)?;
        open.memory = OutOfMemory::of_new(&group);
        open.group = Some(group).filter(|_| once_more);
        Ok(())
    }

    /// The group that was kept.
    pub(super) fn take_group(&self) -> io::Result<Group> {
        self.open().group.take().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    /// Notes the group, which is to be taken away when the start fails.
    pub(super) fn note_made(&self, places: &[Place]) {
        *self.made() = Made::Group(places.to_vec());
    }

    /// Notes what the failure to make the group has left, if anything.
    pub(super) fn note_left(&self, error: libcontainer_cgroups::Error, token: Vec<u8>) -> io::Error {
        if matches!(error, libcontainer_cgroups::Error::NotRolledBack { .. }) {
            *self.made() = Made::Part(error.to_string(), token);
        }
        as_io(error)
    }

    /// Takes away what was made.
    pub(super) fn take_back(&self) -> io::Result<()> {
        match &*self.made() {
            Made::Nothing => Ok(()),
            Made::Group(places) => self.unmake(places),
            // Without marks it is still there: the record, which says where, has to stay.
            Made::Part(why, token) => match end_marked(token).map_err(as_io)? {
                true => Ok(()),
                false => Err(io::Error::other(why.clone())),
            },
        }
    }

    /// Takes the group at `places` away again. Its limits go with it: what they say of the failure is kept.
    fn unmake(&self, places: &[Place]) -> io::Result<()> {
        // ORDER: what is open may be just what there is too little of.
        drop(std::mem::take(&mut *self.open()));
        let group = Group::open(places).map_err(as_io)?;
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) =
            process_limit::limit_of(&group, self.processes);
        group.destroy(PATIENCE).map_err(as_io)
    }

    /// The limit of processes that was reached when the group was taken away.
    pub(crate) fn full(&self) -> Option<libcontainer_cgroups::Error> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The queue of `tasks` files.
    pub(crate) fn tasks(&self) -> io::Result<OwnedFd> {
        self.open().way_in.tasks.take().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    /// The directory in version 2, unless that had to be left out.
    pub(crate) fn unified(&self) -> io::Result<Option<OwnedFd>> {
        let unified = self.open().way_in.unified.take();
        WayIn { tasks: None, unified }.unified()
    }

    /// The watch on its memory.
    pub(crate) fn memory(&self) -> Option<OutOfMemory> {
        self.open().memory.take()
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a process gets into the group at `places`.
pub(crate) fn setup(places: &[Place]) -> CgroupSetup {
    let v1 = places.iter().filter(|place| !place.unified);
    CgroupSetup {
        tasks: v1.map(|place| place.mountpoint.clone()).collect(),
        unified: places.iter().any(|place| place.unified),
        moved: false,
        shown: Vec::new(),
    }
}

/// The same of a group that was made, with its path for mounts that show it.
pub(crate) fn setup_shown(places: &[Place]) -> CgroupSetup {
    let shown = places.iter().map(|place| (place.mountpoint.clone(), place.below.clone())).collect();
    CgroupSetup { shown, ..setup(places) }
}
