//! run, create and start.

use std::path::{Path, PathBuf};

use libcontainer::{Config, Container, ErrorKind, Factory, Process, ProcessConfig};

use super::{factory, hand_over, load, there};
use crate::arguments::{CreateArgs, RunArgs};
use crate::bundle::{self, Bundle};
use crate::console::Sockets;
use crate::failure::{Failure, Outcome, both};
use crate::foreground;
use crate::handed::Handed;
use crate::pid_file::PidFile;
use crate::program;
use crate::root::State;

pub(crate) fn run(root: &State, args: RunArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    let RunArgs { detach, keep, create } = args;
    let (container, mut process) = make(root, create, detach, Factory::run)?;
    if detach {
        return Ok(0);
    }
    let outcome = foreground::wait(&signals, &mut process);
    both(outcome, if keep { Ok(()) } else { container.destroy().map_err(Failure::from) })
}

pub(crate) fn create(root: &State, args: CreateArgs) -> Outcome {
    make(root, args, true, Factory::create_with)?;
    Ok(0)
}

pub(crate) fn start(root: &State, id: &str) -> Outcome {
    load(root, id)?.run().map_err(|error| program::failure(&error))?;
    Ok(0)
}

type Make = fn(&Factory, PathBuf, &Config, ProcessConfig) -> libcontainer::Result<(Container, Process)>;

fn make(root: &State, args: CreateArgs, detached: bool, make: Make) -> Result<(Container, Process), Failure> {
    let path = root.container(&args.id)?;
    let Bundle { mut config, terminal_size, .. } = bundle::load(root, &args)?;
    let program = if args.args.is_empty() { config.args.iter().map(Into::into).collect() } else { args.args };
    if program.is_empty() {
        return Err(Failure::new("no program: give one behind the name, or as \"args\" in the config"));
    }
    let sockets = Sockets::connect(&args.process)?;
    terminal(&config, detached, &sockets)?;
    let handed = Handed::take(args.process.preserve_fds)?;
    config.environment.extend(handed.environment);
    let pid_file = args.process.pid_file.as_deref().map(PidFile::prepare).transpose()?;
    let process = ProcessConfig {
        terminal: config.tty,
        terminal_size,
        preserved: handed.descriptors,
        ..ProcessConfig::new(program).inherited()
    };
    root.ready()?;
    let factory = factory()?;
    bundle::warn(&config, factory.probe());
    let made = make(&factory, path.clone(), &config, process);
    let (container, mut process) = made.map_err(|error| not_made(&path, &args.id, error))?;
    match hand_over(&mut process, &sockets, pid_file) {
        Ok(()) => Ok((container, process)),
        Err(failure) => {
            let undone = container.destroy().map_err(Failure::from);
            both(Err(failure), undone).map(|_| (container, process))
        }
    }
}

/// Somebody has to hold the terminal, and nobody waits for one that doesn't come.
fn terminal(config: &Config, detached: bool, sockets: &Sockets) -> Result<(), Failure> {
    let wrong = |text: &str| Err(Failure::new(text));
    match (config.tty, sockets.console()) {
        (true, false) if detached => wrong(
            "the config asks for a terminal, and nobody would hold the terminal of a container that is left alone: give --console-socket, \
             use run without --detach, or exec --tty",
        ),
        (false, true) => wrong("--console-socket: the config asks for no terminal"),
        _ => Ok(()),
    }
}

fn not_made(path: &Path, id: &str, error: libcontainer::Error) -> Failure {
    match error.kind() {
        ErrorKind::AlreadyExists => match there(path) {
            Ok(true) => {
                let path = path.display();
                Failure::new(format!("container {id:?} already exists ({path}; nsinit delete removes it)"))
            }
            // Something else exists that the container was to have, or it can't be told.
            _ => error.into(),
        },
        _ => program::failure(&error),
    }
}
