//! A control group that is planned from the config: what the host does to make and limit it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libcontainer_cgroups::limits::{self, OnRefusal};
use libcontainer_cgroups::systemd::{Environment, whole_percents};
use libcontainer_cgroups::{Existing, Group, Layout, Place, Plan, Resources, Select};
use libcontainer_plan::{HostContext, HostStep, Probe};

use super::entry::{Entry, setup};
use super::mark::token;
use super::process_limit;
use super::unit::{self, Scope};
use crate::config::Cgroup;
use crate::error::{Error, Result, as_io, errno_of, named};
use crate::record::UnitRecord;
use crate::resctrl::ResctrlSteps;
use crate::setup::CgroupSetup;

/// What a config asks for.
#[derive(Debug)]
pub(crate) struct Planned {
    plan: Plan,
    /// The container's directory.
    dir: PathBuf,
    resources: Resources,
    /// The unit, if systemd makes the group.
    scope: Option<Scope>,
    environment: Arc<Environment>,
    /// Who may be refused all of it has asked for it.
    asked: Option<Asked>,
    /// A mount of the container's shows the group by its name.
    shown: bool,
    /// To whom it is given.
    owner: Option<u32>,
}

/// What an ordinary user has asked for by which a group is needed.
#[derive(Debug)]
enum Asked {
    ByPath,
    /// For a limit alone, of this kind.
    ForLimit(&'static str),
}

impl Asked {
    fn of(config: &Cgroup) -> Option<Self> {
        let limit = || config.limits(false).ok().and_then(|limits| a_kind(&limits)).map(Self::ForLimit);
        if config.path.as_os_str().is_empty() { limit() } else { Some(Self::ByPath) }
    }

    /// What a refusal means. The first words are runc's.
    fn explain(&self, error: io::Error) -> io::Error {
        let words = match errno_of(&error) {
            Some(libc::EROFS) => "read-only file system",
            Some(libc::EACCES | libc::EPERM) => "permission denied",
            _ => return error,
        };
        let (what, without) = match self {
            Self::ByPath => (
                format!("unable to apply cgroup configuration: {words}"),
                "leave the path out (cgroupsPath), and limits",
            ),
            Self::ForLimit(kind) => (
                format!("cannot set {kind} limit: container could not join or create cgroup"),
                "leave the limits out",
            ),
        };
        let help = "have a directory above it delegated to the user (systemd: Delegate=yes)";
        named(format!("{what}: this user may not make it: {help}, or {without}"), error)
    }
}

/// A kind of limit that is set.
fn a_kind(limits: &Resources) -> Option<&'static str> {
    let kinds = [
        ("pids", limits.pids.is_some()),
        ("memory", limits.memory.is_some()),
        ("cpu", limits.cpu.is_some()),
        ("io", limits.block_io.is_some()),
    ];
    let found = kinds.iter().find_map(|(kind, is_set)| is_set.then_some(*kind));
    found.or_else(|| (*limits != Resources::default()).then_some("control group"))
}

/// The host steps for a group.
#[derive(Debug, Default)]
pub(crate) struct GroupSteps {
    /// Right after the record, before there is an init.
    pub(crate) before: Vec<HostStep>,
    /// With an init that waits.
    pub(crate) born: Vec<HostStep>,
}

impl Planned {
    /// Looks where the group would be, and whether what is asked for can be. Makes nothing.
    pub(crate) fn new(
        config: &Cgroup,
        (id, dir): (&str, &Path),
        layout: &Layout,
        environment: Arc<Environment>,
        probe: &Probe,
    ) -> Result<Self> {
        let failed = |error| Error::cgroup(format!("control group of {id:?}"), error);
        let mut asked = None;
        let (mut scope, plan) = if config.systemd {
            let (scope, plan) = Scope::new(config, id, dir, layout, &environment)?;
            (Some(scope), plan)
        } else {
            let path = config.group_path(id).map_err(failed)?;
            // Root is refused nothing for want of rights: what is refused is not left out in silence.
            let select = if probe.is_root() { Select::All } else { Select::Usable };
            let mut plan = Plan::new(layout, &path, &select).map_err(failed)?;
            asked = (probe.euid != 0).then(|| Asked::of(config)).flatten();
            asked.iter().for_each(|_| plan.require());
            (None, plan)
        };
        // Without a hierarchy for it, a filter that nobody asked for is none.
        let possible =
            plan.paths().contains_key("devices") || plan.places().iter().any(|place| place.unified);
        let may = probe.is_root();
        let mut resources = config.limits(possible && may).map_err(failed)?;
        if let Some(scope) = &mut scope {
            resources = whole_percents(resources);
            scope.limit(&resources).map_err(failed)?;
        }
        let dir = dir.to_owned();
        Ok(Self { plan, dir, resources, scope, environment, asked, shown: false, owner: None })
    }

    /// With the group's path in the setup.
    pub(crate) fn showing(self, shown: bool) -> Self {
        Self { shown, ..self }
    }

    /// Given to a user, as the container is to make groups below it.
    pub(crate) fn given_to(self, owner: Option<u32>) -> Self {
        Self { owner, ..self }
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
        let places = self.plan.places().iter().filter(|_| self.shown);
        let shown = places.map(|place| (place.mountpoint.clone(), place.below.clone())).collect();
        // Into a scope the init is moved.
        if self.scope.is_some() {
            CgroupSetup { moved: true, shown, ..CgroupSetup::default() }
        } else {
            CgroupSetup { shown, ..setup(self.plan.places()) }
        }
    }

    /// The host steps: make, limit, filter. `noted` writes down where the group is to be, if that has changed, and `made` is told where it is.
    pub(crate) fn steps(
        self,
        entry: &Arc<Entry>,
        noted: impl Fn(&[Place]) -> io::Result<()> + Send + 'static,
        made: impl FnOnce(&Group) + Send + 'static,
    ) -> GroupSteps {
        let below = self.plan.places().first().map(|place| place.below.clone()).unwrap_or_default();
        let (scoped, text, make) = (self.scope.is_some(), make_text(&below), Arc::clone(entry));
        let undone = Arc::clone(entry);
        // A scope is made with its first process in it: by systemd where that has controllers, by us in the other hierarchies.
        let existing = if scoped { Existing::Adopt } else { Existing::Refuse };
        let (mut plan, dir, owner, asked) = (self.plan, self.dir, self.owner, self.asked);
        let has_limits = self.resources != Resources::default();
        let paths = if scoped { Vec::new() } else { setup(plan.places()).tasks };
        let mut steps: Vec<_> =
            self.scope.map(|scope| start_step(scope, self.environment)).into_iter().collect();
        let run = move |context: &mut HostContext| {
            let token = token(&dir)?;
            plan.mark(token.clone());
            let group = make_group(&mut plan, existing, &noted)?;
            let group = group.map_err(|error| make.note_left(error, token));
            let group =
                group.map_err(|error| asked.iter().fold(error, |error, asked| asked.explain(error)))?;
            make.note_made(group.places());
            made(&group);
            owner.map_or(Ok(()), |uid| group.give(uid)).map_err(as_io)?;
            let entered = if scoped {
                enter(&group, context.pid()?)
            } else {
                process_limit::check_move(&group, make.processes)
            };
            entered.map_err(as_io).and_then(|()| make.keep(group, &paths, has_limits))
        };
        steps.push(HostStep::guarded(text, UNDO, run, move || undone.take_back()));
        if has_limits {
            let (resources, limit) = (self.resources, Arc::clone(entry));
            steps.push(HostStep::new(limits_text(&resources), "", move |_| {
                limits::update(&limit.take_group()?, &resources, OnRefusal::Leave).map_err(as_io)?;
                Ok(None)
            }));
        }
        GroupSteps::new(scoped, steps)
    }
}

impl GroupSteps {
    /// With the steps for a class of resctrl behind them.
    pub(crate) fn and(mut self, other: ResctrlSteps) -> Self {
        self.before.extend(other.before);
        self.born.extend(other.born);
        self
    }

    pub(super) fn new(scoped: bool, steps: Vec<HostStep>) -> Self {
        let (before, born) = if scoped { (Vec::new(), steps) } else { (steps, Vec::new()) };
        Self { before, born }
    }
}

/// How often a plan is renewed.
const RENEWALS: u32 = 16;

/// Makes the group. An error of its own is one of `noted`, or of a look.
fn make_group(
    plan: &mut Plan,
    existing: Existing,
    noted: &dyn Fn(&[Place]) -> io::Result<()>,
) -> io::Result<libcontainer_cgroups::Result<Group>> {
    let mut again = 0..RENEWALS;
    loop {
        let spare = plan.clone();
        match std::mem::replace(plan, spare).make(existing) {
            // RACE: the last group below a directory that was there has gone, and the directory with it.
            Err(error) if error.is_gone() && again.next().is_some() => {}
            made => return Ok(made),
        }
        if plan.renew().map_err(as_io)? {
            noted(plan.places())?;
        }
    }
}

/// Gives a group that is there to a user.
pub(crate) fn give_step(places: Vec<Place>, uid: u32) -> HostStep {
    HostStep::new(format!("give the control group to user {uid}"), "", move |_| {
        Group::open(&places).and_then(|group| group.give(uid)).map_err(as_io)?;
        Ok(None)
    })
}

fn start_step(mut scope: Scope, environment: Arc<Environment>) -> HostStep {
    let (text, record) = (scope.text(), scope.record.clone());
    let start = move |context: &mut HostContext| scope.start(context.pid()?).map_err(as_io);
    HostStep::guarded(text, unit::STOP, start, move || unit::stop(&record, &environment).map_err(as_io))
}

/// Moves the init into the hierarchies in which systemd has not.
fn enter(group: &Group, pid: libcontainer_plan::Pid) -> libcontainer_cgroups::Result<()> {
    libcontainer_cgroups::Pid::new(pid.as_raw()).and_then(|pid| group.attach(pid))
}

pub(super) const UNDO: &str = "kill what is in it and remove it";

pub(super) fn make_text(path: &Path) -> String {
    format!("make control group {}", path.display())
}

/// The limits as `explain` shows them; of the device filter only its length.
pub(super) fn limits_text(resources: &Resources) -> String {
    let rules = resources.devices.len();
    // Only to be shown; plain data can always be written.
    let json = serde_json::to_string(&Resources { devices: Vec::new(), ..resources.clone() });
    format!("set limits {} and {rules} device rules", json.unwrap_or_default())
}
