//! What the kernel reports of a command that is traced, and what is done then.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Event};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::state::{End, InCall, Tracer};
use super::{inject, process};
use crate::fault::Who;
use crate::watch::patience;

/// `PTRACE_EVENT_STOP` of linux/ptrace.h.
const EVENT_STOP: i32 = 128;
/// How long a program may take to begin when the tool has said that it runs.
const BEGIN: Duration = Duration::from_secs(3);

impl Tracer<'_> {
    pub(super) fn follow(&mut self) -> Result<End> {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                // RACE: a stop by a real-time signal, which nix has no name for.
                Err(Errno::EINVAL) => {
                    self.release_stopped();
                    continue;
                }
                Err(Errno::EINTR) => continue,
                other => other.context("wait for the tool")?,
            };
            if let Some(end) = self.handle(status)? {
                return Ok(end);
            }
        }
    }

    /// One report of the kernel; the end if it is that of the tool.
    fn handle(&mut self, status: WaitStatus) -> Result<Option<End>> {
        match status {
            WaitStatus::Exited(pid, code) => return Ok(self.ended(pid, End::Code(code))),
            WaitStatus::Signaled(pid, signal, _) => return Ok(self.ended(pid, End::Signal(signal))),
            WaitStatus::PtraceSyscall(thread) => self.at_call(thread)?,
            WaitStatus::PtraceEvent(thread, _, event) => self.at_event(thread, event),
            WaitStatus::Stopped(thread, signal) => self.go_on(thread, Some(signal)),
            _ => {}
        }
        Ok(None)
    }

    fn ended(&mut self, pid: Pid, end: End) -> Option<End> {
        self.threads.remove(&pid);
        // Their parent will not tell of them any more.
        for thread in std::mem::take(&mut self.early) {
            let (group, who) = self.guess(thread);
            self.adopt(thread, group, who);
        }
        (pid == self.root).then_some(end)
    }

    fn at_event(&mut self, thread: Pid, event: i32) {
        let is = |wanted: Event| event == wanted as i32;
        if is(Event::PTRACE_EVENT_CLONE) || is(Event::PTRACE_EVENT_FORK) || is(Event::PTRACE_EVENT_VFORK) {
            self.at_birth(thread);
        } else if is(Event::PTRACE_EVENT_EXEC) {
            return self.at_exec(thread);
        } else if is(Event::PTRACE_EVENT_EXIT) && thread == self.root {
            self.descriptors = process::descriptors(thread);
        } else if event == EVENT_STOP && !self.threads.contains_key(&thread) {
            self.early.insert(thread);
            return;
        }
        self.go_on(thread, None);
    }

    fn at_birth(&mut self, parent: Pid) {
        let Ok(number) = ptrace::getevent(parent) else { return };
        let child = Pid::from_raw(i32::try_from(number).unwrap_or(0));
        let Some(tracee) = self.threads.get(&parent) else { return };
        let same = process::group(child) == Some(tracee.group);
        let who = match tracee.who {
            Some(Who::Init) => Some(Who::Init),
            who if same => who,
            _ => Some(Who::Child),
        };
        let group = if same { tracee.group } else { child };
        if self.early.remove(&child) {
            self.adopt(child, group, who);
        } else {
            self.add(child, group, who);
        }
    }

    fn adopt(&mut self, thread: Pid, group: Pid, who: Option<Who>) {
        self.add(thread, group, who);
        self.go_on(thread, None);
    }

    /// Whose thread it is, if nobody tells.
    fn guess(&self, thread: Pid) -> (Pid, Option<Who>) {
        let group = process::group(thread).unwrap_or(thread);
        match self.threads.values().find(|tracee| tracee.group == group) {
            Some(tracee) => (group, tracee.who),
            None => (group, Some(Who::Child)),
        }
    }

    fn at_exec(&mut self, thread: Pid) {
        let Some(tracee) = self.threads.get_mut(&thread) else { return };
        let is_init = process::executes_init(thread);
        if let Some(walker) = &mut self.job.walker {
            walker.forget();
        }
        let who = tracee.who;
        // The exit of this call is still to come.
        tracee.in_call.get_or_insert_with(InCall::begun);
        match who {
            None => tracee.who = Some(Who::Loader),
            Some(Who::Child | Who::Init) if is_init => tracee.who = Some(Who::Init),
            Some(Who::Init) if process::is_of_host(thread) => return self.leave(thread),
            Some(Who::Init) => {
                let asked = self.began || !self.job.first_watched;
                self.began = true;
                let answers = if asked { inject::ask(thread, self.job.probes) } else { Vec::new() };
                (self.job.look)(thread, answers);
                return self.leave(thread);
            }
            // newuidmap(1) and its like.
            _ => return self.leave(thread),
        }
        self.go_on(thread, None);
    }

    fn release_stopped(&mut self) {
        let stopped: Vec<_> =
            self.threads.keys().copied().filter(|thread| process::is_stopped(*thread)).collect();
        stopped.into_iter().for_each(|thread| self.go_on(thread, None));
    }

    /// Waits for a program that was promised, then lets go of everything that is left.
    pub(super) fn settle(&mut self, end: End) -> Result<()> {
        let until = Instant::now() + patience(BEGIN);
        let promised = self.job.begins && end == End::Code(0);
        while promised && !self.began && !self.threads.is_empty() && Instant::now() < until {
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
                Ok(status) => drop(self.handle(status)?),
                Err(Errno::ECHILD) => break,
                Err(_) => {}
            }
        }
        for thread in std::mem::take(&mut self.early) {
            let _ = ptrace::detach(thread, None);
        }
        let left: Vec<_> = self.threads.keys().copied().collect();
        left.into_iter().for_each(|thread| self.let_go(thread));
        Ok(())
    }

    /// Stops a thread and detaches from it where it stands.
    fn let_go(&mut self, thread: Pid) {
        self.threads.remove(&thread);
        if ptrace::detach(thread, None).is_ok() || ptrace::interrupt(thread).is_err() {
            return;
        }
        let until = Instant::now() + patience(BEGIN);
        while Instant::now() < until {
            match waitpid(thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
                Ok(WaitStatus::PtraceEvent(_, _, event)) if event == Event::PTRACE_EVENT_EXIT as i32 => {
                    let _ = ptrace::cont(thread, None);
                }
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => return,
                Ok(status) => {
                    let signal =
                        if let WaitStatus::Stopped(_, signal) = status { Some(signal) } else { None };
                    let _ = ptrace::detach(thread, signal);
                    return;
                }
            }
        }
    }
}
