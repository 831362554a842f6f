//! Hooks run: with the host, in the namespaces of an init that waits, or as a process that joins.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use libcontainer_plan::Launch;
use libcontainer_security::seccomp::notify::ContainerState;

use super::host::Host;
use super::inside::way_in;
use super::join::{Joined, enter, group_setup, join_as, open_group};
use crate::compile::{self, Compiled, Given};
use crate::config::{Config, Hook};
use crate::error::{Error, FailedHook, Result};
use crate::hooks::{BreakOff, Cause, Heard, HookFailure, Moment, input, output, wait};
use crate::process::{Process, ProcessConfig, Stdio};
use crate::record::{Init, State};
use crate::resolve;
use crate::setup::{HookSetup, InsideSetup};

/// Whose hooks they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    pub(super) config: &'a Config,
    pub(super) id: &'a str,
    /// The container's directory.
    pub(super) dir: &'a Path,
    /// Who may want to break off.
    pub(super) host: &'a Host,
}

/// A container whose first process waits, as hooks in it need to know it.
pub(super) struct Waiting<'a> {
    pub(super) host: &'a Host,
    pub(super) state: &'a State,
    pub(super) init: Init,
}

/// A hook that runs, or why it does not.
type Started = std::result::Result<Process, Cause>;
type Ran = std::result::Result<(), FailedHook>;

impl Of<'_> {
    /// Runs all of a moment with the host, in their order, up to the first that fails. `pid` is that of the first process; 0 if it has ended.
    pub(super) fn all_on_host(&self, moment: Moment, pid: i32) -> Ran {
        (0..moment.of(&self.config.hooks).len()).try_for_each(|index| self.on_host(moment, index, pid))
    }

    /// Runs one with the host.
    pub(super) fn on_host(&self, moment: Moment, index: usize, pid: i32) -> Ran {
        let cwd = self.config.bundle_or(Path::new("/"));
        self.run(moment, index, pid, |hook, stdin, output| {
            let setup = HookSetup { cwd: cwd.to_owned(), ..setup(hook) };
            launch(&setup, (stdin, output), |_, _| Ok(())).map_err(|error| not_run(&error))
        })
    }

    /// Runs one in the container's namespaces, with the host's root, in which the path is looked up now.
    pub(super) fn inside(&self, moment: Moment, index: usize, waiting: Waiting<'_>) -> Ran {
        let pid = waiting.init.pid.as_raw();
        self.run(moment, index, pid, |hook, stdin, output| {
            let program = program(&hook.path).map_err(|error| unopened(&error))?;
            inside(self.id, hook, program, (stdin, output), waiting).map_err(|error| not_run(&error))
        })
    }

    /// Runs one in the container, as its user and confined like its program.
    pub(super) fn within(&self, moment: Moment, index: usize, waiting: Waiting<'_>) -> Ran {
        let pid = waiting.init.pid.as_raw();
        self.run(moment, index, pid, |hook, stdin, output| {
            let joined = Joined { id: self.id, dir: self.dir, init: waiting.init };
            let config = ProcessConfig {
                args: argv(hook).into_iter().map(into_os).collect(),
                env: (!hook.inherit_env).then(Vec::new),
                stdin: Stdio::Fd(stdin),
                stdout: Stdio::Fd(output),
                stderr: Stdio::Stdout,
                ..ProcessConfig::default()
            };
            join_as(&waiting.host.plain(), waiting.state, joined, config, |process| {
                process.candidates = vec![hook.path.clone()];
                // What joins has a HOME, a hook what it says.
                let inherited = if hook.inherit_env { std::mem::take(&mut process.env) } else { Vec::new() };
                process.env = environment(hook, inherited);
            })
            .map_err(|error| not_run(&error))
        })
    }

    fn run(
        &self,
        moment: Moment,
        index: usize,
        pid: i32,
        start: impl FnOnce(&Hook, OwnedFd, OwnedFd) -> Started,
    ) -> Ran {
        let Some(hook) = moment.of(&self.config.hooks).get(index) else { return Ok(()) };
        let failed = |cause, heard| {
            let path = hook.path.clone();
            Err(HookFailure { moment, index, path, cause, heard }.into())
        };
        let started = || -> std::result::Result<(Process, File), Cause> {
            let io = |error| not_run(&Error::io("make its input and output", error));
            let state = self.state(moment, pid).map_err(|error| not_run(&error))?;
            let stdin = input(&state).map_err(io)?;
            let (ours, theirs) = output().map_err(io)?;
            Ok((start(hook, stdin, theirs)?, ours))
        };
        match started() {
            Err(cause) => failed(cause, Heard::default()),
            Ok((process, output)) => match wait(&process, output, hook.timeout, self.break_off(moment)) {
                Ok(_) => Ok(()),
                Err((cause, heard)) => failed(cause, heard),
            },
        }
    }

    /// ORDER: not behind the end, which whoever breaks off is on the way to.
    fn break_off(&self, moment: Moment) -> Option<&BreakOff> {
        self.host.break_off.as_ref().filter(|_| moment != Moment::Poststop)
    }

    /// OCI's state of the container, as JSON.
    fn state(&self, moment: Moment, pid: i32) -> Result<Vec<u8>> {
        let state = ContainerState {
            id: self.id.to_owned(),
            status: moment.status().to_owned(),
            pid,
            bundle: std::path::absolute(self.config.bundle_or(self.dir))
                .map_err(|error| Error::io("path of the bundle", error))?,
            annotations: self.config.labels.clone(),
            ..ContainerState::current()
        };
        serde_json::to_vec(&state).map_err(|error| Error::io("state as JSON", io::Error::other(error)))
    }
}

fn into_os(bytes: Vec<u8>) -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

fn argv(hook: &Hook) -> Vec<Vec<u8>> {
    if hook.args.is_empty() {
        return vec![hook.path.as_os_str().as_bytes().to_vec()];
    }
    hook.args.iter().map(|arg| arg.clone().into_bytes()).collect()
}

/// What the hook says, over what it inherits.
fn environment(hook: &Hook, mut inherited: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    inherited.extend(hook.env.iter().map(|entry| entry.clone().into_bytes()));
    resolve::without_doubles(inherited)
}

/// This process's environment, if the hook asks for it.
fn inherited(hook: &Hook) -> Vec<Vec<u8>> {
    let whole = std::env::vars_os().filter(|_| hook.inherit_env);
    whole.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect()
}

fn setup(hook: &Hook) -> HookSetup {
    HookSetup {
        path: hook.path.clone(),
        args: argv(hook),
        env: environment(hook, inherited(hook)),
        cwd: "/".into(),
        ..HookSetup::default()
    }
}

/// Of a failed exec the number is enough: the path is told anyway.
fn not_run(error: &Error) -> Cause {
    let text = match (error.step(), error.errno()) {
        (Some(step), Some(errno)) if step.call.starts_with("execve") => libcontainer_plan::errno_text(errno),
        _ => error.to_string(),
    };
    Cause::NotRun(text, error.errno())
}

fn unopened(error: &io::Error) -> Cause {
    let errno = error.raw_os_error();
    Cause::NotRun(errno.map_or_else(|| error.to_string(), libcontainer_plan::errno_text), errno)
}

fn inside(
    id: &str,
    hook: &Hook,
    program: Option<OwnedFd>,
    stdio: (OwnedFd, OwnedFd),
    waiting: Waiting<'_>,
) -> Result<Process> {
    let Waiting { state, init, .. } = waiting;
    let what = format!("enter {id:?}");
    let failed = |error| Error::io(what.clone(), error);
    let (namespaces, setgroups_denied) = way_in(init.pid)?;
    // A user's systemd alone could move it there.
    let is_moved = state.unit().is_some_and(|unit| unit.user);
    let cgroup = if is_moved { None } else { group_setup(state) };
    let group =
        if cgroup.is_some() { open_group(state, &ProcessConfig::default(), init.pid, &what)? } else { None };
    let inside = InsideSetup { namespaces, setgroups_denied, cgroup };
    let processes = inside.processes();
    let tasks = inside.cgroup.as_ref().map(|cgroup| cgroup.tasks.clone()).unwrap_or_default();
    let cwd = std::path::absolute(&state.config.rootfs).map_err(failed)?;
    let setup = HookSetup { is_open: program.is_some(), inside: Some(inside), cwd, ..setup(hook) };
    launch(&setup, stdio, |launch, given| {
        if let (Some(slot), Some(program)) = (given.program, program) {
            launch.give(slot, program);
        }
        if let Some(slot) = given.target {
            launch.give(slot, init.pidfd);
        }
        if let Some(group) = group {
            enter(launch, (given.tasks, &tasks), (state, group), processes).map_err(failed)?;
        }
        Ok(())
    })
}

/// The program, open, by the host's root and with the host's rights; none for a script, which its interpreter opens by its path once more.
fn program(path: &Path) -> io::Result<Option<OwnedFd>> {
    let open = |flags| File::options().read(true).custom_flags(flags).open(path);
    let file = match open(libc::O_NONBLOCK | libc::O_NOCTTY) {
        // What may be run need not be open to be read: then it is no script.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return open(libc::O_PATH).map(|file| Some(file.into()));
        }
        file => file?,
    };
    let mut begin = [0; 2];
    let is_script = file.metadata()?.is_file() && file.read_at(&mut begin, 0)? == 2 && begin == *b"#!";
    Ok((!is_script).then(|| file.into()))
}

/// Starts a hook by a plan of its own.
fn launch(
    setup: &HookSetup,
    (stdin, output): (OwnedFd, OwnedFd),
    fill: impl FnOnce(&mut Launch, &Given) -> Result<()>,
) -> Result<Process> {
    const WHAT: &str = "start it";
    let Compiled { plan, given } = compile::hook(setup).map_err(|error| Error::seal(WHAT, error))?;
    let mut launch = Launch::new(plan);
    let again = output.as_fd().try_clone_to_owned().map_err(|error| Error::io(WHAT, error))?;
    for (slot, fd) in given.stdio.into_iter().flatten().zip([stdin, output, again]) {
        launch.give(slot, fd);
    }
    fill(&mut launch, &given)?;
    let launched = launch.run().map_err(|error| Error::launch(WHAT, error))?;
    Ok(Process::new(launched.pid, launched.pidfd))
}

/// Runs all after the container's end. What fails is a warning, and the others run all the same.
pub(super) fn after_end(host: &Host, of: Of<'_>) {
    for index in 0..of.config.hooks.poststop.len() {
        if let Err(failure) = of.on_host(Moment::Poststop, index, 0) {
            host.warn(&Error::hook(format!("destroy {:?}", of.id), failure));
        }
    }
}
