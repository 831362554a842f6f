//! The host's part of making a container: its steps, each with its undo.

use libcontainer_plan::wire::signed;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use libcontainer_network::NetworkState;
use libcontainer_plan::{HostContext, HostStep, Lane, Pid, Plan};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::cgroup::{self, GroupSteps};
use crate::compile::{HostSteps, IdMapSetup, Setup, StartSetup};
use crate::config::{Config, NamespaceKind};
use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::factory::Factory;
use crate::idmap;
use crate::readback::{self, Expected};
use crate::state::{self, Intent, State, Status};
use crate::store::{self, Lock, Store};

/// A container on its way, shared by the steps that make it.
#[derive(Debug)]
pub(crate) struct Making {
    path: PathBuf,
    expected: Expected,
    inner: Mutex<Inner>,
    /// The control group.
    pub(crate) group: Arc<cgroup::Making>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    store: Option<Arc<Store>>,
    lock: Option<Lock>,
    look: Option<readback::Prepared>,
}

impl Making {
    pub(crate) fn new(
        path: &Path,
        config: &Config,
        setup: &Setup,
        id: &str,
        tamper: impl FnOnce(&mut Expected),
    ) -> Arc<Self> {
        let mut expected = expected(config, setup);
        tamper(&mut expected);
        let created = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let mut intent = vec![Intent::Process];
        intent.extend(setup.keyring.clone().map(Intent::Keyring));
        let state = State {
            id: id.to_owned(),
            boot_id: boot_id().to_owned(),
            created: created.map_or(0, |time| time.as_secs()),
            intent,
            config: config.clone(),
            ..State::default()
        };
        let inner = Mutex::new(Inner { state, ..Inner::default() });
        let group = Arc::new(cgroup::Making::new(crate::compile::processes(setup)));
        Arc::new(Self { path: path.to_owned(), expected, inner, group })
    }

    /// Notes what the network will consist of, for the record.
    pub(crate) fn note_network(&self, state: NetworkState) {
        self.inner().state.network_state = state;
    }

    /// The steps for a control group, which come right after the record, or when the init waits.
    pub(crate) fn group_steps(self: &Arc<Self>, wanted: cgroup::Wanted) -> GroupSteps {
        let mut inner = self.inner();
        inner.state.set_places(wanted.places());
        inner.state.intent.extend(wanted.unit().map(Intent::Unit));
        drop(inner);
        let making = Arc::clone(self);
        wanted.steps(&self.group, move |group| making.inner().state.set_places(group.places().to_vec()))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> io::Result<Arc<Store>> {
        self.inner().store.clone().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    /// The host steps, ready to be run.
    pub(crate) fn steps(self: &Arc<Self>, setup: &Setup, group: GroupSteps) -> HostSteps {
        let waits = setup.start == StartSetup::Wait;
        let (claim, note) = (Arc::clone(self), Arc::clone(self));
        let mut before = vec![
            HostStep::new(format!("mkdir {}", self.path.display()), "remove it", move |_| claim.claim())
                .last_undo(),
            HostStep::new("write state.json (creating)", "", move |_| note.note().map(|()| None)),
        ];
        before.extend(group.before);
        if waits {
            let files = Arc::clone(self);
            before.push(HostStep::new("make the start pipe and the board", "", move |_| {
                files.make_files().map(|()| None)
            }));
        }
        let (check, done) = (Arc::clone(self), if waits { Status::Created } else { Status::Running });
        let name = if waits { "created" } else { "running" };
        let (next, look) = (Arc::clone(self), Arc::clone(self));
        // ORDER: while the init builds the container, the host does what needs not wait for that. Nobody sees the record before the
        // lock is let go; if this process is killed before it releases the init, that leaves, and the record says who it was.
        let meanwhile = vec![
            HostStep::new(format!("write state.json ({name})"), "", move |context| {
                next.note_init(context, done).map(|()| None)
            }),
            HostStep::new("look at the own namespaces", "", move |context| {
                look.inner().look = Some(readback::prepare(context.pid()?, &look.expected)?);
                Ok(None)
            }),
        ];
        let ready =
            vec![HostStep::new("read back ids, capabilities and namespaces of the init", "", move |_| {
                check.read_back().map(|()| None)
            })];
        let mut born = born(setup);
        born.extend(group.born);
        HostSteps { before, born, meanwhile, ready }
    }

    /// Claims the directory and locks it until the container is made or gone.
    fn claim(self: &Arc<Self>) -> io::Result<Option<libcontainer_plan::Undo>> {
        let (store, lock) = Store::claim(&self.path)?;
        let mut inner = self.inner();
        inner.lock = Some(lock);
        let undo = Arc::clone(inner.store.insert(Arc::new(store)));
        Ok(Some(Box::new(move || undo.remove())))
    }

    fn note(&self) -> io::Result<()> {
        let store = self.store()?;
        store.write(&self.inner().state).map(drop)
    }

    fn note_init(&self, context: &HostContext, status: Status) -> io::Result<()> {
        let pid = context.pid()?;
        let store = self.store()?;
        let mut inner = self.inner();
        inner.state.init_pid = pid.as_raw();
        inner.state.init_start_time = start_time(pid)?;
        inner.state.status = status;
        store.write(&inner.state).map(drop)
    }

    fn read_back(&self) -> io::Result<()> {
        let look = self.inner().look.take().ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        readback::check(&look, &self.expected, self.inner().state.places())
    }

    fn make_files(&self) -> io::Result<()> {
        let store = self.store()?;
        nix::sys::stat::mknodat(
            store.dir(),
            store::START,
            nix::sys::stat::SFlag::S_IFIFO,
            Mode::S_IRUSR | Mode::S_IWUSR,
            0,
        )?;
        Ok(())
    }

    /// The pipe on which the init waits: open for both, so that it neither blocks nor ends when a writer goes away.
    pub(crate) fn open_start(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        Ok(openat(self.store()?.dir(), store::START, flags, Mode::empty())?)
    }

    pub(crate) fn open_board(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(self.store()?.dir(), store::BOARD, flags, Mode::S_IRUSR | Mode::S_IWUSR)?)
    }

    /// Keeps the texts of the steps behind the start, for the error of a start in another process.
    pub(crate) fn keep_steps(&self, plan: &Plan) {
        let steps = plan.steps(Lane::Child).rev();
        // From the end, because rendering all of them would take longer than the start's own steps.
        let late = steps.take_while(|step| step.purpose != "wait for the start");
        let mut texts: Vec<_> =
            late.map(|step| (step.index, format!("{}: {}", step.purpose, step.call))).collect();
        texts.reverse();
        self.inner().state.start_steps = texts;
    }

    /// The finished container; lets the lock go.
    pub(crate) fn finish(&self, factory: Factory) -> Result<Container> {
        let mut inner = self.inner();
        let lost = || Error::new(ErrorKind::WrongState, "the container's directory is gone");
        let store = inner.store.take().ok_or_else(lost)?;
        inner.lock = None;
        Ok(Container::from_parts(store, Arc::new(std::mem::take(&mut inner.state)), factory))
    }
}

/// Steps for an init that was just born.
fn born(setup: &Setup) -> Vec<HostStep> {
    let mut steps = Vec::new();
    if let Some(maps) = setup.id_maps.clone() {
        let text = format!("map {}", describe(&maps));
        steps
            .push(HostStep::new(text, "", move |context| idmap::write(context.pid()?, &maps).map(|()| None)));
    }
    if let Some(score) = setup.oom_score_adj {
        steps.push(oom_step(score));
    }
    steps
}

pub(crate) fn oom_step(score: i32) -> HostStep {
    HostStep::new(format!("write oom_score_adj {score}"), "", move |context| {
        let proc = idmap::process_dir(context.pid()?)?;
        idmap::write_file(&proc, "oom_score_adj", &score.to_string()).map(|()| None)
    })
}

fn describe(maps: &IdMapSetup) -> String {
    let lines = |lines: &[[u32; 3]]| {
        lines.iter().map(|line| format!("{}:{}:{}", line[0], line[1], line[2])).collect::<Vec<_>>().join(",")
    };
    format!("users {} groups {}", lines(&maps.uids), lines(&maps.gids))
}

/// The same steps for a plan that is only shown.
pub(crate) fn described(setup: &Setup, group: GroupSteps) -> HostSteps {
    let making = Making::new(Path::new("DIR"), &Config::default(), setup, "ID", |_| {});
    making.steps(setup, group)
}

/// What the host wants to read back.
fn expected(config: &Config, setup: &Setup) -> Expected {
    let identity = &setup.process.identity;
    let confinement = &setup.process.confinement;
    let joined_user = setup.namespaces.joins(libc::CLONE_NEWUSER);
    let outside = |id: u32, maps: fn(&IdMapSetup) -> &[[u32; 3]]| {
        let mapped = |[inside, outside, count]: &[u32; 3]| {
            (id >= *inside && id - inside < *count).then(|| outside + (id - inside))
        };
        match &setup.id_maps {
            Some(all) => maps(all).iter().find_map(mapped),
            None => Some(id).filter(|_| !joined_user),
        }
    };
    let group = |id: &u32| outside(*id, |maps| &maps.gids);
    let groups: Option<Vec<u32>> = identity.groups.iter().map(group).collect();
    let known =
        |kind: &NamespaceKind| *kind != NamespaceKind::Time && setup.namespaces.has(signed(kind.flag()));
    Expected {
        uid: outside(identity.uid, |maps| &maps.uids),
        gid: group(&identity.gid),
        groups: groups.filter(|_| !identity.setgroups_denied && !joined_user).map(sorted),
        capabilities: [
            confinement.inheritable,
            confinement.permitted,
            confinement.effective,
            confinement.bounding,
            confinement.ambient,
        ],
        no_new_privs: confinement.no_new_privs,
        namespaces: namespaces(config, known),
        ..Expected::default()
    }
}

fn namespaces(config: &Config, known: impl Fn(&NamespaceKind) -> bool) -> Vec<(String, bool)> {
    let new = |kind: &NamespaceKind| config.namespaces.is_new(*kind) && known(kind);
    let shared = |kind: &NamespaceKind| !config.namespaces.contains(*kind);
    let kinds = NamespaceKind::ALL.into_iter().filter(|kind| new(kind) || shared(kind));
    kinds.map(|kind| (kind.file().to_owned(), new(&kind))).collect()
}

fn sorted(mut groups: Vec<u32>) -> Vec<u32> {
    groups.sort_unstable();
    groups
}

/// The start time of a process, as its record has it.
pub(crate) fn start_time(pid: Pid) -> io::Result<String> {
    let mut stat = Vec::with_capacity(1024);
    std::fs::File::open(format!("/proc/{pid}/stat"))?.take(4096).read_to_end(&mut stat)?;
    state::start_time(&stat).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: no start time")))
}

/// The running boot; empty if the kernel does not tell.
pub(crate) fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        text.map(|id| id.trim().to_owned()).unwrap_or_default()
    })
}
