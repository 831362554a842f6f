//! A checkpoint: criu writes a running container to files, and ends it if it is not to go on.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use libcontainer_cgroups::{Group, Place};
use libcontainer_mount::plan::{Node, Origin};
use libcontainer_plan::{Launch, OpenStdio, Pid, Stdio, wait_readable};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::stat;

use super::added;
use super::astray::astray;
use super::condition::condition;
use super::criu::{Directories, Start, end_left, setup, start};
use super::external::{from_host, to_dump};
use super::host::Host;
use super::prepared::Prepared;
use super::standard;
use crate::compile::HostSteps;
use crate::config::{Config, Namespace, NamespaceKind};
use crate::criu::{CheckpointOptions, Event, Feature, Mark, Request, RequestKind, Session};
use crate::error::{Error, ErrorKind, Result, named};
use crate::group::{self, PATIENCE, frozen};
use crate::process::reap_ended;
use crate::record::{AddedMount, Init, KILL, RunState, State, Store};
use crate::setup::MountSetup;

/// Bytes of a pipe of criu's by which it serves memory: its `PIPE_MAX_SIZE` pages.
const SERVED: i32 = 819 * 4096;

/// Writes the container to the directory of images. After an error it is as it was.
pub(crate) fn checkpoint(host: &Host, store: &Store, id: &str, mut options: CheckpointOptions) -> Result<()> {
    let what = format!("checkpoint {id:?}");
    check(&options, &what)?;
    if options.criu.lazy_pages {
        wide_pipe().map_err(|error| error.within(&what))?;
    }
    let (state, init, found) = running(store, &what)?;
    own_mounts(&state.config, &what)?;
    let _alone = store.lock_checkpoint()?.ok_or_else(|| {
        Error::new(ErrorKind::WrongState, format!("{what}: another process makes a checkpoint of it"))
    })?;
    let failed = |error| Error::io(&*what, error);
    let mark = Mark::new().map_err(failed)?;
    let setup = setup(host, &options.criu, &mark).map_err(|error| error.within(&what))?;
    let dirs = Directories::make(&options.criu).map_err(|error| error.within(&what))?;
    let request = request(host, &state, &init, (&options, &dirs)).map_err(|error| error.within(&what))?;
    // ORDER: before it ends them.
    let lost = astray(&state, init.pid).map_err(|error| error.within(&what))?;
    let stdio = OpenStdio::open(Stdio::Null, Stdio::Null, Stdio::Null).map_err(failed)?.theirs;
    let begin = Start { setup, host: HostSteps::default(), stdio, handed: Vec::new() };
    store.note_criu(&mark.noted()).map_err(failed)?;
    let dumped = start(begin, (&options.criu, &what), |plan, _| Launch::new(plan)).and_then(|mut session| {
        let dumped = led_by(store, &mark, session.pid()).map_err(failed);
        let dumped = dumped.and_then(|()| dump(&mut session, &request, &mut options));
        // ORDER: criu is gone before anybody looks at what it has left.
        drop(session);
        dumped.map_err(|error| dirs.explain(error, request.kind).within(&what))
    });
    if let Err(error) = dumped {
        return Err(go_on(&state, found, error, end_left(store, &what)));
    }
    // A mark that nothing has any more does no harm.
    let _ = store.forget_criu();
    if options.pre_dump {
        return Ok(());
    }
    if let Some(lost) = lost {
        let text = format!(
            "{what}: not in the images: {lost}: joined the container, and criu writes the first process and those below it"
        );
        host.warn(&Error::new(ErrorKind::Unsupported, text));
    }
    if options.leave_running { Ok(()) } else { ended(&init, &what) }
}

/// Notes which process criu is, that waits for its first question.
fn led_by(store: &Store, mark: &Mark, pid: Pid) -> io::Result<()> {
    store.note_criu(&mark.led_by(pid)?.noted())
}

/// Refuses a container whose root lies among the mounts of others, which criu would take for its own.
pub(super) fn own_mounts(config: &Config, what: &str) -> Result<()> {
    let joined = matches!(config.namespaces.get(NamespaceKind::Mount), Some(Namespace::Join(_)));
    if joined || config.changed_root().is_some() {
        let text = format!(
            "{what}: /namespaces/NEWNS: its mounts are those of others too, which criu can't restore"
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    Ok(())
}

/// What is wrong with what is asked for, before anything is done.
fn check(options: &CheckpointOptions, what: &str) -> Result<()> {
    let wrong = |text: String| Err(Error::new(ErrorKind::InvalidConfig, format!("{what}: {text}")));
    let Some(parent) = &options.parent else { return Ok(()) };
    if parent.is_absolute() {
        return wrong(format!(
            "{}: the path of the images before (--parent-path) is relative to that of these",
            parent.display()
        ));
    }
    let path = options.criu.images.join(parent);
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => wrong(format!("{}: the images before (--parent-path) are no directory", path.display())),
        Err(error) => {
            let what = format!("{what}: the images before (--parent-path): stat {}", path.display());
            Err(Error::io(what, error))
        }
    }
}

/// The container, if it runs or stands still.
fn running(store: &Store, what: &str) -> Result<(State, Init, RunState)> {
    let _lock = store.lock(false)?;
    let state = store.read()?;
    let init = Init::open(&state)?;
    let found = condition(store, &state, init.is_some())?;
    match init.filter(|_| matches!(found, RunState::Running | RunState::Paused)) {
        Some(init) => Ok((State::clone(&state), init, found)),
        None => {
            let text = format!(
                "{what}: the container is {found}: only one that runs or is paused can be checkpointed"
            );
            Err(Error::new(ErrorKind::WrongState, text))
        }
    }
}

fn request(
    host: &Host,
    state: &State,
    init: &Init,
    (options, dirs): (&CheckpointOptions, &Directories),
) -> Result<Request> {
    let config = &state.config;
    let mut request = Request::checkpoint(options, init.pid.as_raw(), dirs.dirs(), config);
    match freezer(state.places()) {
        Some(place) => request.freeze(&place.path()),
        None => request.leave_groups(),
    }
    for kind in [NamespaceKind::Network, NamespaceKind::Pid] {
        if let Some(text) = joined(config, kind)? {
            request.external(&text);
        }
    }
    if options.pre_dump {
        return Ok(request);
    }
    let added = outside(host, (state, init), &mut request)?;
    let standard =
        standard::of(init.pid).map_err(|error| Error::io("look at the standard descriptors", error))?;
    standard::outside(&standard).for_each(|text| request.external(text));
    let noted = standard::write(dirs.images(), &standard).and_then(|()| added::write(dirs.images(), &added));
    noted.map_err(|error| Error::io("note what a restore has to know", error))?;
    Ok(request)
}

/// Tells of mounts that come from the host: those of the config, and those that were added since, which are returned.
fn outside(host: &Host, (state, init): (&State, &Init), request: &mut Request) -> Result<Vec<AddedMount>> {
    let config = &state.config;
    let groups = Some(group::setup_shown(state.places()));
    let setup = Prepared::new(host, config)?.setup(false, groups)?;
    let Some(mut mounts) = setup.mounts else { return Ok(Vec::new()) };
    let added = added::standing(state, init.pid)?;
    refuse_id_maps(config, &added)?;
    refuse_made_nodes(&mounts)?;
    mounts.items.extend(added::items(config, &added)?);
    to_dump(&from_host(&mounts), init.pid)?.iter().for_each(|mount| request.mount(mount));
    Ok(added)
}

/// A node that the host has made for a user namespace lies in a filesystem that nothing leads to any more.
fn refuse_made_nodes(mounts: &MountSetup) -> Result<()> {
    let is_made = |node: &&Node| matches!(node.origin, Origin::ByHost { .. });
    match mounts.devices.iter().chain(&mounts.other_devices).find(is_made) {
        None => Ok(()),
        Some(node) => {
            let path = node.path.display();
            let text = format!(
                "/mount_config/device_nodes: {path} is not the host's of that path, and was made for the user namespace: criu can't restore it"
            );
            Err(Error::new(ErrorKind::Unsupported, text))
        }
    }
}

/// criu makes binds anew from their sources, and knows no maps.
fn refuse_id_maps(config: &Config, added: &[AddedMount]) -> Result<()> {
    let is_mapped = |mount: &libcontainer_mount::Mount| {
        let option = |option: &String| option == "idmap" || option == "ridmap";
        !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() || mount.options.iter().any(option)
    };
    let own = config.mount_config.iter().flat_map(|all| &all.mounts).enumerate();
    let own = own.map(|(index, mount)| (format!("/mount_config/mounts/{index}"), mount));
    let added = added.iter().map(|added| ("a mount that was added".to_owned(), &added.mount));
    match own.chain(added).find(|(_, mount)| is_mapped(mount)) {
        None => Ok(()),
        Some((what, mount)) => {
            let place = mount.destination.display();
            let text = format!("{what}: {place} has an id map of its own, which criu can't restore");
            Err(Error::new(ErrorKind::Unsupported, text))
        }
    }
}

/// The group of the hierarchy in which processes are frozen.
fn freezer(places: &[Place]) -> Option<&Place> {
    let has = |place: &&Place| place.controllers.iter().any(|name| name == "freezer");
    places.iter().find(has).or_else(|| places.iter().find(|place| place.unified))
}

/// A namespace that the container has joined, as criu knows it, with the name by which a restore finds it.
fn joined(config: &Config, kind: NamespaceKind) -> Result<Option<String>> {
    let Some(Namespace::Join(path)) = config.namespaces.get(kind) else { return Ok(None) };
    let found = stat(path).map_err(|errno| {
        Error::io(format!("/namespaces/{}: stat {}", kind.key(), path.display()), errno.into())
    })?;
    Ok(super::external::namespace_key(kind).map(|key| format!("{}[{}]:{key}", kind.file(), found.st_ino)))
}

fn dump(session: &mut Session, request: &Request, options: &mut CheckpointOptions) -> Result<()> {
    let version = session.version()?;
    let wanted = [
        (
            request.kind == RequestKind::PreDump,
            Feature::MemoryTracking,
            "memory is not tracked (CONFIG_MEM_SOFT_DIRTY)",
        ),
        (options.criu.lazy_pages, Feature::LazyPages, "memory can't be fetched later (userfaultfd(2))"),
    ];
    for (_, feature, why) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
        if !session.has(feature)? {
            let text = format!("by this kernel, as criu {version} finds, {why}");
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
    }
    session.work(request, &mut |event: Event| match event.name.as_str() {
        "status-ready" => {
            told(options.status.take()).map_err(|error| Error::io("write to the status descriptor", error))
        }
        _ => Ok(()),
    })
}

/// Refuses to serve memory if criu can't have the pipe for that, of which it does not notice until somebody asks for a page that is not the first.
fn wide_pipe() -> Result<()> {
    let failed = |errno: nix::errno::Errno| {
        let text = format!(
            "by --lazy-pages criu has a pipe of {SERVED} bytes: fcntl(F_SETPIPE_SZ); it takes CAP_SYS_RESOURCE, or a sysctl fs.pipe-max-size of so many"
        );
        Error::io(text, errno.into())
    };
    let (reader, _writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(SERVED)).map(drop).map_err(failed)
}

/// Says that pages can be fetched.
fn told(status: Option<OwnedFd>) -> io::Result<()> {
    let Some(status) = status else { return Ok(()) };
    nix::unistd::write(status, &[0]).map(drop).map_err(io::Error::from)
}

/// Lets the processes go on that a criu which failed has left standing still.
fn go_on(state: &State, before: RunState, error: Error, criu: Result<()>) -> Error {
    let thaw = || -> Result<()> {
        if before == RunState::Paused || frozen(state)?.is_none() {
            return Ok(());
        }
        let failed = |error| Error::cgroup("let it go on", error);
        Group::open(state.places()).and_then(|group| group.thaw(PATIENCE)).map_err(failed)
    };
    let undone = [("end criu", criu), ("resume", thaw())].into_iter();
    let left: Vec<_> = undone
        .filter_map(|(name, done)| Some((name.to_owned(), io::Error::other(done.err()?.to_string()))))
        .collect();
    if left.is_empty() { error } else { error.with_undo(left) }
}

/// Waits until the first process is gone, which criu has killed.
fn ended(init: &Init, what: &str) -> Result<()> {
    let gone = wait_readable(init.pidfd.as_fd(), Some(KILL));
    reap_ended();
    match gone.map_err(|error| Error::io(what, named(format!("poll process {}", init.pid), error)))? {
        true => Ok(()),
        false => {
            let text = format!("{what}: the images are written, and process {} lives on", init.pid);
            Err(Error::new(ErrorKind::Timeout, text))
        }
    }
}
