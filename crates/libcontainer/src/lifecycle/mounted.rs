//! Mounts that come and go while the container runs.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer_mount::{Mount, MountConfig, parse_mountinfo};
use libcontainer_plan::{Launch, Pid};

use super::inside::way_in;
use super::join::cut_off;
use crate::compile::{self, Errand};
use crate::config::{Config, NamespaceKind};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::group;
use crate::record::{Init, State};
use crate::resolve;
use crate::setup::InsideSetup;

/// A mount of a container, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// Its number; a later mount may have it again.
    pub id: u32,
    /// That of the mount in which it lies.
    pub parent: u32,
    /// Where it lies, seen from inside.
    pub destination: PathBuf,
    /// Filesystem.
    pub kind: String,
    /// Source, as the filesystem tells it.
    pub source: PathBuf,
    /// Options of the mount, such as `ro`.
    pub options: Vec<String>,
    /// It was added while the container ran: [`Container::add_mount`](crate::Container::add_mount).
    pub added: bool,
}

/// The mounts that a process sees, in the kernel's order.
pub(crate) fn mounts_of(pid: Pid) -> Result<Vec<MountEntry>> {
    let path = format!("/proc/{pid}/mountinfo");
    let text = fs::read(&path).map_err(|error| Error::io(format!("read {path}"), error))?;
    let failed = |error| Error::io(path.clone(), std::io::Error::other(error));
    let shown = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    parse_mountinfo(&text)
        .map(|entry| {
            let entry = entry.map_err(failed)?;
            Ok(MountEntry {
                id: entry.id,
                parent: entry.parent,
                destination: shown(&entry.target),
                kind: String::from_utf8_lossy(&entry.fstype).into_owned(),
                source: shown(&entry.source),
                options: String::from_utf8_lossy(entry.options).split(',').map(str::to_owned).collect(),
                added: false,
            })
        })
        .collect()
}

/// Everything that is wrong with a mount for a container that runs.
pub(crate) fn check(config: &Config, mount: &Mount) -> Result<()> {
    let all = MountConfig { mounts: vec![mount.clone()], ..MountConfig::default() };
    let place = |pointer: &str| pointer.strip_prefix("/mounts/0").unwrap_or(pointer).to_owned();
    let mut problems: Vec<_> = all
        .problems()
        .into_iter()
        .map(|one| Problem { pointer: place(&one.pointer), message: one.message, remedy: None })
        .collect();
    let mut refuse = |pointer: &str, message: &str| {
        problems.push(Problem { pointer: pointer.to_owned(), message: message.to_owned(), remedy: None });
    };
    if config.has_others_mounts() {
        refuse("", "the container has no mount namespace of its own: it would be a mount of others too");
    }
    if !mount.is_bind() && mount.kind != "tmpfs" {
        refuse("/type", "only a bind or a tmpfs can be added to a container that runs");
    }
    if mount.options.iter().any(|option| ["tmpcopyup", "copy-symlink", "remount"].contains(&option.as_str()))
    {
        refuse("/options", "tmpcopyup, copy-symlink and remount are for a container that is made");
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::problems("mount", problems)) }
}

/// Attaches a mount.
pub(crate) fn mount(state: &State, init: Init, mount: &Mount, what: &str) -> Result<()> {
    let item = resolve::mount(&state.config, mount)
        .map_err(|error| Error::io(format!("{what}: {}", mount.source.display()), error))?;
    let inside = found(&init, what)?;
    run(compile::mount_inside(&item, &inside), (state, init), what)
}

/// Detaches the mount on `place`, with all that lies in it.
pub(crate) fn unmount(state: &State, init: Init, place: &Path, what: &str) -> Result<()> {
    let inside = found(&init, what)?;
    run(compile::unmount_inside(place, &inside), (state, init), what)
}

/// As [`inside`]. The files in `/proc` of one that has ended are closed to everyone.
fn found(init: &Init, what: &str) -> Result<InsideSetup> {
    inside(init.pid).map_err(|error| match init.is_ending() {
        Ok(true) => Error::new(ErrorKind::WrongState, format!("{what}: the container has ended")),
        _ => error,
    })
}

fn inside(pid: Pid) -> Result<InsideSetup> {
    let (namespaces, setgroups_denied) = way_in(pid)?;
    if namespaces & NamespaceKind::Mount.flag() == 0 {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("process {pid} is in the caller's own mount namespace"),
        ));
    }
    Ok(InsideSetup { namespaces, setgroups_denied, cgroup: None })
}

fn run(
    errand: std::result::Result<Errand, libcontainer_plan::SealError>,
    (state, init): (&State, Init),
    what: &str,
) -> Result<()> {
    let Errand { plan, target, end } = errand.map_err(|error| Error::seal(what, error))?;
    let failed = |error| Error::io(what, error);
    let mut launch = Launch::new(plan);
    let (reader, writer) = libcontainer_plan::pipe().map_err(failed)?;
    launch.give(target, init.pidfd);
    launch.give(end, reader);
    let launched = launch.run().map_err(|error| {
        let error = Error::launch(what, group::explain(error, &[], || None));
        cut_off(state, error).unwrap_or_else(|error| error)
    })?;
    drop(writer);
    launched.wait().map(drop).map_err(failed)
}
