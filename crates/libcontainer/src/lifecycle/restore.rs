//! A restore: a new container whose processes criu makes of images.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use libcontainer_plan::{Launch, Pid, open_namespace, open_pidfd};

use super::added;
use super::checkpoint::own_mounts;
use super::create::{Made, draft, give_first, group_steps};
use super::criu::{Directories, Start, setup, start};
use super::destroy;
use super::devices;
use super::draft::Draft;
use super::external::{from_host, namespace_key, to_restore};
use super::hooks::{self, Of};
use super::host::Host;
use super::networked::connect;
use super::prepared::{For, Own, Part, Prepared};
use super::standard;
use crate::compile::HostSteps;
use crate::config::{Config, Namespace, NamespaceKind};
use crate::criu::{Event, ManageCgroups, Mark, Request, RequestKind, RestoreOptions, Session};
use crate::error::{Error, ErrorKind, Result, named};
use crate::group::{GroupSteps, Planned};
use crate::hooks::Moment;
use crate::process::{Process, ProcessConfig};
use crate::record::{AddedMount, Status};
use crate::resolve;
use crate::setup::{CriuSetup, MountSetup, RestoreSetup};

/// The container whose images are told, or nothing.
pub(crate) fn restore(
    prepared: &Prepared,
    own: &Own,
    process: ProcessConfig,
    options: &RestoreOptions,
) -> Result<Made> {
    let what = format!("restore {:?}", own.id);
    let failed = |error: io::Error| Error::io(what.clone(), error);
    own_mounts(&own.config, &what)?;
    // ORDER: what can be wrong with what is asked for comes before anything is made.
    check(options, &own.config).map_err(|error| error.within(&what))?;
    let mark = Mark::new().map_err(failed)?;
    let criu = setup(&prepared.host, &options.criu, &mark).map_err(|error| error.within(&what))?;
    let dirs = Directories::open(&options.criu).map_err(|error| error.within(&what))?;
    let standard = standard::read(dirs.images()).map_err(failed)?;
    let added = added::read(dirs.images()).map_err(failed)?;
    dirs.let_in(&own.config).map_err(|error| error.within(&what))?;
    let owner = prepared.owner_of_restored(own, &process).map_err(|error| error.within(&what))?;
    let planned = prepared.group(own)?.map(|planned| planned.given_to(owner));
    let part = prepared.part(For::default(), planned.as_ref().map(Planned::setup))?;
    let mounts = mounts(&part, &own.config, &added).map_err(|error| error.within(&what))?;
    let (draft, network) = draft(&part, own)?;
    draft.note_added(added);
    let (mut opened, _) = ProcessConfig { terminal: false, ..process }.open().map_err(failed)?;
    let spaces = Spaces::open(&own.config).map_err(failed)?;
    standard::keep_null(&standard, &mut opened.theirs).map_err(failed)?;
    let stdio = opened.theirs.drain(..).collect();
    let handed = spaces.given().map_err(failed)?;
    let group = group_steps(prepared, own, &draft, planned)?;
    let mut host = host_steps(&draft, &part, group);
    let (unled, led) = draft.criu_steps(&mark);
    host.before.push(unled);
    host.meanwhile.push(led);
    let begin = Start {
        setup: CriuSetup {
            handed: u32::try_from(handed.len()).unwrap_or(u32::MAX),
            restore: Some(restored(own, &part, mounts.clone())),
            ..criu
        },
        host,
        stdio,
        handed,
    };
    let mut session = start(begin, (&options.criu, &what), |plan, given| {
        let mut launch = Launch::new(plan);
        give_first(&mut launch, given, (Vec::new(), None), &draft, &part);
        launch
    })?;
    let network = Cell::new(Some(network));
    let space = Cell::default();
    let work =
        Work { host: &prepared.host, own, part: &part, mounts, draft: &draft, dirs: &dirs, network, space };
    let made = work.run(&mut session, options, (&spaces, &standard));
    let declined = session.is_declined();
    // ORDER: criu is gone before what it has made is ended.
    drop(session);
    match made {
        Ok((pid, terminal)) => work.finish(pid, terminal, opened),
        Err(error) => {
            let error = if declined { error } else { dirs.explain(error, RequestKind::Restore) };
            Err(work.take_back(error.within(&what)))
        }
    }
}

/// Refuses what can't be: the container's group is there, and limited, before anything is restored in it.
fn check(options: &RestoreOptions, config: &Config) -> Result<()> {
    if options.criu.manage_cgroups == ManageCgroups::Strict && config.cgroups.is_some() {
        let text = "the mode \"strict\" for control groups is for one that criu makes, and that of a container is made before criu: use \"full\"";
        return Err(Error::new(ErrorKind::InvalidConfig, text));
    }
    Ok(())
}

/// Those of the config, and behind them those that were added to the container that was written.
fn mounts(part: &Part, config: &Config, added: &[AddedMount]) -> Result<Option<MountSetup>> {
    let Some(mut mounts) = part.setup.mounts.clone() else { return Ok(None) };
    mounts.items.extend(added::items(config, added)?);
    Ok(Some(mounts))
}

fn restored(own: &Own, part: &Part, mounts: Option<MountSetup>) -> RestoreSetup {
    RestoreSetup {
        cgroup: part.setup.cgroup.clone(),
        keyring: resolve::keyring(&own.config, &own.id),
        mounts,
        cwd: part.setup.cwd.clone(),
    }
}

/// The directory, the record and the group before criu; then the record says who that is, so that whoever ends the container ends it too.
fn host_steps(draft: &Arc<Draft>, part: &Part, group: GroupSteps) -> HostSteps {
    HostSteps {
        before: draft.first_steps(&part.setup, group.before),
        born: group.born,
        meanwhile: vec![draft.note_step(Status::Creating)],
        ..HostSteps::default()
    }
}

/// Namespaces that are joined.
struct Spaces {
    /// Handed to criu, in this order.
    by_fd: Vec<(&'static str, OwnedFd)>,
    /// Which criu opens.
    by_path: Vec<(&'static str, std::path::PathBuf)>,
}

/// The number of the first descriptor that criu is handed.
const FIRST: i32 = 4;

impl Spaces {
    fn open(config: &Config) -> io::Result<Self> {
        let mut this = Self { by_fd: Vec::new(), by_path: Vec::new() };
        for (kind, namespace) in config.namespaces.iter() {
            let Namespace::Join(path) = namespace else { continue };
            let failed = |error| named(format!("/namespaces/{}: {}", kind.key(), path.display()), error);
            let fd = open_namespace(path, kind.flag(), kind.file()).map_err(failed)?;
            match namespace_key(kind) {
                Some(key) => this.by_fd.push((key, fd)),
                None if kind == NamespaceKind::Cgroup => {
                    return Err(failed(io::Error::other("criu can't join a control group namespace")));
                }
                None => this.by_path.push((kind.file(), path.clone())),
            }
        }
        Ok(this)
    }

    fn given(&self) -> io::Result<Vec<OwnedFd>> {
        self.by_fd.iter().map(|(_, fd)| fd.as_fd().try_clone_to_owned()).collect()
    }

    fn ask(&self, request: &mut Request) {
        for ((key, _), number) in self.by_fd.iter().zip(FIRST..) {
            request.inherit(key, number);
        }
        for (kind, path) in &self.by_path {
            request.join(kind, path);
        }
    }
}

/// A restore on its way.
struct Work<'a> {
    host: &'a Host,
    own: &'a Own,
    part: &'a Part,
    mounts: Option<MountSetup>,
    draft: &'a Arc<Draft>,
    dirs: &'a Directories,
    /// What is to be made when there is a namespace for it.
    network: Cell<Option<libcontainer_network::Plan>>,
    /// In which devices of the host's are, if there are any.
    space: Cell<Option<File>>,
}

type Restored = (Pid, Option<OwnedFd>);

impl Work<'_> {
    fn run(
        &self,
        session: &mut Session,
        options: &RestoreOptions,
        (spaces, standard): (&Spaces, &[String]),
    ) -> Result<Restored> {
        session.version()?;
        let config = &self.own.config;
        let root = self.mounts.as_ref().map(|mounts| mounts.rootfs.as_path());
        let dirs = self.dirs.seen_by(session.pid())?;
        let mut request = Request::restore(options, root, dirs.dirs(), config);
        if let Some(mounts) = &self.mounts {
            let all = to_restore(&from_host(mounts));
            let all = all.map_err(|error| Error::io("look at what comes from outside", error))?;
            all.iter().for_each(|mount| request.mount(mount));
        }
        spaces.ask(&mut request);
        for (key, number) in standard::inherited(standard) {
            request.inherit(key, number);
        }
        self.ask_groups(&mut request, session.pid())?;
        let (mut first, mut terminal) = (None, None);
        session.work(&request, &mut |event| self.attend(event, &mut first, &mut terminal))?;
        let lost = || Error::new(ErrorKind::StartFailed, "criu has not said which process it has restored");
        Ok((first.ok_or_else(lost)?, terminal))
    }

    /// All groups come to be below the container's, in which criu is.
    fn ask_groups(&self, request: &mut Request, criu: Pid) -> Result<()> {
        if self.draft.state().places().is_empty() {
            request.leave_groups();
            return Ok(());
        }
        let path = format!("/proc/{criu}/cgroup");
        let text = fs::read_to_string(&path).map_err(|error| Error::io(format!("read {path}"), error))?;
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            if let (Some(controllers), Some(group)) = (parts.next(), parts.next()) {
                controllers.split(',').for_each(|controller| request.group(controller, group));
            }
        }
        Ok(())
    }

    fn attend(&self, event: Event, first: &mut Option<Pid>, terminal: &mut Option<OwnedFd>) -> Result<()> {
        match event.name.as_str() {
            "setup-namespaces" => {
                let pid = self.process(&event, Status::Creating)?;
                // ORDER: before a device is in it: criu takes along what it has made.
                self.space.set(devices::space_to_hold(&self.draft.state(), pid)?);
                // What there is of its network is in the record, by which it is taken back.
                connect(&self.part.setup, pid, self.network.take())?;
                self.hooks(pid)
            }
            "post-restore" => {
                if let Some(pid) = Pid::new(event.pid) {
                    self.draft.note_added(added::found(self.draft.state().added_mounts, pid)?);
                }
                *first = Some(self.process(&event, Status::Running)?);
                Ok(())
            }
            "orphan-pts-master" => {
                *terminal = event.fd.or(terminal.take());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Notes the first process, which is made but does not run yet.
    fn process(&self, event: &Event, status: Status) -> Result<Pid> {
        let unknown =
            || Error::new(ErrorKind::StartFailed, format!("criu names no process at {}", event.name));
        let pid = Pid::new(event.pid).ok_or_else(unknown)?;
        self.draft.note_process(pid, status).map_err(|error| Error::io("write the record", error))?;
        Ok(pid)
    }

    /// Those that runc runs at a restore. Others can look at the container meanwhile.
    fn hooks(&self, pid: Pid) -> Result<()> {
        let state = self.draft.state();
        let of = Of { config: &state.config, id: &state.id, dir: self.draft.path(), host: self.host };
        let all = [Moment::Prestart, Moment::CreateRuntime];
        if all.iter().all(|moment| moment.of(&state.config.hooks).is_empty()) {
            return Ok(());
        }
        self.draft.note_hook();
        self.draft.unlock();
        let ran = all.iter().try_for_each(|moment| of.all_on_host(*moment, pid.as_raw()));
        self.draft.lock()?;
        ran.map_err(|failed| Error::hook("run its hooks", failed))
    }

    fn finish(
        &self,
        pid: Pid,
        terminal: Option<OwnedFd>,
        opened: libcontainer_plan::OpenStdio,
    ) -> Result<Made> {
        let held = open_pidfd(pid).map_err(|error| Error::io(format!("pidfd_open of process {pid}"), error));
        let pidfd = match held {
            Ok(pidfd) => pidfd,
            Err(error) => return Err(self.take_back(error)),
        };
        let (store, state) = self.draft.finish()?;
        // A mark that nothing has any more does no harm.
        let _ = store.forget_criu();
        let mut process = Process::restored(pid, pidfd, opened);
        process.terminal = terminal.map(crate::process::Terminal::new);
        process.watch_memory(self.draft.group.memory());
        Ok(Made { store, state, process: Some(process), mounts: None, used: None })
    }

    /// Ends everything that was made. What is left is told, and stays recorded.
    fn take_back(&self, error: Error) -> Error {
        let ended = || -> Result<()> {
            if let Some(space) = self.space.take() {
                devices::rescue(&self.draft.state(), &space, self.draft.path(), self.host)?;
            }
            let (store, state) = self.draft.finish()?;
            let Some(state) = destroy::end(&store, &self.own.id, Some(state), self.host)? else {
                return Ok(());
            };
            if self.draft.is_hooked() {
                hooks::after_end(
                    self.host,
                    Of { config: &state.config, id: &state.id, dir: store.path(), host: self.host },
                );
            }
            Ok(())
        };
        match ended() {
            Ok(()) => error,
            Err(left) => error.with_undo(vec![("end it".to_owned(), io::Error::other(left.to_string()))]),
        }
    }
}
