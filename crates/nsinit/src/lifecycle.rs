//! run, create, start, exec, kill, delete.

use std::path::Path;
use std::time::Duration;

use libcontainer::{Container, ErrorKind, Factory, Process, ProcessConfig, RunState, Stdio};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::arguments::{CreateArgs, ExecArgs, RunArgs};
use crate::failure::{Failure, Named, Outcome, both};
use crate::pid_file::PidFile;
use crate::root::State;
use crate::{bundle, foreground, program, trial};

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

type Make = fn(
    &Factory,
    std::path::PathBuf,
    &libcontainer::Config,
    ProcessConfig,
) -> libcontainer::Result<(Container, Process)>;

fn make(root: &State, args: CreateArgs, detached: bool, make: Make) -> Result<(Container, Process), Failure> {
    let path = root.container(&args.id)?;
    let mut config = bundle::load(&args.bundle, args.strict)?;
    root.adapt(&mut config);
    let program = if args.args.is_empty() { config.args.iter().map(Into::into).collect() } else { args.args };
    if program.is_empty() {
        return Err(Failure::new("no program: give one behind the name, or as \"args\" in container.json"));
    }
    if config.tty && detached {
        let text = "\"tty\" in container.json: nobody would hold the terminal of a container that is left alone; \
                    use run without --detach, or exec --tty";
        return Err(Failure::new(text));
    }
    let process = ProcessConfig { terminal: config.tty, ..ProcessConfig::new(program).inherited() };
    let pid_file = args.pid_file.as_deref().map(PidFile::prepare).transpose()?;
    root.ready()?;
    let factory = Factory::new()?;
    bundle::warn(&config, factory.probe());
    let made =
        make(&factory, path.clone(), &config, process).map_err(|error| not_made(&path, &args.id, error))?;
    match pid_file.map_or(Ok(()), |file| file.write(made.1.pid())) {
        Ok(()) => Ok(made),
        Err(failure) => both(Err(failure), made.0.destroy().map_err(Failure::from)).map(|_| made),
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

pub(crate) fn load(root: &State, id: &str) -> Result<Container, Failure> {
    let path = root.container(id)?;
    Factory::new()?.load(&path).map_err(|error| match there(&path) {
        Ok(false) if error.kind() == ErrorKind::NotFound => {
            let path = path.display();
            Failure::new(format!(
                "container {id:?} does not exist (no {path}; nsinit list shows those that do)"
            ))
        }
        _ => error.into(),
    })
}

pub(crate) fn start(root: &State, id: &str) -> Outcome {
    load(root, id)?.run().map_err(|error| program::failure(&error))?;
    Ok(0)
}

pub(crate) fn exec(root: &State, args: ExecArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    let container = load(root, &args.id)?;
    let config = container.config();
    let mut env: Vec<std::ffi::OsString> = config.environment.iter().map(Into::into).collect();
    env.extend(args.env);
    let stdio = |detached: bool| if detached { Stdio::Null } else { Stdio::Inherit };
    let process = ProcessConfig {
        env: Some(env),
        cwd: args.cwd,
        user: args.user,
        terminal: args.tty,
        stdin: stdio(args.detach),
        stdout: Stdio::Inherit,
        stderr: Stdio::Inherit,
        ..ProcessConfig::new(args.args)
    };
    let pid_file = args.pid_file.as_deref().map(PidFile::prepare).transpose()?;
    let mut process = container.start(process).map_err(|error| program::failure(&error))?;
    if let Err(failure) = pid_file.map_or(Ok(()), |file| file.write(process.pid())) {
        // Whoever can't learn its number has no way to end it.
        return both(Err(failure), end(&mut process));
    }
    if args.detach {
        return Ok(0);
    }
    foreground::wait(&signals, &mut process)
}

/// Kills a process and waits for it.
fn end(process: &mut Process) -> Result<(), Failure> {
    match process.signal(Signal::SIGKILL as i32) {
        // It has ended by itself.
        Err(error) if error.errno() == Some(Errno::ESRCH as i32) => {}
        result => result?,
    }
    process.wait()?;
    Ok(())
}

pub(crate) fn kill(root: &State, id: &str, signal: &str) -> Outcome {
    let unknown =
        || Failure::usage(format!("unknown signal {signal:?}: a name such as TERM or SIGTERM, or 1 to 64"));
    let number = signal_number(signal).ok_or_else(unknown)?;
    load(root, id)?.signal(number)?;
    Ok(0)
}

pub(crate) fn pause(root: &State, id: &str) -> Outcome {
    load(root, id)?.pause_within(Duration::from_secs(10))?;
    Ok(0)
}

pub(crate) fn resume(root: &State, id: &str) -> Outcome {
    load(root, id)?.resume()?;
    Ok(0)
}

/// A signal by number, or by name with or without `SIG`.
fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    Signal::iterator().find(|signal| signal.as_str() == name).map(|signal| signal as i32)
}

pub(crate) fn delete(root: &State, id: &str, force: bool) -> Outcome {
    let path = root.container(id)?;
    if force {
        Factory::new()?.destroy(&path)?;
    } else {
        match load(root, id) {
            // A trial that was killed at its very beginning has no container yet.
            Err(_) if !there(&path)? && trial::has_left(&path)? => {}
            container => delete_ended(&container?)?,
        }
    }
    trial::remove_left(&path)?;
    Ok(0)
}

fn delete_ended(container: &Container) -> Result<(), Failure> {
    match container.run_state()? {
        // Whoever makes one holds its lock: what is half-made now was left so.
        RunState::Stopped | RunState::Destroyed | RunState::Creating => Ok(container.destroy()?),
        state => {
            let text = format!("container {:?} is {state:?}: kill it first, or use --force", container.id());
            Err(Failure::new(text))
        }
    }
}

/// Whether a container's directory is there.
fn there(path: &Path) -> Result<bool, Failure> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        found => found.named(format_args!("lstat {}", path.display())).map(|_| true),
    }
}

#[cfg(test)]
mod tests {
    use super::signal_number;

    #[test]
    fn signals_by_name_and_number() {
        for (text, wanted) in
            [("TERM", Some(15)), ("SIGKILL", Some(9)), ("kill", Some(9)), ("9", Some(9)), ("64", Some(64))]
        {
            assert_eq!(signal_number(text), wanted, "{text}");
        }
        for text in ["SIGBOGUS", "999", "0", "-1", ""] {
            assert_eq!(signal_number(text), None, "{text}");
        }
    }
}
