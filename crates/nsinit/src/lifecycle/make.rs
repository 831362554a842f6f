//! run, create and start.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use libcontainer::{Config, Container, ErrorKind, Factory, Process, ProcessConfig, RunState};

use super::{factory, hand_over, load, plain_newlines, there};
use crate::arguments::{CreateArgs, RunArgs};
use crate::bundle::{self, Bundle};
use crate::console::Sockets;
use crate::failure::{Failure, Outcome, both};
use crate::foreground;
use crate::handed::Handed;
use crate::notify::{self, Address, Place, Proxy};
use crate::pid_file::PidFile;
use crate::pointers::Words;
use crate::program;
use crate::root::State;

/// How far it is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Create,
    Run,
    /// To run on alone.
    Leave,
}

impl Aim {
    fn make(
        self,
        factory: &Factory,
        path: &Path,
        config: &Config,
        process: ProcessConfig,
    ) -> Result<(Container, Process), libcontainer::Error> {
        match self {
            Self::Create => factory.create_with(path, config, process),
            Self::Run | Self::Leave => factory.run(path, config, process),
        }
    }
}

#[inline(never)]
pub(crate) fn run(root: &State, args: RunArgs) -> Outcome {
    let RunArgs { detach, keep, create } = args;
    let bundle = asked(root, &create)?;
    // ORDER: behind the config, which may be a pipe that nobody writes to: until then a signal simply ends this.
    let signals = foreground::Signals::take()?;
    let aim = if detach { Aim::Leave } else { Aim::Run };
    let Made { container, mut process, proxy } = make(root, (create, bundle), aim)?;
    if detach {
        let main = process.pid().as_raw().unsigned_abs();
        return proxy.map_or(Ok(()), |proxy| proxy.wait(&process, main, Some(signals.as_fd()))).map(|()| 0);
    }
    let outcome = foreground::wait_notified(&signals, &mut process, proxy);
    both(outcome, if keep { Ok(()) } else { destroy(&container) })
}

#[inline(never)]
pub(crate) fn create(root: &State, args: CreateArgs) -> Outcome {
    let bundle = asked(root, &args)?;
    make(root, (args, bundle), Aim::Create)?;
    Ok(0)
}

#[inline(never)]
pub(crate) fn start(root: &State, id: &str) -> Outcome {
    let container = load(root, id)?;
    let run = || container.run().map_err(|error| program::failure(&error));
    let Some((proxy, process)) = notified(&container)? else { return run().map(|()| 0) };
    run()?;
    proxy.wait(&process, process.pid().as_raw().unsigned_abs(), None)?;
    Ok(0)
}

/// What hands on that the program is ready, if the caller of `create` and that of `start` want it, and the first process.
fn notified(container: &Container) -> Result<Option<(Proxy, Process)>, Failure> {
    let Some(address) = Address::asked(&[])? else { return Ok(None) };
    let Some(place) = Place::of(container.path())? else { return Ok(None) };
    // Of one that runs the socket is somebody's; the start tells what is wrong.
    if container.run_state()? != RunState::Created {
        return Ok(None);
    }
    let host = address.connect()?;
    let process = container.init_process()?;
    Ok(Some((place.listen(host)?, process)))
}

/// A container that was made.
pub(super) struct Made {
    pub(super) container: Container,
    pub(super) process: Process,
    pub(super) proxy: Option<Proxy>,
}

/// What is to be made.
fn asked(root: &State, args: &CreateArgs) -> Result<Bundle, Failure> {
    root.container(&args.id)?;
    bundle::load(root, args)
}

fn make(root: &State, (args, bundle): (CreateArgs, Bundle), aim: Aim) -> Result<Made, Failure> {
    let path = root.container(&args.id)?;
    let Bundle { mut config, terminal_size, words } = bundle;
    let program = if args.args.is_empty() { config.args.iter().map(Into::into).collect() } else { args.args };
    if program.is_empty() {
        let text = "no program: the config has none (/process in config.json, /args in container.json), and none stands behind the name";
        return Err(Failure::new(text));
    }
    terminal(&config, aim != Aim::Run, args.process.console_socket.is_some())?;
    let sockets = Sockets::connect(&args.process)?;
    let handed = Handed::take(args.process.preserve_fds)?;
    let pid_file = args.process.pid_file.as_deref().map(PidFile::prepare).transpose()?;
    let address = Address::asked(&config.environment)?;
    let host = address.as_ref().filter(|_| aim != Aim::Create).map(Address::connect).transpose()?;
    root.ready()?;
    let place = address.map(|_| place(&path, &args.id, &mut config)).transpose()?;
    let copied = config.tty && aim == Aim::Run && !sockets.console();
    let terminal_size = foreground::first_size(copied, terminal_size);
    // Of the first process alone: who joins later is handed nothing.
    let mut env: Vec<OsString> =
        config.environment.iter().chain(&handed.environment).map(Into::into).collect();
    env.extend(place.as_ref().map(|_| Place::variable()));
    let process = ProcessConfig {
        env: Some(env),
        terminal: config.tty,
        terminal_size,
        plain_newlines: plain_newlines(&sockets),
        preserved: handed.descriptors,
        ..ProcessConfig::new(program).inherited()
    };
    let made = listen(place.as_ref(), host).and_then(|proxy| {
        let factory = match aim {
            Aim::Create => factory()?,
            // They are blocked, as those that come later are the program's.
            Aim::Run | Aim::Leave => factory()?.break_off(foreground::is_asked_to_end),
        };
        bundle::warn(&config, factory.probe());
        let made = aim.make(&factory, &path, &config, process);
        let (container, process) = made.map_err(|error| not_made(&path, &args.id, error, words.as_ref()))?;
        handed_over(Made { container, process, proxy }, &sockets, pid_file)
    });
    // What can't be taken away is told behind what has failed.
    made.map_err(|failure| match place.map_or(Ok(()), |place| place.remove()) {
        Ok(()) => failure,
        Err(left) => failure.with(&left),
    })
}

/// The directory of a new container's socket; the container has it as a mount.
fn place(path: &Path, id: &str, config: &mut Config) -> Result<Place, Failure> {
    if there(path)? {
        return Err(exists(path, id));
    }
    let place = Place::make(path)?;
    config.mount_config.get_or_insert_default().mounts.push(place.mount());
    Ok(place)
}

fn listen(place: Option<&Place>, host: Option<UnixDatagram>) -> Result<Option<Proxy>, Failure> {
    place.zip(host).map(|(place, host)| place.listen(host)).transpose()
}

/// Gives the caller what it wants, or takes the container back.
pub(super) fn handed_over(
    mut made: Made,
    sockets: &Sockets,
    pid_file: Option<PidFile>,
) -> Result<Made, Failure> {
    match hand_over(&mut made.process, sockets, pid_file) {
        Ok(()) => Ok(made),
        Err(failure) => match destroy(&made.container) {
            Ok(()) => Err(failure),
            Err(left) => Err(failure.with(&left)),
        },
    }
}

/// Destroys a container, and what lies beside it.
pub(super) fn destroy(container: &Container) -> Result<(), Failure> {
    container.destroy()?;
    notify::remove_left(container.path())
}

/// Somebody has to hold the terminal, and nobody waits for one that doesn't come.
pub(super) fn terminal(config: &Config, detached: bool, socket: bool) -> Result<(), Failure> {
    let wrong = |text: &str| Err(Failure::new(text));
    match (config.tty, socket) {
        (true, false) if detached => wrong(
            "the config asks for a terminal, and nobody would hold the terminal of a container that is left alone: use --console-socket, \
             run without --detach, or exec --tty",
        ),
        (false, true) => wrong("--console-socket: the config asks for no terminal"),
        _ => Ok(()),
    }
}

pub(super) fn not_made(path: &Path, id: &str, error: libcontainer::Error, words: Option<&Words>) -> Failure {
    match error.kind() {
        ErrorKind::AlreadyExists => match there(path) {
            Ok(true) => exists(path, id),
            // Something else exists that the container was to have, or it can't be told.
            _ => error.into(),
        },
        _ => words.and_then(|words| words.of(&error)).unwrap_or_else(|| program::failure(&error)),
    }
}

fn exists(path: &Path, id: &str) -> Failure {
    let path = path.display();
    Failure::new(format!("container {id:?} already exists ({path}; nsinit delete removes it)"))
}
