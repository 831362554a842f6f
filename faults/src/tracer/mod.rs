//! Runs a command under ptrace(2), tells whose call each is, and lets one of them fail.
//!
//! ptrace and not a seccomp notification: it sees the calls of a child that shares its parent's memory, those behind an exec, and those of an init that nobody
//! else may trace; a filter would be inherited by the container and would show there. `PTRACE_SEIZE` sends no signal, so a pid namespace's first process
//! is no exception, and neither are signals of the program itself.

mod calls;
mod events;
mod inject;
mod process;
mod state;

pub(crate) use process::{LIVING, is_stopped};
pub(crate) use state::{End, Job, Outcome, Seen};

use anyhow::{Context, Result, bail};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::fault::Who;
use crate::watch::Watch;
use state::Tracer;

/// Lets go of a thread that nobody follows any more: one born while its parent was let go of.
pub(crate) fn release(status: WaitStatus) {
    let (thread, signal) = match status {
        WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
        WaitStatus::PtraceEvent(thread, ..) | WaitStatus::PtraceSyscall(thread) => (thread, None),
        _ => return,
    };
    // One that was killed meanwhile has left by itself.
    let _ = ptrace::detach(thread, signal);
}

fn options() -> Options {
    Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEEXIT
        | Options::PTRACE_O_EXITKILL
}

/// Runs the job to the tool's end. What the tool leaves runs on, untraced.
pub(crate) fn run(mut job: Job<'_>, watch: &Watch) -> Result<Outcome> {
    let child = job.command.spawn().context("start the stage")?;
    let root = Pid::from_raw(i32::try_from(child.id())?);
    match waitpid(root, Some(WaitPidFlag::WUNTRACED))? {
        WaitStatus::Stopped(..) => {}
        other => bail!("the stage did not stop: {other:?}"),
    }
    ptrace::seize(root, options()).context("seize the stage")?;
    let inits = std::mem::take(&mut job.inits);
    let limit = job.limit;
    let mut tracer = Tracer::new(job, root);
    tracer.add(root, root, None);
    for init in inits {
        ptrace::seize(init, options()).context("seize the waiting init")?;
        ptrace::interrupt(init).context("interrupt the waiting init")?;
        tracer.add(init, init, Some(Who::Init));
    }
    kill(root, Signal::SIGCONT)?;
    let guard = watch.begin(root, limit);
    let end = tracer.follow()?;
    let hung = guard.end();
    tracer.settle(end)?;
    let Tracer { seen, hit, began, descriptors, .. } = tracer;
    Ok(Outcome { end, seen, hit, hung, began, descriptors })
}
