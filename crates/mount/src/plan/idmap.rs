//! Binds that the host makes: idmapped ones, as the kernel asks for rights over the filesystem that the init of a user namespace lacks, and those whose source that
//! can't get to.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libcontainer_plan::{
    At, Builder, FdSource, HostStep, Launch, Launched, Mount, Ns, Pid, Slot, Sock, named, namespace_link,
    open_namespace,
};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// `CLONE_NEWUSER`
const NEWUSER: u32 = 0x1000_0000;

/// Id map of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// The ids.
    pub ids: Ids,
    /// For all mounts below the source too.
    pub recursive: bool,
}

/// Which id of a filesystem is which on a mount. Ids that have none can't be seen or used through the mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Lines of `uid_map` and `gid_map`, that is first id in the filesystem, first id on the mount (as the host sees it), number of ids.
    Lines {
        /// User ids.
        uids: Vec<[u32; 3]>,
        /// Group ids.
        gids: Vec<[u32; 3]>,
    },
    /// The map of a user namespace.
    Namespace {
        /// Where it is found, such as `/proc/PID/ns/user`.
        path: PathBuf,
        /// What was found there: [`libcontainer_plan::namespace_link`]. Another one is an error.
        link: String,
    },
}

/// A detached, idmapped copy of `source`, made on the host while the init waits for it.
pub(super) fn idmapped(plan: &mut Builder, source: &Path, flags: u32, map: &IdMap) -> Slot<Mount> {
    let name = format!("idmapped copy of {}", source.display());
    let (path, map) = (source.to_owned(), map.clone());
    plan.receive_fd(&name, FdSource::shared(name.clone(), move |_| make(path.clone(), flags, &map)))
}

/// A detached copy of `source`, made on the host while the init waits for it.
pub(super) fn copied(plan: &mut Builder, source: &Path, flags: u32) -> Slot<Mount> {
    let (name, path) = (format!("copy of {}", source.display()), source.to_owned());
    plan.receive_fd(&name, FdSource::shared(name.clone(), move |_| copy(path.clone(), flags)))
}

/// Gives a detached copy of what lies at `path` below the rootfs its id map: the host does it, while the init waits.
pub(super) fn give_map(plan: &mut Builder, copy: Slot<Mount>, path: &Path, map: &IdMap) {
    let (name, map) = (format!("copy of {} inside", path.display()), map.clone());
    plan.send_fd(copy, &name);
    plan.host(HostStep::shared(format!("give the {name} its id map"), move |context| {
        let copy = context.take(&name).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADMSG))?;
        set(copy, &map)
    }));
    plan.await_host("mapped");
}

/// `mount_setattr(MOUNT_ATTR_IDMAP)` of a detached mount in a short-lived init of the host's own namespaces.
fn set(copy: OwnedFd, map: &IdMap) -> io::Result<()> {
    let namespace = above_standard(namespace(&map.ids)?)?;
    let mut plan = Builder::new();
    let slot = plan.preset::<Ns>("user namespace");
    let given = plan.preset::<Mount>("copy of a mount");
    let pipe = plan.preset::<Sock>("end of the helper");
    plan.start_init();
    plan.purpose("give the mount its id map");
    plan.mount_setattr_idmap(given, map.recursive, namespace.as_fd());
    run(plan, pipe, |launch| {
        launch.give(slot, namespace);
        launch.give(given, copy);
    })
    .map(drop)
}

/// `open_tree` in a short-lived init of the host's own namespaces.
fn copy(source: PathBuf, flags: u32) -> io::Result<OwnedFd> {
    const NAME: &str = "copy of a mount";
    let mut plan = Builder::new();
    let pipe = plan.preset::<Sock>("end of the helper");
    plan.start_init();
    plan.purpose(format!("copy {}", source.display()));
    let copy = plan.open_tree(At::Cwd, source, flags);
    plan.send_fd(copy, NAME);
    let mut launched = run(plan, pipe, |_| ())?;
    launched.received.remove(NAME).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADMSG))
}

/// `open_tree` and `mount_setattr(MOUNT_ATTR_IDMAP)` in a short-lived init of the host's own namespaces.
fn make(source: PathBuf, flags: u32, map: &IdMap) -> io::Result<OwnedFd> {
    const NAME: &str = "idmapped mount";
    // The plan names the descriptor by number, and the launcher moves those below 3.
    let namespace = above_standard(namespace(&map.ids)?)?;
    let mut plan = Builder::new();
    let slot = plan.preset::<Ns>("user namespace");
    let pipe = plan.preset::<Sock>("end of the helper");
    plan.start_init();
    plan.purpose(format!("copy {} with an id map", source.display()));
    let copy = plan.open_tree(At::Cwd, source, flags);
    plan.mount_setattr_idmap(copy, map.recursive, namespace.as_fd());
    plan.send_fd(copy, NAME);
    let mut launched = run(plan, pipe, |launch| {
        launch.give(slot, namespace);
    })?;
    launched.received.remove(NAME).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADMSG))
}

/// A user namespace with this map.
fn namespace(ids: &Ids) -> io::Result<OwnedFd> {
    match ids {
        Ids::Lines { uids, gids } => new_namespace(uids.clone(), gids.clone()),
        Ids::Namespace { path, link } => {
            let found = open_namespace(path, NEWUSER, "user")?;
            // RACE: the process whose it was may have ended, and another have its number.
            if namespace_link("user", &found)? == *link {
                return Ok(found);
            }
            let text = format!("{} is no longer {link}, as when the config was looked at", path.display());
            Err(io::Error::other(text))
        }
    }
}

/// That of a short-lived init which does nothing in it.
fn new_namespace(uids: Vec<[u32; 3]>, gids: Vec<[u32; 3]>) -> io::Result<OwnedFd> {
    let found = Arc::new(Mutex::new(None));
    let place = Arc::clone(&found);
    let mut plan = Builder::new();
    plan.namespaces(u64::from(NEWUSER));
    let pipe = plan.preset::<Sock>("end of the helper");
    plan.start_init();
    plan.host(HostStep::new("map the ids of a mount", "", move |context| {
        *place.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(mapped(context.pid()?, [("uid_map", &uids), ("gid_map", &gids)])?);
        Ok(None)
    }));
    run(plan, pipe, |_| ())?;
    let fd = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    fd.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Writes the map of a child that was not reaped, and opens its user namespace.
fn mapped(pid: Pid, maps: [(&'static str, &Vec<[u32; 3]>); 2]) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}");
    let named = |call: &'static str| {
        let path = path.clone();
        move |error: io::Error| io::Error::new(error.kind(), format!("{call} of {path}: {error}"))
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = nix::fcntl::open(path.as_str(), flags, Mode::empty());
    let process = opened.map_err(io::Error::from).map_err(named("open"))?;
    let open = |name: &'static str, flags: OFlag| {
        let opened = openat(&process, name, flags | OFlag::O_CLOEXEC, Mode::empty());
        opened.map_err(io::Error::from).map_err(named(name))
    };
    for (name, lines) in maps {
        let text: String =
            lines.iter().map(|[inside, outside, count]| format!("{inside} {outside} {count}\n")).collect();
        let file = open(name, OFlag::O_WRONLY)?;
        // One write: the kernel takes a map as a whole or not at all.
        let written = File::from(file).write(text.as_bytes()).map_err(named(name))?;
        if written != text.len() {
            return Err(io::Error::other(format!("{name} of {path}: short write")));
        }
    }
    open("ns/user", OFlag::O_RDONLY)
}

/// Runs a helper to its end. It leaves when the pipe is closed: also if this process dies.
pub(super) fn run(
    mut plan: Builder,
    end: Slot<Sock>,
    fill: impl FnOnce(&mut Launch),
) -> io::Result<Launched> {
    plan.purpose("wait for the end of the helper").await_byte(end);
    plan.reap();
    let mut launch = Launch::new(plan.seal().map_err(io::Error::other)?);
    let pipe = libcontainer_plan::pipe();
    let (reader, writer) = pipe.map_err(|error| named("pipe2 of the helper", error))?;
    launch.give(end, reader);
    fill(&mut launch);
    let launched = launch.run().map_err(|error| io::Error::other(error.to_string()))?;
    drop(writer);
    match launched.wait() {
        // A caller that ignores SIGCHLD: the kernel tells when it has ended, not how, which nobody asks here.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {}
        Err(error) => return Err(named("waitid of the helper", error)),
        Ok(_) => {}
    }
    Ok(launched)
}

fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut held = Vec::new();
    loop {
        let again = nix::fcntl::open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        if again.as_raw_fd() > 2 {
            return Ok(again);
        }
        held.push(again);
    }
}
