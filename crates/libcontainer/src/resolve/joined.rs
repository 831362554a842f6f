//! Namespaces that an init is to join, as descriptors of the host's, and the root in a mount namespace that is not the container's own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libcontainer_plan::{namespace_link, namespace_owner, open_namespace};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::config::{Config, Namespace, NamespaceKind};
use crate::error::named;

/// Opens the namespace files that are to be joined, and makes sure that they are what the config says.
pub(crate) fn open_namespaces(config: &Config) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    for (kind, path) in joins(config) {
        let failed =
            |error: io::Error| named(format!("/namespaces/{}: {}", kind.key(), path.display()), error);
        all.push(open_namespace(path, kind.flag(), kind.file()).map_err(failed)?);
    }
    Ok(all)
}

/// What the joined namespaces are, for the read-back.
pub(crate) fn links(config: &Config, joined: &[OwnedFd]) -> io::Result<Vec<String>> {
    joins(config).zip(joined).map(|((kind, _), fd)| namespace_link(kind.file(), fd)).collect()
}

/// The root of a container in a mount namespace that others have too, which is the host's or one that is joined: a directory of that namespace. `None`
/// if the container makes its own.
///
/// # Errors
/// That of a call; or the namespace belongs to other users than those that the container has: their files would be run with its rights.
pub(crate) fn open_root(config: &Config, joined: &[OwnedFd]) -> io::Result<Option<OwnedFd>> {
    let path = if config.rootfs.as_os_str().is_empty() { Path::new("/") } else { &config.rootfs };
    match config.namespaces.get(NamespaceKind::Mount) {
        Some(Namespace::New) => Ok(None),
        None => open_dir(path, ResolveFlag::empty()).map(Some),
        Some(Namespace::Join(namespace)) => {
            let failed = |error| named(format!("/namespaces/NEWNS: {}", namespace.display()), error);
            let of =
                |kind| joins(config).zip(joined).find(|((one, _), _)| *one == kind).map(|(_, fd)| fd.as_fd());
            let mount = of(NamespaceKind::Mount).ok_or_else(|| failed(io::Error::other("is not open")))?;
            belongs(mount, of(NamespaceKind::User)).map_err(failed)?;
            open_inside(mount, path).map(Some).map_err(failed)
        }
    }
}

fn joins(config: &Config) -> impl Iterator<Item = (NamespaceKind, &Path)> {
    config.namespaces.iter().filter_map(|(kind, namespace)| match namespace {
        Namespace::New => None,
        Namespace::Join(path) => Some((kind, path.as_path())),
    })
}

/// Who may change the mounts of a namespace is root of the user namespace to which it belongs: for anybody else what is run from there is no one's but his.
fn belongs(mount: BorrowedFd<'_>, user: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let owner =
        namespace_owner(mount).map_err(|error| named("ask for its user namespace".to_owned(), error))?;
    let own = match user {
        Some(user) => namespace_link("user", user)?,
        None => std::fs::read_link("/proc/thread-self/ns/user")?.to_string_lossy().into_owned(),
    };
    if owner == own {
        return Ok(());
    }
    let text = format!(
        "belongs to the user namespace {owner}, and the container would be in {own}: join that too (NEWUSER)"
    );
    Err(io::Error::other(text))
}

/// By a thread, which is in the namespace afterwards and ends.
fn open_inside(namespace: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let call = |what: &str, errno: nix::errno::Errno| named(what.to_owned(), errno.into());
    let opened = libcontainer_thread::apart("mount-setns", || {
        // ORDER: who shares root and working directory with other threads can't enter.
        unshare(CloneFlags::CLONE_FS).map_err(|errno| call("unshare(CLONE_FS)", errno))?;
        setns(namespace, CloneFlags::CLONE_NEWNS).map_err(|errno| call("setns(CLONE_NEWNS)", errno))?;
        // What is mounted there may be a procfs, whose links lead out of it.
        open_dir(path, ResolveFlag::RESOLVE_NO_MAGICLINKS)
    })?;
    opened.unwrap_or_else(|| Err(io::Error::other("the thread that looks into it ended early")))
}

fn open_dir(path: &Path, resolve: ResolveFlag) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat2(AT_FDCWD, path, OpenHow::new().flags(flags).resolve(resolve))
        .map_err(|errno| named(format!("open {} as root", path.display()), errno.into()))
}
