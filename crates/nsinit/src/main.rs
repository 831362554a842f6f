//! `nsinit`: containers from the command line.
#![forbid(unsafe_code)]

mod apparmor;
mod arguments;
mod bundle;
mod check;
mod clock;
mod completion;
mod console;
mod documents;
mod failure;
mod foreground;
mod handed;
mod inside;
mod lifecycle;
mod limits;
mod listing;
mod log;
#[cfg(test)]
mod manual;
mod measure;
mod mounts;
mod net;
mod notify;
mod output;
mod pid_file;
mod pointers;
mod processes;
mod program;
mod record;
mod removal;
mod root;
mod seccomp;
mod size;
mod stack;
mod streams;
mod timeline;
mod trial;
mod usage;
mod validate;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Cli, Command, Late};
use failure::{Failure, Outcome};
use seccomp::SeccompCommand;

fn main() -> ExitCode {
    libcontainer::plan::heed_children();
    match stack::check().and_then(|()| command()) {
        Ok(code) => ExitCode::from(code),
        // Whoever does not read on has what it wanted.
        Err(Failure::Unread) => ExitCode::SUCCESS,
        Err(Failure::Told { code, text }) => {
            log::tell(log::Level::Error, &format!("{text}{}", libcontainer::plan::remedy(&text)));
            ExitCode::from(code)
        }
    }
}

/// Apart from `main`, whose frame has to be a small one.
#[inline(never)]
fn command() -> Outcome {
    match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(answer) => output::answer(&answer),
    }
}

/// What each command calls is not inlined: it would have all commands in one function, and their locals in one frame.
fn run(cli: Cli) -> Outcome {
    log::open(&cli.global)?;
    let root = root::State::new(&cli.global)?;
    let rootless = cli.global.rootless == "true";
    match cli.command {
        Command::Try(Late(args)) => trial::run(&root, &args),
        Command::Run(Late(args)) => lifecycle::run(&root, args),
        Command::Create(Late(args)) => lifecycle::create(&root, args),
        Command::Start(Late(args)) => lifecycle::start(&root, &args.id),
        Command::Exec(Late(args)) => lifecycle::exec(&root, args),
        Command::List(Late(args)) => listing::list(&root, &args),
        Command::State(Late(args)) => listing::state(&root, &args.id),
        Command::Kill { id, signal, all } => lifecycle::kill(&root, &id, &signal, all),
        Command::Pause(Late(args)) => lifecycle::pause(&root, &args.id),
        Command::Resume(Late(args)) => lifecycle::resume(&root, &args.id),
        Command::Checkpoint(Late(args)) => lifecycle::checkpoint(&root, args),
        Command::Restore(Late(args)) => lifecycle::restore(&root, args),
        Command::Stats(Late(args)) => measure::stats(&root, &args),
        Command::Ps(Late(args)) => processes::ps(&root, &args),
        Command::Net(Late(args)) => net::net(&root, &args),
        Command::Mounts(Late(command)) => mounts::run(&root, command),
        Command::Update(Late(args)) => limits::update(&root, args),
        Command::Events(Late(args)) => measure::events(&root, &args),
        Command::Delete { force, regex: false, id } => lifecycle::delete(&root, &id, force),
        Command::Delete { force, regex: true, id } => lifecycle::delete_all(&root, &id, force),
        Command::Spec(Late(args)) => documents::spec(&args, rootless),
        Command::Features => documents::features(),
        Command::Validate(Late(args)) => validate::run(&root, &args),
        Command::Config(Late(args)) => bundle::print(&root, &args),
        Command::Explain(Late(args)) => bundle::explain(&root, &args),
        Command::Apparmor { command } => apparmor::run(command.unwrap_or(arguments::Apparmor::List)),
        Command::Check { json } => check::run(json),
        Command::Seccomp(Late(SeccompCommand::Look(command))) => seccomp::seccomp(&command),
        Command::Seccomp(Late(SeccompCommand::Record(args))) => record::record(&root, &args),
        Command::Completion { shell } => completion::run(shell),
        Command::Inside => inside::run(),
    }
}
