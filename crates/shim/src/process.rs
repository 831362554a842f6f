//! A process of a task: its first, or one that joined.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use libcontainer::ProcessConfig;
use tokio::sync::watch;

use crate::streams::{Streams, Wanted};
use crate::trouble::Trouble;

/// How and when it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) status: u32,
    pub(crate) at: SystemTime,
}

#[derive(Debug)]
pub(crate) struct Process {
    /// Empty for the first.
    pub(crate) exec_id: String,
    pub(crate) wanted: Wanted,
    /// Held from the start of a program until that is told: the end is told afterwards.
    pub(crate) turn: tokio::sync::Mutex<()>,
    exit: watch::Sender<Option<Exit>>,
    made: OnceLock<Made>,
    started: AtomicBool,
    /// What it is to be, until it is made.
    config: Mutex<Option<ProcessConfig>>,
}

/// What there is of it once the kernel has it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) handle: libcontainer::Process,
    pub(crate) streams: Streams,
}

impl Process {
    /// The first one, made and waiting.
    pub(crate) fn first(wanted: Wanted, made: Made) -> Self {
        Self { made: OnceLock::from(made), ..Self::new(String::new(), wanted, None) }
    }

    /// One that is to join.
    pub(crate) fn new(exec_id: String, wanted: Wanted, config: Option<ProcessConfig>) -> Self {
        Self {
            exec_id,
            wanted,
            turn: tokio::sync::Mutex::default(),
            exit: watch::Sender::default(),
            made: OnceLock::new(),
            started: AtomicBool::new(false),
            config: Mutex::new(config),
        }
    }

    /// What it is to be: for who makes it, once.
    pub(crate) fn take_config(&self) -> Option<ProcessConfig> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn set_made(&self, made: Made) {
        // Who has the config is alone.
        let _ = self.made.set(made);
    }

    pub(crate) fn made(&self) -> Option<&Made> {
        self.made.get()
    }

    /// Its pid; 0 before there is one.
    pub(crate) fn pid(&self) -> u32 {
        self.made().and_then(|made| u32::try_from(made.handle.pid().as_raw()).ok()).unwrap_or(0)
    }

    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    pub(crate) fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    pub(crate) fn set_exit(&self, exit: Exit) {
        self.exit.send_replace(Some(exit));
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> Result<Exit, Trouble> {
        let mut exit = self.exit.subscribe();
        let found = exit.wait_for(Option::is_some).await.map(|exit| *exit);
        found
            .ok()
            .flatten()
            .ok_or_else(|| Trouble::failed("the process was forgotten before its end was known"))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// Not found if it has ended.
    pub(crate) fn signal(&self, signal: i32) -> Result<(), Trouble> {
        let made = self
            .made()
            .ok_or_else(|| Trouble::state(format!("exec {:?} has not been started", self.exec_id)))?;
        match made.handle.signal(signal) {
            Err(error) if error.errno() == Some(nix::libc::ESRCH) => Err(ended()),
            sent => Ok(sent?),
        }
    }
}

/// In the words by which containerd knows it.
pub(crate) fn ended() -> Trouble {
    Trouble::not_found("process already finished")
}
