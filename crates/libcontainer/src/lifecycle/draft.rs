//! A container on its way: the record as far as it has come, and the host's steps that make it, each with its undo.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libcontainer_cgroups::Place;
use libcontainer_network::NetworkState;
use libcontainer_plan::{HostContext, HostStep, Pid};
use libcontainer_security::ReadBack;

use super::aim::Aim;
use super::born::born;
use super::readback::Expected;
use super::relabel::relabel_steps;
use super::under;
use crate::compile::HostSteps;
use crate::config::Config;
use crate::criu::Mark;
use crate::error::{Error, ErrorKind, Result, named};
use crate::group::{self, Entry, GroupSteps, Planned};
use crate::record::{AddedMount, Ahead, Idle, Intent, Lock, State, Status, Store, boot_id, start_time};
use crate::resctrl::{self, ResctrlSteps};
use crate::resolve;
use crate::setup::Setup;

/// A container on its way, shared by the steps that make it.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    inner: Mutex<Inner>,
    /// The control group.
    pub(super) group: Arc<Entry>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) state: State,
    expected: Expected,
    store: Option<Arc<Store>>,
    lock: Option<Lock>,
    /// By which it is taken again.
    idle: Option<Idle>,
    /// The directory was there before.
    is_anothers: bool,
    look: Option<ReadBack>,
    /// What the record is going to be, written while it stands by.
    ahead: Option<Ahead>,
    /// The record that this one takes the place of, held open: else the kernel frees its file then.
    before: Option<OwnedFd>,
    /// A hook was run.
    hooked: bool,
    /// Whether another process has destroyed the container while hooks ran; none as long as nobody has looked.
    destroyed: Option<bool>,
}

impl Inner {
    fn look_whether_it_stands(&mut self) {
        self.destroyed = Some(false);
        if let (Some(store), true) = (self.store.clone(), self.lock.is_none()) {
            // RACE: who destroys it meanwhile comes to an end first. Without a lock it is taken back all the same.
            self.lock = store.lock(true).ok();
            self.destroyed = Some(matches!(store.stands(), Ok(false)));
        }
    }
}

impl Draft {
    /// `processes` is how many the start has at once.
    pub(super) fn new(path: &Path, config: &Config, processes: u64, id: &str) -> Arc<Self> {
        let created = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let mut intent = vec![Intent::Process];
        intent.extend(resolve::keyring(config, id).map(Intent::Keyring));
        let state = State {
            id: id.to_owned(),
            // A clock that stands before 1970 says nothing: it is only shown.
            created: created.map_or(0, |time| time.as_secs()),
            intent,
            config: config.clone(),
            ..State::default()
        };
        let inner = Mutex::new(Inner { state, ..Inner::default() });
        let group = Arc::new(Entry::new(processes));
        Arc::new(Self { path: path.to_owned(), inner, group })
    }

    /// What is to be read back of the init.
    pub(super) fn expect(&self, expected: Expected) {
        self.inner().expected = expected;
    }

    /// The record as it stands.
    pub(super) fn state(&self) -> State {
        self.inner().state.clone()
    }

    /// Notes that a hook is run.
    pub(super) fn note_hook(&self) {
        self.inner().hooked = true;
    }

    /// Whether a hook was run.
    pub(super) fn is_hooked(&self) -> bool {
        self.inner().hooked
    }

    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets others look at the container while it stands by.
    pub(super) fn unlock(&self) {
        let mut inner = self.inner();
        inner.idle = inner.lock.take().and_then(Lock::let_go);
    }

    /// Takes the lock again, if the container still stands.
    pub(super) fn lock(&self) -> Result<()> {
        let gone = || Error::new(ErrorKind::NotFound, format!("container {} is gone", self.path.display()));
        let store = self.inner().store.clone().ok_or_else(gone)?;
        let idle = self.inner().idle.take();
        let lock = idle.map_or_else(|| store.lock(true), |idle| store.lock_again(idle))?;
        let failed = |error| Error::io(format!("stat {}", self.path.display()), error);
        if !store.stands().map_err(failed)? {
            return Err(gone());
        }
        self.inner().lock = Some(lock);
        Ok(())
    }

    /// Notes what the network will consist of, for the record.
    pub(super) fn note_network(&self, state: NetworkState) {
        self.inner().state.network_state = state;
    }

    /// Notes mounts that no config has.
    pub(super) fn note_added(&self, all: Vec<AddedMount>) {
        self.inner().state.added_mounts = all;
    }

    /// The steps for a control group, which come right after the record, or when the init waits.
    pub(super) fn group_steps(self: &Arc<Self>, planned: Planned) -> GroupSteps {
        let mut inner = self.inner();
        inner.state.set_places(planned.places());
        inner.state.intent.extend(planned.unit().map(Intent::Unit));
        drop(inner);
        let (again, draft) = (Arc::clone(self), Arc::clone(self));
        let noted = move |places: &[Place]| {
            again.inner().state.set_places(places.to_vec());
            again.note()
        };
        planned
            .steps(&self.group, noted, move |group| draft.inner().state.set_places(group.places().to_vec()))
    }

    /// The steps for a class of resctrl.
    pub(super) fn resctrl_steps(self: &Arc<Self>, planned: resctrl::Planned) -> ResctrlSteps {
        self.inner().state.intent.push(Intent::Resctrl(planned.groups()));
        let draft = Arc::clone(self);
        let path = self.path.clone();
        planned.steps(&resctrl::Notes {
            token: Arc::new(move || group::token(&path)),
            made: Arc::new(move |index, inode| draft.inner().state.note_resctrl(index, inode)),
        })
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self) -> io::Result<Arc<Store>> {
        self.inner().store.clone().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }

    /// The first steps: the directory and the record, then what is behind them.
    pub(super) fn first_steps(self: &Arc<Self>, setup: &Setup, group: Vec<HostStep>) -> Vec<HostStep> {
        let (claim, note) = (Arc::clone(self), Arc::clone(self));
        let unclaim = Arc::clone(self);
        let mkdir = HostStep::guarded(
            format!("mkdir {}", self.path.display()),
            "remove it",
            move |_| claim.claim(),
            move || unclaim.unclaim(),
        );
        let mut before = vec![
            mkdir.last_undo(),
            HostStep::new("write state.json (creating)", "", move |_| note.note().map(|()| None)),
        ];
        before.extend(group);
        before.extend(relabel_steps(setup));
        before
    }

    /// The host steps, ready to be run.
    pub(super) fn steps(self: &Arc<Self>, setup: &Setup, aim: Aim, group: GroupSteps) -> HostSteps {
        let mut before = self.first_steps(setup, group.before);
        if aim == Aim::Wait {
            let files = Arc::clone(self);
            before.push(HostStep::new("make the start pipe and the board", "", move |_| {
                files.make_pipe().map(|()| None)
            }));
        }
        // Hooks, which can take any time, let others see the record.
        let late = aim.holds(setup.devices) || aim.waits_for_hooks(&self.inner().state.config.hooks);
        let status = if late { Status::Creating } else { aim.status() };
        let look = Arc::clone(self);
        // ORDER: while the init builds the container, the host does what needs not wait for that. Nobody sees the record before the
        // lock is let go; if this process is killed before it releases the init, that leaves, or stays with devices, and the record says who it was.
        let meanwhile = vec![
            self.note_step(status),
            HostStep::new("look at the own namespaces", "", move |context| {
                let mut inner = look.inner();
                inner.look = Some(ReadBack::prepare(context.pid()?, &inner.expected)?);
                Ok(None)
            }),
        ];
        let mut born = born(setup);
        born.extend(group.born);
        let ready = vec![self.read_back_step()];
        let executed = under::step(setup.apparmor.as_ref()).into_iter().collect();
        HostSteps { before, born, meanwhile, ready, executed, ..HostSteps::default() }
    }

    /// The host steps by which one that stands by gets its program: while the init takes it, and when it is ready. Of one that is not met again all are
    /// for before it has the program.
    pub(super) fn hand_over_steps(self: &Arc<Self>, unmet: bool) -> (Vec<HostStep>, Vec<HostStep>) {
        let note = self.note_step(Status::Running);
        if !unmet {
            return (vec![note], vec![self.read_back_step()]);
        }
        let look = (!self.inner().state.places().is_empty()).then(|| self.look_at_group_step());
        (look.into_iter().chain([note]).collect(), Vec::new())
    }

    fn look_at_group_step(self: &Arc<Self>) -> HostStep {
        let check = Arc::clone(self);
        HostStep::new("read back the control group of the init", "", move |_| {
            check.look(|look, expected, places| expected.compare_group(look, places)).map(|()| None)
        })
    }

    pub(super) fn note_step(self: &Arc<Self>, status: Status) -> HostStep {
        let name = match status {
            Status::Creating => "creating, with the init",
            Status::Created => "created",
            Status::Running => "running",
            Status::Warm => "warm",
        };
        let next = Arc::clone(self);
        HostStep::new(format!("write state.json ({name})"), "", move |context| {
            next.note_init(context, status).map(|()| None)
        })
    }

    /// The steps by which all of a criu is found again: before it is started, and when it is there.
    pub(super) fn criu_steps(self: &Arc<Self>, mark: &Mark) -> (HostStep, HostStep) {
        let (before, born) = (Arc::clone(self), Arc::clone(self));
        let (unled, led) = (mark.noted(), mark.clone());
        let before = HostStep::new("note the mark of criu", "", move |_| {
            before.store()?.note_criu(&unled).map(|()| None)
        });
        let born = HostStep::new("note which process criu is", "", move |context| {
            born.store()?.note_criu(&led.led_by(context.pid()?)?.noted()).map(|()| None)
        });
        (before, born)
    }

    fn read_back_step(self: &Arc<Self>) -> HostStep {
        let check = Arc::clone(self);
        HostStep::new("read back ids, capabilities and namespaces of the init", "", move |_| {
            check.look(|look, expected, places| expected.compare(look, places)).map(|()| None)
        })
    }

    /// Claims the directory and locks it until the container is made or gone.
    fn claim(&self) -> io::Result<()> {
        let claimed = Store::claim(&self.path);
        let mut inner = self.inner();
        inner.is_anothers = claimed.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EEXIST));
        let (store, lock) = claimed?;
        (inner.store, inner.lock) = (Some(Arc::new(store)), Some(lock));
        Ok(())
    }

    /// Whether another process has destroyed it, of one that was taken back.
    pub(super) fn was_destroyed(&self) -> bool {
        let mut inner = self.inner();
        // The directory's own undo looks, but is left out if another one has failed.
        if inner.destroyed.is_none() {
            inner.look_whether_it_stands();
        }
        inner.destroyed == Some(true)
    }

    fn unclaim(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.look_whether_it_stands();
        match &inner.store {
            _ if inner.is_anothers => Ok(()),
            Some(store) => store.remove(),
            None => Store::unclaim(&self.path),
        }
    }

    fn note(&self) -> io::Result<()> {
        let store = self.store()?;
        let mut inner = self.inner();
        boot_id()?.clone_into(&mut inner.state.boot_id);
        store.write(&inner.state).map(drop)
    }

    fn note_init(&self, context: &HostContext, status: Status) -> io::Result<()> {
        self.note_process(context.pid()?, status)
    }

    /// Notes which one the first process is, and how far it has come.
    pub(super) fn note_process(&self, pid: Pid, status: Status) -> io::Result<()> {
        let store = self.store()?;
        let mut inner = self.inner();
        // One that stood by is not reaped yet: the number is still its own, and so is the time.
        if inner.state.init_pid != pid.as_raw() {
            let time = start_time(pid).map_err(|error| named(format!("read /proc/{pid}/stat"), error));
            inner.state.init_start_time = time?;
            inner.state.init_pid = pid.as_raw();
        }
        inner.state.status = status;
        // ORDER: that of one that stood by says what would be written here.
        if let (Status::Running, Some(ahead)) = (status, inner.ahead.take()) {
            if store.commit_ahead(ahead)? {
                return Ok(());
            }
        }
        store.write(&inner.state).map(drop)
    }

    /// Does now what a start in one that stands by would else have to do: reads back what nothing changes from here on of its init, and writes the
    /// record that it is going to have.
    pub(super) fn look_ahead(&self, bounding: Option<u64>) -> io::Result<()> {
        self.look(|look, expected, places| {
            look.compare_standing(&expected.process, bounding)?;
            expected.compare_group(look, places)
        })?;
        let store = self.store()?;
        let mut inner = self.inner();
        let Inner { state, ahead, before, .. } = &mut *inner;
        // Without it the start writes the record, and tells if it can't.
        *ahead = store.write_ahead(&State { status: Status::Running, ..state.clone() }).ok();
        // Nothing but time is lost without it.
        *before = store.hold_record().ok();
        Ok(())
    }

    /// Looks at the init.
    fn look(
        &self,
        compare: impl FnOnce(&mut ReadBack, &Expected, &[Place]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut inner = self.inner();
        let Inner { look, expected, state, .. } = &mut *inner;
        let look = look.as_mut().ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        compare(look, expected, state.places())
    }

    /// What was made; lets the lock go.
    pub(super) fn finish(&self) -> Result<(Arc<Store>, Arc<State>)> {
        let mut inner = self.inner();
        let lost = || Error::new(ErrorKind::WrongState, "the container's directory is gone");
        let store = inner.store.take().ok_or_else(lost)?;
        inner.lock = None;
        Ok((store, Arc::new(std::mem::take(&mut inner.state))))
    }
}
