//! The control group of a container: planned from the config, made and limited by the host, entered by the init.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libcontainer_cgroups::limits::{self, OnRefusal};
use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::systemd::Environment;
use libcontainer_cgroups::{Dir, Existing, Group, GroupPath, Layout, Place, Plan, Resources, Select};
use libcontainer_plan::{HostStep, Probe};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::compile::CgroupSetup;
use crate::config::Cgroup;
use crate::error::{Error, Result};
use crate::room;
use crate::scope::{self, Scope, UnitRecord};

/// How long a group may take to get empty.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a config asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    plan: Plan,
    resources: Resources,
    /// The unit, if systemd makes the group.
    scope: Option<Scope>,
    environment: Arc<Environment>,
}

/// The host steps for a group.
#[derive(Debug, Default)]
pub(crate) struct GroupSteps {
    /// Right after the record, before there is an init.
    pub(crate) before: Vec<HostStep>,
    /// With an init that waits.
    pub(crate) born: Vec<HostStep>,
}

/// A group on its way, shared by the steps that make it.
#[derive(Debug, Default)]
pub(crate) struct Making {
    group: Mutex<Option<Arc<Group>>>,
    tasks: Mutex<Option<BTreeMap<PathBuf, OwnedFd>>>,
    /// How many processes the start needs at once.
    processes: u64,
    /// The limit of processes that was reached when the start failed.
    full: Mutex<Option<libcontainer_cgroups::Error>>,
}

impl Wanted {
    /// Looks where the group would be, and whether what is asked for can be. Makes nothing.
    pub(crate) fn new(
        config: &Cgroup,
        (id, dir): (&str, &Path),
        layout: &Layout,
        environment: Arc<Environment>,
        probe: &Probe,
    ) -> Result<Self> {
        let failed = |error| Error::cgroup(format!("control group of {id:?}"), error);
        let (mut scope, plan) = if config.systemd {
            let (scope, plan) = Scope::new(config, id, dir, layout, &environment)?;
            (Some(scope), plan)
        } else {
            let path = config.group_path(id).map_err(failed)?;
            (None, Plan::new(layout, &path, &Select::Usable).map_err(failed)?)
        };
        // Without a hierarchy for it, a filter that nobody asked for is none.
        let possible =
            plan.paths().contains_key("devices") || plan.places().iter().any(|place| place.unified);
        let may = probe.is_root();
        let resources = config.limits(possible && may).map_err(failed)?;
        if let Some(scope) = &mut scope {
            scope.limit(&resources).map_err(failed)?;
        }
        Ok(Self { plan, resources, scope, environment })
    }

    /// The unit, for the record.
    pub(crate) fn unit(&self) -> Option<UnitRecord> {
        self.scope.as_ref().map(|scope| scope.record.clone())
    }

    /// The group in each hierarchy, for the record.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut places = self.plan.places().to_vec();
        if self.scope.is_some() {
            // What is above a scope is mostly systemd's; what is not is known when it is made.
            places.iter_mut().for_each(|place| place.new = place.new.min(1));
        }
        places
    }

    pub(crate) fn setup(&self) -> CgroupSetup {
        // Into a scope the init is moved.
        if self.scope.is_some() { CgroupSetup::default() } else { setup(self.plan.places()) }
    }

    /// The host steps: make, limit, filter. `made` is told where the group is.
    pub(crate) fn steps(
        self,
        making: &Arc<Making>,
        made: impl FnOnce(&Group) + Send + 'static,
    ) -> GroupSteps {
        let below = self.plan.places().first().map(|place| place.below.clone()).unwrap_or_default();
        let (scoped, text, make) = (self.scope.is_some(), make_text(&below), Arc::clone(making));
        let undone = Arc::clone(making);
        // A scope is made with its first process in it: by systemd where that has controllers, by us in the other hierarchies.
        let existing = if scoped { Existing::Adopt } else { Existing::Refuse };
        let plan = self.plan;
        let mut steps: Vec<_> =
            self.scope.map(|scope| start_step(scope, self.environment)).into_iter().collect();
        steps.push(HostStep::new(text, UNDO, move |context| {
            let group = Arc::new(plan.make(existing).map_err(as_io)?);
            made(&group);
            make.group().replace(Arc::clone(&group));
            let entered =
                if scoped { enter(&group, context.pid()?) } else { room::check_move(&group, make.processes) };
            entered.map_err(|error| unmade(&group, error))?;
            Ok(Some(Box::new(move || undone.unmake(&group))))
        }));
        if self.resources != Resources::default() {
            let (resources, limit) = (self.resources, Arc::clone(making));
            steps.push(HostStep::new(limits_text(&resources), "", move |_| {
                limits::update(&*limit.made()?, &resources, OnRefusal::Leave).map_err(as_io)?;
                Ok(None)
            }));
        }
        GroupSteps::new(scoped, steps)
    }
}

impl GroupSteps {
    fn new(scoped: bool, steps: Vec<HostStep>) -> Self {
        let (before, born) = if scoped { (Vec::new(), steps) } else { (steps, Vec::new()) };
        Self { before, born }
    }
}

fn start_step(mut scope: Scope, environment: Arc<Environment>) -> HostStep {
    HostStep::new(scope.text(), scope::STOP, move |context| {
        scope.start(context.pid()?, &environment).map_err(as_io)?;
        Ok(Some(Box::new(move || scope::stop(&scope.record, &environment).map_err(as_io))))
    })
}

/// Moves the init into the hierarchies in which systemd has not.
fn enter(group: &Group, pid: libcontainer_plan::Pid) -> libcontainer_cgroups::Result<()> {
    libcontainer_cgroups::Pid::new(pid.as_raw()).and_then(|pid| group.attach(pid))
}

/// Removes a group that can't be entered.
fn unmade(group: &Group, error: libcontainer_cgroups::Error) -> io::Error {
    match group.destroy(PATIENCE) {
        Ok(()) => as_io(error),
        Err(left) => as_io(libcontainer_cgroups::Error::Several(vec![error, left])),
    }
}

/// What a plan that is only shown needs to know: by the layout, without a look at the directories.
pub(crate) fn described(
    config: &Cgroup,
    id: &str,
    layout: &Layout,
    user: bool,
) -> Result<(CgroupSetup, GroupSteps)> {
    let failed = |error| Error::cgroup(format!("control group of {id:?}"), error);
    let mut steps = Vec::new();
    let path = if config.systemd {
        let placement = scope::placement(config, id, user).map_err(failed)?;
        scope::further(config).map_err(failed)?;
        steps.push(HostStep::new(scope::start_text(&placement), scope::STOP, |_| Ok(None)));
        GroupPath::new(Path::new("/").join(placement.path())).map_err(failed)?
    } else {
        config.group_path(id).map_err(failed)?
    };
    steps.push(HostStep::new(make_text(path.as_path()), UNDO, |_| Ok(None)));
    let resources = config.limits(true).map_err(failed)?;
    if resources != Resources::default() {
        steps.push(HostStep::new(limits_text(&resources), "", |_| Ok(None)));
    }
    let steps = GroupSteps::new(config.systemd, steps);
    let mut setup = CgroupSetup::default();
    if config.systemd {
        return Ok((setup, steps));
    }
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
    /// For a start that has so many processes at once.
    pub(crate) fn new(processes: u64) -> Self {
        Self { processes, ..Self::default() }
    }

    /// Takes the group away again. Its limits go with it: what they say of the failure is kept.
    fn unmake(&self, group: &Group) -> io::Result<()> {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = room::limit_of(group, self.processes);
        group.destroy(PATIENCE).map_err(as_io)
    }

    /// The limit of processes that was reached when the group was taken away.
    pub(crate) fn full(&self) -> Option<libcontainer_cgroups::Error> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

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
        // RACE: the program may have been killed by now, and the group is new: it has counted nothing else.
        Some(OutOfMemory { before: 0, ..OutOfMemory::new(self.group().as_deref()?)? })
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
