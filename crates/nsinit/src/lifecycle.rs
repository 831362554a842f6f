//! run, create, start, exec, kill, delete.

use std::path::Path;
use std::time::Duration;

use libcontainer::{Container, ErrorKind, Factory, Process, ProcessConfig, RunState, Stdio};

use crate::root::State;
use crate::{CreateArgs, ExecArgs, Failure, Outcome, RunArgs, bundle, foreground, program, trial};

pub(crate) fn run(root: &State, args: RunArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    let RunArgs { detach, keep, create } = args;
    let pid_file = create.pid_file.clone();
    let (container, mut process) = make(root, create, detach, Factory::run)?;
    if let Some(path) = &pid_file {
        pid_file_or_destroy(path, &container, &process)?;
    }
    if detach {
        return Ok(0);
    }
    let status = foreground::wait(&signals, &mut process);
    if !keep {
        container.destroy()?;
    }
    Ok(status?.shell_code())
}

pub(crate) fn create(root: &State, args: CreateArgs) -> Outcome {
    let pid_file = args.pid_file.clone();
    let (container, process) = make(root, args, true, Factory::create_with)?;
    if let Some(path) = &pid_file {
        pid_file_or_destroy(path, &container, &process)?;
    }
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
        return Err(Failure::new(
            1,
            "no program: give one behind the name, or as \"args\" in container.json",
        ));
    }
    if config.tty && detached {
        let text = "\"tty\" in container.json: nobody would hold the terminal of a container that is left alone; \
                    use run without --detach, or exec --tty";
        return Err(Failure::new(1, text));
    }
    let process = ProcessConfig { terminal: config.tty, ..ProcessConfig::new(program).inherited() };
    root.ready()?;
    let factory = Factory::new()?;
    make(&factory, path, &config, process).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(1, format!("container {:?} already exists", args.id)),
        _ => Failure::new(1, program::text(&error)),
    })
}

fn pid_file_or_destroy(path: &Path, container: &Container, process: &Process) -> Result<(), Failure> {
    foreground::write_pid(path, process.pid()).map_err(|error| {
        let text = format!("--pid-file {}: {error}", path.display());
        match container.destroy() {
            Ok(()) => Failure::new(1, text),
            Err(left) => Failure::new(1, format!("{text}; {left}")),
        }
    })
}

pub(crate) fn load(root: &State, id: &str) -> Result<Container, Failure> {
    let path = root.container(id)?;
    Factory::new()?.load(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(1, format!("container {id:?} does not exist")),
        _ => error.into(),
    })
}

pub(crate) fn start(root: &State, id: &str) -> Outcome {
    load(root, id)?.run().map_err(|error| Failure::new(1, program::text(&error)))?;
    Ok(0)
}

pub(crate) fn exec(root: &State, args: ExecArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    // 255 for what is not the process's own code, as runc does.
    let failed = |failure: Failure| Failure { code: 255, ..failure };
    let container = load(root, &args.id).map_err(failed)?;
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
    let mut process = container.start(process).map_err(|error| Failure::new(255, program::text(&error)))?;
    if let Some(path) = &args.pid_file {
        let named = |error| Failure::new(255, format!("--pid-file {}: {error}", path.display()));
        foreground::write_pid(path, process.pid()).map_err(named)?;
    }
    if args.detach {
        return Ok(0);
    }
    Ok(foreground::wait(&signals, &mut process)?.shell_code())
}

pub(crate) fn kill(root: &State, id: &str, signal: &str) -> Outcome {
    let number =
        signal_number(signal).ok_or_else(|| Failure::new(1, format!("unknown signal {signal:?}")))?;
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
    name.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}

pub(crate) fn delete(root: &State, id: &str, force: bool) -> Outcome {
    let path = root.container(id)?;
    if force {
        Factory::new()?.destroy(&path)?;
    } else {
        let container = load(root, id)?;
        match container.run_state()? {
            RunState::Stopped | RunState::Destroyed => container.destroy()?,
            state => {
                let text = format!("container {id:?} is {state:?}: kill it first, or use --force");
                return Err(Failure::new(1, text));
            }
        }
    }
    trial::remove_left(&path)?;
    Ok(0)
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
