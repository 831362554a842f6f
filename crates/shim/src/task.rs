//! A task: a container with its first process, and the processes that joined.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::pending;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use containerd_shim_protos::events::task::{TaskDelete, TaskExit, TaskOOM, TaskStart};
use containerd_shim_protos::protobuf::MessageField;
use libcontainer::{Container, ErrorKind};
use nix::sys::signal::Signal;
use tokio::io::Interest;

use crate::detached::blocking;
use crate::ending::ending;
use crate::events::{Publisher, timestamp};
use crate::process::{Exit, Process, ended};
use crate::ready::{Ready, ready};
use crate::trouble::{Trouble, named};
use crate::{journal, rootfs};

/// So long a first process is waited for whose start has failed.
const GOING: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) container: Container,
    /// Whether processes may outlive the first: it has no pid namespace of its own.
    pub(crate) outlived: bool,
    /// Its program runs since it was made of images: criu lets nobody wait between the two.
    pub(crate) restored: bool,
    pub(crate) first: Arc<Process>,
    pub(crate) execs: Mutex<BTreeMap<String, Arc<Process>>>,
    pub(crate) publisher: Publisher,
    pub(crate) out_of_memory: AtomicBool,
}

impl Task {
    /// The first process, or the one of that name.
    ///
    /// # Errors
    /// Not found.
    pub(crate) fn process(&self, exec_id: &str) -> Result<Arc<Process>, Trouble> {
        if exec_id.is_empty() {
            return Ok(Arc::clone(&self.first));
        }
        let execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = execs.get(exec_id).cloned();
        found.ok_or_else(|| Trouble::not_found(format!("task {:?} has no exec {exec_id:?}", self.id)))
    }

    /// Lets the first process run its program.
    pub(crate) async fn start(self: Arc<Self>) -> Result<u32, Trouble> {
        let turn = self.first.turn.lock().await;
        if self.first.has_started() {
            return Err(Trouble::state(format!("task {:?} has been started", self.id)));
        }
        let container = self.container.clone();
        let restored = self.restored;
        let run = blocking(move || if restored { Ok(()) } else { Ok(container.run()?) }).await;
        if let Err(trouble) = run {
            drop(turn);
            // ORDER: who is told may delete it at once, which takes one that has ended.
            let _ = tokio::time::timeout(GOING, self.first.wait()).await;
            return Err(trouble);
        }
        self.first.set_started();
        let mut event = TaskStart::new();
        event.container_id.clone_from(&self.id);
        event.pid = self.first.pid();
        self.publisher.publish(&event);
        Ok(event.pid)
    }

    /// Notices the end of a process, and tells it.
    ///
    /// # Errors
    /// If it can't be waited for.
    pub(crate) fn watch(self: &Arc<Self>, process: &Arc<Process>) -> Result<(), Trouble> {
        let Some(made) = process.made() else { return Ok(()) };
        let fd = named(made.handle.as_fd().try_clone_to_owned(), "fcntl of a pidfd")?;
        let fd = ready(fd, Interest::READABLE, "a pidfd")?;
        let (task, process) = (Arc::clone(self), Arc::clone(process));
        tokio::spawn(async move {
            let exit = task.ending(&process, fd).await;
            task.ended(&process, exit).await;
        });
        Ok(())
    }

    async fn ending(&self, process: &Process, fd: Ready) -> Exit {
        let warn = |text: &dyn Display| {
            journal::warn(format_args!("{:?}: the end of a process is not known: {text}", self.id));
        };
        let Some(made) = process.made() else { return pending().await };
        let ended = ending(&made.handle, &fd, warn).await;
        if ended.out_of_memory {
            self.tell_out_of_memory();
        }
        Exit { status: ended.status, at: SystemTime::now() }
    }

    async fn ended(&self, process: &Process, exit: Exit) {
        let is_first = process.exec_id.is_empty();
        if is_first && self.outlived {
            self.end_others().await;
        }
        if let Some(made) = process.made() {
            made.streams.end();
            made.streams.settle().await;
        }
        let _turn = process.turn.lock().await;
        process.set_exit(exit);
        let mut event = TaskExit::new();
        event.container_id.clone_from(&self.id);
        event.id.clone_from(if is_first { &self.id } else { &process.exec_id });
        event.pid = process.pid();
        event.exit_status = exit.status;
        event.exited_at = MessageField::some(timestamp(exit.at));
        self.publisher.publish(&event);
    }

    /// As the kernel does it where the first process has a pid namespace of its own.
    async fn end_others(&self) {
        let container = self.container.clone();
        let killed = blocking(move || match container.signal_all(Signal::SIGKILL as i32) {
            Err(error) if error.kind() == ErrorKind::WrongState => Ok(()),
            killed => Ok(killed?),
        });
        if let Err(trouble) = killed.await {
            journal::warn(format_args!(
                "{:?}: processes may have outlived the first one: {trouble}",
                self.id
            ));
        }
    }

    /// Once is enough: a container that has been out of memory is called so.
    pub(crate) fn tell_out_of_memory(&self) {
        if !self.out_of_memory.swap(true, Ordering::AcqRel) {
            let mut event = TaskOOM::new();
            event.container_id.clone_from(&self.id);
            self.publisher.publish(&event);
        }
    }

    /// Sends a signal to a process, or to all.
    pub(crate) async fn kill(
        self: Arc<Self>,
        exec_id: String,
        signal: i32,
        all: bool,
    ) -> Result<(), Trouble> {
        let process = self.process(&exec_id)?;
        if !exec_id.is_empty() {
            return process.signal(signal);
        }
        if process.exit().is_some() && !all {
            return Err(ended());
        }
        let container = self.container.clone();
        blocking(move || {
            let sent = if all { container.signal_all(signal) } else { container.signal(signal) };
            match sent {
                Err(error) if error.kind() == ErrorKind::WrongState => Err(ended()),
                sent => Ok(sent?),
            }
        })
        .await
    }

    /// Takes the container away, whose first process has ended. May be called again after an error.
    pub(crate) async fn destroy(&self) -> Result<(), Trouble> {
        let container = self.container.clone();
        let rootfs = self.bundle.join("rootfs");
        if let Some(made) = self.first.made() {
            made.streams.finish().await;
        }
        blocking(move || {
            let destroyed = container.destroy().map_err(Trouble::from);
            let unmounted = rootfs::unmount(&rootfs);
            destroyed.map_err(|trouble| trouble.and(unmounted.clone())).and(unmounted)
        })
        .await
    }

    pub(crate) fn tell_deleted(&self, exit: Exit) {
        let mut event = TaskDelete::new();
        event.container_id.clone_from(&self.id);
        event.pid = self.first.pid();
        event.exit_status = exit.status;
        event.exited_at = MessageField::some(timestamp(exit.at));
        self.publisher.publish(&event);
    }
}
