//! The control group of a container: planned from the config, made and limited by the host, entered by the init.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libcontainer_cgroups::limits::{self, OnRefusal};
use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::{Dir, Existing, Group, Layout, Place, Plan, Resources, Select};
use libcontainer_plan::HostStep;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::compile::CgroupSetup;
use crate::config::Cgroup;
use crate::error::{Error, Result};

/// How long a group may take to get empty.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a config asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    plan: Plan,
    resources: Resources,
}

/// A group on its way, shared by the steps that make it.
#[derive(Debug, Default)]
pub(crate) struct Making {
    group: Mutex<Option<Arc<Group>>>,
    tasks: Mutex<Option<BTreeMap<PathBuf, OwnedFd>>>,
}

impl Wanted {
    /// Looks where the group would be, and whether what is asked for can be. Makes nothing.
    pub(crate) fn new(config: &Cgroup, id: &str, layout: &Layout) -> Result<Self> {
        let failed = |error| Error::cgroup(format!("control group of {id:?}"), error);
        let plan =
            Plan::new(layout, &config.group_path(id).map_err(failed)?, &Select::Usable).map_err(failed)?;
        // Without a hierarchy for it, a filter that nobody asked for is none.
        let possible =
            plan.paths().contains_key("devices") || plan.places().iter().any(|place| place.unified);
        let resources = config.limits(possible && nix::unistd::geteuid().is_root()).map_err(failed)?;
        Ok(Self { plan, resources })
    }

    /// The group in each hierarchy, for the record.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.plan.places().to_vec()
    }

    pub(crate) fn setup(&self) -> CgroupSetup {
        setup(self.plan.places())
    }

    /// The host steps: make, limit, filter. `made` is told where the group is.
    pub(crate) fn steps(
        self,
        making: &Arc<Making>,
        made: impl FnOnce(&Group) + Send + 'static,
    ) -> Vec<HostStep> {
        let (make, limit) = (Arc::clone(making), Arc::clone(making));
        let below = self.plan.places().first().map(|place| place.below.clone()).unwrap_or_default();
        let text = make_text(&below);
        let plan = self.plan;
        let mut steps = vec![HostStep::new(text, UNDO, move |_| {
            let group = Arc::new(plan.make(Existing::Refuse).map_err(as_io)?);
            made(&group);
            make.group().replace(Arc::clone(&group));
            Ok(Some(Box::new(move || group.destroy(PATIENCE).map_err(as_io))))
        })];
        if self.resources != Resources::default() {
            let resources = self.resources;
            steps.push(HostStep::new(limits_text(&resources), "", move |_| {
                limits::update(&*limit.made()?, &resources, OnRefusal::Leave).map_err(as_io)?;
                Ok(None)
            }));
        }
        steps
    }
}

/// What a plan that is only shown needs to know: by the layout, without a look at the directories.
pub(crate) fn described(config: &Cgroup, id: &str, layout: &Layout) -> Result<(CgroupSetup, Vec<HostStep>)> {
    let failed = |error| Error::cgroup(format!("control group of {id:?}"), error);
    let path = config.group_path(id).map_err(failed)?;
    let mut steps = vec![HostStep::new(make_text(path.as_path()), UNDO, |_| Ok(None))];
    let resources = config.limits(true).map_err(failed)?;
    if resources != Resources::default() {
        steps.push(HostStep::new(limits_text(&resources), "", |_| Ok(None)));
    }
    let mut setup = CgroupSetup::default();
    for hierarchy in layout.all() {
        let Ok(below) = path.below_mount(hierarchy) else { continue };
        let directory = hierarchy.mountpoint.join(below);
        match hierarchy.version {
            Version::V2 => setup.unified = Some(directory),
            Version::V1 => setup.tasks.push(directory.join("tasks")),
        }
    }
    Ok((setup, steps))
}

const UNDO: &str = "kill what is in it and remove it";

fn make_text(path: &Path) -> String {
    format!("make control group {}", path.display())
}

/// How a process gets into the group at `places`.
pub(crate) fn setup(places: &[Place]) -> CgroupSetup {
    let v1 = places.iter().filter(|place| !place.unified);
    CgroupSetup {
        tasks: v1.map(|place| place.path().join("tasks")).collect(),
        unified: places.iter().find(|place| place.unified).map(Place::path),
    }
}

/// The limits as `explain` shows them; of the device filter only its length.
fn limits_text(resources: &Resources) -> String {
    let rules = resources.devices.len();
    let json = serde_json::to_string(&Resources { devices: Vec::new(), ..resources.clone() });
    format!("set limits {} and {rules} device rules", json.unwrap_or_default())
}

impl Making {
    fn group(&self) -> MutexGuard<'_, Option<Arc<Group>>> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> io::Result<Arc<Group>> {
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
        OutOfMemory::new(self.group().as_deref()?)
    }

    /// The directory in version 2, unless that had to be left out.
    pub(crate) fn unified(&self) -> io::Result<Option<OwnedFd>> {
        unified(&*self.made()?)
    }
}

/// The directory of version 2, to be born into.
pub(crate) fn unified(group: &Group) -> io::Result<Option<OwnedFd>> {
    use std::os::fd::AsFd;
    group.unified().map(|dir| dir.as_fd().try_clone_to_owned()).transpose()
}

/// The `tasks` files of a group, by path.
pub(crate) fn open_tasks(group: &Group) -> libcontainer_cgroups::Result<BTreeMap<PathBuf, OwnedFd>> {
    let join = group.join_files()?;
    let v1 = group.places().iter().filter(|place| !place.unified);
    Ok(v1.map(|place| place.path().join("tasks")).zip(join.tasks).collect())
}

/// The count of kills for want of memory in one group, and what it was at first.
#[derive(Debug)]
pub(crate) struct OutOfMemory {
    dir: Arc<Dir>,
    file: &'static str,
    before: u64,
}

impl OutOfMemory {
    pub(crate) fn new(group: &Group) -> Option<Self> {
        let (dir, version) = group.controller("memory")?;
        let file = if version == Version::V1 { "memory.oom_control" } else { "memory.events" };
        let before = kills(&dir.read(file).ok()?);
        Some(Self { dir: Arc::clone(dir), file, before })
    }

    /// Whether there were more since.
    pub(crate) fn has_killed(&self) -> bool {
        // The group may be gone, with everything in it: then nobody knows.
        self.dir.read(self.file).is_ok_and(|text| kills(&text) > self.before)
    }
}

fn kills(text: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    found.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The error of a host step.
pub(crate) fn as_io(error: libcontainer_cgroups::Error) -> io::Error {
    let kind = error.errno().map_or(io::ErrorKind::Other, |errno| io::Error::from_raw_os_error(errno).kind());
    io::Error::new(kind, error)
}
