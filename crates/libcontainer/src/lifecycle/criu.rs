//! criu started, and its directories.

use std::env;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use libcontainer_plan::{Launch, Launched, Pid};

use super::host::Host;
use crate::compile::{self, Compiled, Given, HostSteps};
use crate::config::{Config, NamespaceKind};
use crate::criu::{self, CriuOptions, Dirs, Mark, RequestKind, Session, connection};
use crate::error::{Error, ErrorKind, Result};
use crate::process::Process;
use crate::record::Store;
use crate::setup::CriuSetup;

/// The directories of a request, open.
#[derive(Debug)]
pub(super) struct Directories {
    images: (PathBuf, File),
    work: Option<(PathBuf, File)>,
}

impl Directories {
    /// Opens those that are there.
    pub(super) fn open(options: &CriuOptions) -> Result<Self> {
        let images = directory("images", &options.images)?;
        Ok(Self { images, work: options.work.as_deref().map(|path| made("work", path)).transpose()? })
    }

    /// Opens them, and makes what is missing.
    pub(super) fn make(options: &CriuOptions) -> Result<Self> {
        let images = made("images", &options.images)?;
        Ok(Self { images, work: options.work.as_deref().map(|path| made("work", path)).transpose()? })
    }

    /// Refuses a directory of images that is closed to root of a new user namespace: criu is that one when it opens the last of them.
    pub(super) fn let_in(&self, config: &Config) -> Result<()> {
        let root =
            config.uid_mappings.iter().find(|map| map.has(0)).map(|map| map.host_id - map.container_id);
        let Some(root) = root.filter(|root| config.namespaces.is_new(NamespaceKind::User) && *root != 0)
        else {
            return Ok(());
        };
        let (path, file) = (self.images.0.display(), &self.images.1);
        let data = file.metadata().map_err(|error| Error::io(format!("stat {path}"), error))?;
        if data.mode() & 0o001 != 0 || i64::from(data.uid()) == root {
            return Ok(());
        }
        let text = format!(
            "{path}: mode {:04o} keeps out user {root}, who is root in the container, and has to find images there (chmod o+x)",
            data.mode() & 0o7777
        );
        Err(Error::new(ErrorKind::InvalidConfig, text))
    }

    /// The same as a process with a mount namespace of its own has them: criu mounts something in its working directory, which has to be in its own tree.
    pub(super) fn seen_by(&self, pid: Pid) -> Result<Self> {
        let seen = |(path, _): &(PathBuf, File)| {
            let failed = |error| Error::io(format!("open {} as criu has it", path.display()), error);
            // Without links: one that begins at the root would lead to ours.
            let real = path.canonicalize().map_err(failed)?;
            let below = real.strip_prefix("/").unwrap_or(&real);
            let file = File::open(Path::new(&format!("/proc/{pid}/root")).join(below)).map_err(failed)?;
            Ok::<_, Error>((path.clone(), file))
        };
        Ok(Self { images: seen(&self.images)?, work: self.work.as_ref().map(seen).transpose()? })
    }

    pub(super) fn dirs(&self) -> Dirs<'_> {
        Dirs { images: self.images.1.as_fd(), work: self.work.as_ref().map(|(_, file)| file.as_fd()) }
    }

    pub(super) fn images(&self) -> &Path {
        &self.images.0
    }

    /// What criu's log says of a failure.
    pub(super) fn explain(&self, error: Error, kind: RequestKind) -> Error {
        let (dir, _) = self.work.as_ref().unwrap_or(&self.images);
        error.because(criu::errors(&dir.join(kind.log())))
    }
}

fn made(what: &str, path: &Path) -> Result<(PathBuf, File)> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io(format!("make the directory of {what}: mkdir {}", path.display()), error))
        }
        _ => directory(what, path),
    }
}

fn directory(what: &str, path: &Path) -> Result<(PathBuf, File)> {
    let failed = |error| Error::io(format!("open the directory of {what}: {}", path.display()), error);
    if path.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::InvalidConfig, format!("no directory of {what} is given")));
    }
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::Error::from_raw_os_error(libc::ENOTDIR)));
    }
    Ok((path.to_owned(), file))
}

/// A criu that is to be started.
pub(super) struct Start {
    pub(super) setup: CriuSetup,
    pub(super) host: HostSteps,
    /// Standard input, output and error.
    pub(super) stdio: Vec<OwnedFd>,
    /// What it has from 4 on.
    pub(super) handed: Vec<OwnedFd>,
}

/// The program, and the environment in which it is run: that of this process, as criu looks for its helpers and its settings by it.
pub(super) fn setup(host: &Host, options: &CriuOptions, mark: &Mark) -> Result<CriuSetup> {
    if !host.probe.is_root() {
        let text = "criu is run as root of the machine only: as an ordinary user, or in a user namespace, nothing can be checkpointed or restored";
        return Err(Error::new(ErrorKind::PermissionDenied, text));
    }
    let program = criu::program(options.program.as_deref())?;
    let pair = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        [name.as_bytes(), b"=", value.as_bytes()].concat()
    };
    let env = mark.put(env::vars_os().map(pair).collect());
    Ok(CriuSetup { program, env, shell_job: options.shell_job, ..CriuSetup::default() })
}

/// Starts it, by a sealed init. `fill` gives what else the plan wants.
pub(super) fn start(
    start: Start,
    (options, what): (&CriuOptions, &str),
    launch: impl FnOnce(libcontainer_plan::Plan, &Given) -> Launch,
) -> std::result::Result<Session, Error> {
    let failed = |error| Error::io(what, error);
    let Start { setup, host, stdio, handed } = start;
    let Compiled { plan, given } = compile::criu(&setup, host).map_err(|error| Error::seal(what, error))?;
    let (ours, theirs) = connection().map_err(failed)?;
    let mut launch = launch(plan, &given);
    for (slot, fd) in given.stdio.into_iter().flatten().zip(stdio) {
        launch.give(slot, fd);
    }
    for (slot, fd) in given.preserved.into_iter().zip(std::iter::once(theirs).chain(handed)) {
        launch.give(slot, fd);
    }
    let Launched { pid, pidfd, .. } = launch.run().map_err(|error| Error::launch(what, error))?;
    Ok(Session::new(ours, Process::new(pid, pidfd), options.silence))
}

/// Ends what is left of a criu whose starter was killed, or which was killed itself.
pub(super) fn end_left(store: &Store, what: &str) -> Result<()> {
    let failed = |error| Error::io(what, error);
    let Some(noted) = store.criu().map_err(failed)? else { return Ok(()) };
    // Without a text nothing was started.
    Mark::of(&noted).map_or(Ok(()), |mark| mark.end()).map_err(failed)?;
    // A mark that nothing has any more does no harm.
    let _ = store.forget_criu();
    Ok(())
}
