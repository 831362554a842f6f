//! Binds that the host makes: idmapped ones, as the kernel asks for rights over the filesystem that the init of a user namespace lacks, and those whose source that
//! can't get to.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libcontainer_plan::{At, Builder, FdSource, HostStep, Launch, Launched, Mount, Ns, Pid, Slot, Sock};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// Id map of a mount: lines of `uid_map` and `gid_map`, that is first id in the filesystem, first id on the mount (as the host
/// sees it), number of ids. Ids that no line names can't be seen or used through the mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMap {
    /// User ids.
    pub uids: Vec<[u32; 3]>,
    /// Group ids.
    pub gids: Vec<[u32; 3]>,
    /// For all mounts below the source too.
    pub recursive: bool,
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
    let namespace = above_standard(namespace(map)?)?;
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

/// A user namespace with this map: that of a short-lived init which does nothing in it.
fn namespace(map: &IdMap) -> io::Result<OwnedFd> {
    let found = Arc::new(Mutex::new(None));
    let (place, map) = (Arc::clone(&found), map.clone());
    let mut plan = Builder::new();
    plan.namespaces(0x1000_0000);
    let pipe = plan.preset::<Sock>("end of the helper");
    plan.start_init();
    plan.host(HostStep::new("map the ids of a mount", "", move |context| {
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(mapped(context.pid()?, &map)?);
        Ok(None)
    }));
    run(plan, pipe, |_| ())?;
    let fd = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    fd.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Writes the map of a child that was not reaped, and opens its user namespace.
fn mapped(pid: Pid, map: &IdMap) -> io::Result<OwnedFd> {
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
    for (name, lines) in [("uid_map", &map.uids), ("gid_map", &map.gids)] {
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
fn run(mut plan: Builder, pipe: Slot<Sock>, fill: impl FnOnce(&mut Launch)) -> io::Result<Launched> {
    plan.purpose("wait for the end of the helper").await_byte(pipe);
    plan.reap();
    let mut launch = Launch::new(plan.seal().map_err(io::Error::other)?);
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    launch.give(pipe, reader);
    fill(&mut launch);
    let launched = launch.run().map_err(|error| io::Error::other(error.to_string()))?;
    drop(writer);
    launched.wait()?;
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
