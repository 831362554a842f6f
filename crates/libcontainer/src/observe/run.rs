//! One run under the observer.

use std::io::ErrorKind as IoKind;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use libcontainer_plan::rest;
use libcontainer_security::observe::{Observation, record, watching};
use libcontainer_security::seccomp::Arch;
use libcontainer_security::seccomp::notify::{NotifyError, receive_listener};
use libcontainer_thread::spawn;

use crate::config::{Config, Seccomp};
use crate::error::{Error, ErrorKind, Result};
use crate::factory::Factory;
use crate::process::{ExitStatus, ProcessConfig};

/// What was seen of a run, and how it ended.
#[derive(Debug)]
pub struct Observed {
    /// What the program and its children did.
    pub seen: Observation,
    /// How its first process ended; `None` if it was killed when its time was over.
    pub status: Option<ExitStatus>,
}

/// Runs `process` as the first of a container of `config` at `path`, whose every system call is noted and made; the filter of the config is not loaded. The
/// container is destroyed when the process has ended, or `limit` is over.
///
/// # Errors
/// As [`Factory::run`]; those of the listener, after which calls fail with ENOSYS.
pub fn run(
    factory: &Factory,
    path: impl AsRef<Path>,
    config: &Config,
    process: ProcessConfig,
    limit: Option<Duration>,
) -> Result<Observed> {
    let place = Place::new()?;
    let mut config = config.clone();
    let text = "observe: the architecture of this program is not known";
    let native = Arch::native().ok_or_else(|| Error::new(ErrorKind::InvalidConfig, text.to_owned()))?;
    // KERNEL(5.19): calls that a signal has interrupted don't come twice.
    let profile = watching(native, &place.socket, factory.probe().version >= (5, 19));
    config.seccomp = Seccomp::Profile(Box::new(profile));
    let socket = place.bind()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let agent = spawn("observer", move || agent(&socket, &stopped));
    let agent = agent.map_err(|error| Error::io("start the observer", error))?;
    let ended = program(factory, path.as_ref(), &config, process, limit);
    stop.store(true, Ordering::SeqCst);
    let seen = agent
        .join()
        .ok_or_else(|| Error::new(ErrorKind::StartFailed, "the observer has panicked".to_owned()));
    let status = ended?;
    let seen = seen?.map_err(|error| Error::io("observe the program", error.into()))?;
    Ok(Observed { seen, status })
}

fn program(
    factory: &Factory,
    path: &Path,
    config: &Config,
    process: ProcessConfig,
    limit: Option<Duration>,
) -> Result<Option<ExitStatus>> {
    let (container, mut process) = factory.run(path, config, process)?;
    let status = match limit {
        Some(limit) => process.wait_timeout(limit),
        None => process.wait().map(Some),
    };
    let destroyed = container.destroy();
    let status = status?;
    destroyed.map(|()| status)
}

/// Takes the listener of the one program, and serves it.
fn agent(socket: &UnixListener, stop: &AtomicBool) -> std::result::Result<Observation, NotifyError> {
    let stopped = || stop.load(Ordering::SeqCst);
    let connection = loop {
        match socket.accept() {
            Ok((connection, _)) => break connection,
            Err(error) if matches!(error.kind(), IoKind::WouldBlock | IoKind::Interrupted) => {}
            Err(error) => return Err(failed("accept", &error)),
        }
        if stopped() {
            return Ok(Observation::default());
        }
        rest(Duration::from_millis(1));
    };
    // It is sent right away, or the sender is gone.
    connection.set_nonblocking(false).map_err(|error| failed("fcntl", &error))?;
    let (listener, _) = receive_listener(&connection)?;
    record(&listener, &stopped)
}

fn failed(call: &str, error: &std::io::Error) -> NotifyError {
    NotifyError::Call {
        call: format!("{call} of the observer's socket"),
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}

/// A directory for the socket, which nobody else can enter.
struct Place {
    dir: PathBuf,
    socket: PathBuf,
}

impl Place {
    fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let pid = std::process::id();
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!("libcontainer-observer-{pid}-{number}"));
            match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(Self { socket: dir.join("socket"), dir }),
                // Left by a process of that number that was killed.
                Err(error) if error.kind() == IoKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(format!("mkdir {}", dir.display()), error)),
            }
        }
    }

    fn bind(&self) -> Result<UnixListener> {
        let bound = UnixListener::bind(&self.socket);
        let bound = bound.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        bound.map_err(|error| Error::io(format!("bind {}", self.socket.display()), error))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A directory in the temporary one that stays is no failure of the run.
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_dir(&self.dir);
    }
}
