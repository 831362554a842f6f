//! `containerd-shim-nsinit-v2`: holds the containers of a pod for containerd, with the library within: no program is started per call.

#![deny(unsafe_code)]

mod about;
mod arguments;
mod begin;
mod checkpoint;
mod create;
mod detached;
mod end;
mod ending;
mod events;
mod exec;
mod fifo;
mod grouping;
mod journal;
mod left;
mod metrics;
mod oom;
mod options;
mod place;
mod process;
mod pump;
mod ready;
mod rootfs;
mod serve;
mod service;
mod streams;
mod task;
mod trouble;

use std::io::Write;
use std::process::ExitCode;

use arguments::{Action, Arguments};
use trouble::Trouble;

fn main() -> ExitCode {
    libcontainer::plan::heed_children();
    let done = Arguments::parse(std::env::args().skip(1)).and_then(|arguments| run(&arguments));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(std::io::stderr(), "containerd-shim-nsinit-v2: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Trouble> {
    match arguments.action {
        Action::Start => begin::run(arguments),
        Action::Delete => end::run(arguments),
        Action::Serve => serve::run(arguments),
        Action::Version => about::version(),
        Action::Info => about::info(),
    }
}
