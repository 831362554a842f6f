//! Processes that join.

use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use containerd_shim_protos::api::ExecProcessRequest;
use containerd_shim_protos::events::task::{TaskExecAdded, TaskExecStarted};
use libcontainer_oci::spec;
use nix::sys::signal::Signal;

use crate::detached::blocking;
use crate::ending::asked;
use crate::left;
use crate::process::{Exit, Made, Process};
use crate::streams::Wanted;
use crate::task::Task;
use crate::trouble::Trouble;

/// The status of one that was never started.
const NEVER: u32 = 255;

impl Task {
    /// Notes a process that is to be started later.
    ///
    /// # Errors
    /// Everything that is wrong with what it is to be; a name that is taken.
    pub(crate) fn add(&self, request: &ExecProcessRequest) -> Result<(), Trouble> {
        let exec_id = &request.exec_id;
        let wrong = |text: String| Trouble::invalid(format!("exec {exec_id:?} in {:?}: {text}", self.id));
        let spec = request.spec.as_ref().map(|any| any.value.as_slice()).unwrap_or_default();
        let spec = spec::Process::from_json(spec).map_err(|error| wrong(error.to_string()))?;
        let config = libcontainer_oci::process(&spec).map_err(|problems| {
            let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
            wrong(all.join("; "))
        })?;
        let wanted = Wanted {
            terminal: request.terminal,
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
        };
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        match execs.entry(exec_id.clone()) {
            Entry::Occupied(_) => {
                return Err(Trouble::exists(format!("exec {exec_id:?} of {:?} exists", self.id)));
            }
            Entry::Vacant(free) => free.insert(Arc::new(Process::new(exec_id.clone(), wanted, Some(config)))),
        };
        let mut event = TaskExecAdded::new();
        event.container_id.clone_from(&self.id);
        event.exec_id.clone_from(exec_id);
        self.publisher.publish(&event);
        Ok(())
    }

    /// Starts one that was added.
    pub(crate) async fn start_exec(self: Arc<Self>, exec_id: String) -> Result<u32, Trouble> {
        let process = self.process(&exec_id)?;
        let turn = process.turn.lock().await;
        // RACE: who waited for a turn may come behind who has deleted it.
        if process.made().is_none() && process.exit().is_some() {
            return Err(Trouble::not_found(format!(
                "exec {exec_id:?} of {:?} was deleted meanwhile",
                self.id
            )));
        }
        let config = process.take_config();
        let mut config = config
            .ok_or_else(|| Trouble::state(format!("exec {exec_id:?} of {:?} has been started", self.id)))?;
        let mut streams = process.wanted.open(&mut config)?;
        let container = self.container.clone();
        let handle = blocking(move || Ok(container.start(config)?)).await.inspect_err(|_| left::reap())?;
        let attached = streams.attach(handle.terminal.as_ref());
        process.set_made(Made { handle, streams });
        if let Err(trouble) = attached.and_then(|()| self.watch(&process)) {
            let killed = process.signal(Signal::SIGKILL as i32);
            reap(process.clone());
            return Err(trouble.and(killed));
        }
        process.set_started();
        let mut event = TaskExecStarted::new();
        event.container_id.clone_from(&self.id);
        event.exec_id.clone_from(&exec_id);
        event.pid = process.pid();
        self.publisher.publish(&event);
        drop(turn);
        Ok(event.pid)
    }

    /// Forgets one that has ended, or was never started. Returns its pid and its end.
    pub(crate) async fn forget(&self, exec_id: &str) -> Result<(u32, Exit), Trouble> {
        let process = self.process(exec_id)?;
        // RACE: one that is just being started would run on, and nobody could name it.
        let turn = process.turn.lock().await;
        let exit = match process.exit() {
            Some(exit) => exit,
            None if process.made().is_some() => {
                return Err(Trouble::state(format!("exec {exec_id:?} of {:?} has not ended", self.id)));
            }
            // Who waits for one that was never started learns that it never will be.
            None => Exit { status: NEVER, at: SystemTime::now() },
        };
        if let Some(made) = process.made() {
            made.streams.finish().await;
        }
        process.set_exit(exit);
        self.drop_exec(exec_id, &process);
        drop(turn);
        Ok((process.pid(), exit))
    }

    /// Frees its name, if that is not another's by now.
    fn drop_exec(&self, exec_id: &str, process: &Arc<Process>) {
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        if execs.get(exec_id).is_some_and(|found| Arc::ptr_eq(found, process)) {
            execs.remove(exec_id);
        }
    }
}

/// Notes the end of one that was killed since nobody can wait for it: a zombie in the pid namespace keeps the end of the first process from being told.
fn reap(process: Arc<Process>) {
    tokio::spawn(async move {
        let Some(made) = process.made() else { return };
        let ended = asked(&made.handle).await;
        made.streams.end();
        process.set_exit(Exit { status: ended.status, at: SystemTime::now() });
    });
}
