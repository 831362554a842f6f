//! `try`: a container made of nothing but what this host has.

mod made_of;
mod network;
mod scratch;
mod warm;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use libcontainer::{Config, Factory, Process};

use crate::arguments::TryArgs;
use crate::failure::{Failure, Named, Outcome, both, shown};
use crate::root::State;
use crate::streams::note;
use crate::{foreground, program, timeline};
use made_of::{host, itself};
use scratch::Scratch;

pub(crate) use scratch::{has_left, owner_of, remove_left};

#[inline(never)]
pub(crate) fn run(root: &State, args: &TryArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    let drawing = args.timeline.as_deref().map(open).transpose()?;
    let scratch = Scratch::new(root)?;
    let outcome = tried(&scratch, args, &signals, drawing);
    both(outcome, scratch.remove())
}

/// What `try` makes of this host for a command, for other uses.
pub(crate) struct Ground {
    scratch: Scratch,
    /// The container.
    pub(crate) config: Config,
}

impl Ground {
    pub(crate) fn new(root: &State, command: Vec<OsString>) -> Result<Self, Failure> {
        let scratch = Scratch::new(root)?;
        let args = TryArgs { command, ..TryArgs::default() };
        match host(&scratch, &args) {
            Ok((config, _)) => Ok(Self { scratch, config }),
            Err(failure) => {
                let config = Config::default();
                both(Err(failure), scratch.remove()).map(|_| Self { scratch, config })
            }
        }
    }

    pub(crate) fn container(&self) -> &Path {
        &self.scratch.container
    }

    /// What a container may still use stays, for `delete` to remove with it.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        self.scratch.remove()
    }
}

fn tried(
    scratch: &Scratch,
    args: &TryArgs,
    signals: &foreground::Signals,
    drawing: Option<Drawing>,
) -> Outcome {
    let shown = args.command.is_empty();
    let (mut config, process) = if shown { itself(scratch)? } else { host(scratch, args)? };
    if args.net {
        let root = nix::unistd::geteuid().is_root();
        config.networks.push(if root { network::private()? } else { network::borrowed() });
    }
    if args.warm {
        return warm::run(scratch.dir(), &config, process, signals);
    }
    let factory = Factory::new()?.trace(shown || args.timeline.is_some());
    let (container, mut process) =
        factory.run(&scratch.container, &config, process).map_err(|error| program::failure(&error))?;
    let drawn = drawing.map_or(Ok(()), |drawing| draw(drawing, &process));
    let outcome = drawn.and_then(|()| {
        if shown {
            tell(&mut process);
        }
        foreground::wait(signals, &mut process)
    });
    both(outcome, container.destroy().map_err(Failure::from))
}

/// The file of a drawing, and its name for errors.
type Drawing = (File, String);

/// Opened before there is anything to draw, so that a wrong path is told first. What is in the file stays until then.
fn open(path: &Path) -> Result<Drawing, Failure> {
    let name = format!("--timeline {}", path.display());
    let file = File::options().write(true).create(true).truncate(false).open(path).named(&name)?;
    Ok((file, name))
}

fn draw((mut file, name): Drawing, process: &Process) -> Result<(), Failure> {
    let text = timeline::svg(&process.timeline);
    // Also to what can't be cut, as a pipe.
    let cut = if file.metadata().named(&name)?.is_file() { file.set_len(0) } else { Ok(()) };
    cut.and_then(|()| file.write_all(text.as_bytes())).named(name)
}

/// Passes the times of the start to the program inside, by its standard input.
fn tell(process: &mut Process) {
    let text = timeline::stages(&process.timeline);
    if let Some(mut stdin) = process.stdin.take() {
        if let Err(error) = stdin.write_all(text.as_bytes()) {
            note(format_args!("pass the times of the start: {}", shown(&error)));
        }
    }
}
