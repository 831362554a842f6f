//! `try`: a container made of nothing but what this host has.

mod made_of;
mod network;
mod scratch;

use std::fs;
use std::io::Write;
use std::path::Path;

use libcontainer::{Factory, Process};

use crate::arguments::TryArgs;
use crate::failure::{Failure, Named, Outcome, both, shown};
use crate::root::State;
use crate::streams::note;
use crate::{foreground, program, timeline};
use made_of::{host, itself};
use scratch::Scratch;

pub(crate) use scratch::{has_left, owner_of, remove_left};

pub(crate) fn run(root: &State, args: &TryArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    let scratch = Scratch::new(root)?;
    let outcome = tried(&scratch, args, &signals);
    both(outcome, scratch.remove())
}

fn tried(scratch: &Scratch, args: &TryArgs, signals: &foreground::Signals) -> Outcome {
    let shown = args.command.is_empty();
    let (mut config, process) = if shown { itself(scratch)? } else { host(scratch, args)? };
    if args.net {
        let root = nix::unistd::geteuid().is_root();
        config.networks.push(if root { network::private()? } else { network::borrowed() });
    }
    let factory = Factory::new()?.trace(shown || args.timeline.is_some());
    let (container, mut process) =
        factory.run(&scratch.container, &config, process).map_err(|error| program::failure(&error))?;
    let drawn = args.timeline.as_deref().map_or(Ok(()), |file| draw(file, &process));
    let outcome = drawn.and_then(|()| {
        if shown {
            tell(&mut process);
        }
        foreground::wait(signals, &mut process)
    });
    both(outcome, container.destroy().map_err(Failure::from))
}

fn draw(file: &Path, process: &Process) -> Result<(), Failure> {
    fs::write(file, timeline::svg(&process.timeline)).named(format_args!("--timeline {}", file.display()))
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
