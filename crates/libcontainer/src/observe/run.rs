//! One run under the observer.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libcontainer_security::observe::{Observation, record, watching};
use libcontainer_security::seccomp::Arch;
use libcontainer_security::seccomp::notify::{NotifyError, receive_listener};
use libcontainer_thread::spawn;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

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
    let mut config = config.clone();
    let text = "observe: the architecture of this program is not known";
    let native = Arch::native().ok_or_else(|| Error::new(ErrorKind::InvalidConfig, text.to_owned()))?;
    // KERNEL(5.19): calls that a signal has interrupted don't come twice.
    let profile = watching(native, Path::new(NOWHERE), factory.probe().version >= (5, 19));
    config.seccomp = Seccomp::Profile(Box::new(profile));
    let (ours, theirs) =
        UnixStream::pair().map_err(|error| Error::io("socketpair of the observer", error))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let agent = spawn("observer", move || agent(&ours, &stopped));
    let agent = agent.map_err(|error| Error::io("start the observer", error))?;
    let ended = program(factory, path.as_ref(), &config, process, theirs.into(), limit);
    // It ends by itself, too, when the program has, or the other end of its stream is closed without one.
    stop.store(true, Ordering::SeqCst);
    let seen = agent
        .join()
        .ok_or_else(|| Error::new(ErrorKind::StartFailed, "the observer has panicked".to_owned()))?;
    match (ended, seen) {
        (Ok(status), Ok(seen)) => Ok(Observed { seen, status }),
        (Err(error), Ok(_)) => Err(error),
        (Ok(_), Err(failed)) => Err(Error::io("observe the program", failed.into())),
        // Whose calls nobody answers does not come to its end.
        (Err(error), Err(failed)) => Err(Error::io(format!("observe the program ({error})"), failed.into())),
    }
}

/// What the record has for the agent's socket: nobody else can listen to a program that is observed, and none that joins it is.
const NOWHERE: &str = "/dev/null/observer";

fn program(
    factory: &Factory,
    path: &Path,
    config: &Config,
    process: ProcessConfig,
    agent: OwnedFd,
    limit: Option<Duration>,
) -> Result<Option<ExitStatus>> {
    let (container, mut process) = factory.run_heard(path, config, process, agent)?;
    let status = match limit {
        Some(limit) => process.wait_timeout(limit),
        None => process.wait().map(Some),
    };
    let destroyed = container.destroy();
    let status = status?;
    destroyed.map(|()| status)
}

/// Takes the listener of the one program, and serves it. Nothing was seen if there is none.
fn agent(socket: &UnixStream, stop: &AtomicBool) -> std::result::Result<Observation, NotifyError> {
    let stopped = || stop.load(Ordering::SeqCst);
    match peeked(socket)? {
        false => Ok(Observation::default()),
        true => record(&receive_listener(socket)?.0, &stopped),
    }
}

/// Waits for a message; false if the other end was closed without one.
fn peeked(socket: &UnixStream) -> std::result::Result<bool, NotifyError> {
    loop {
        match recv(socket.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK) {
            Err(Errno::EINTR) => {}
            Err(errno) => {
                let call = "recv from who starts the program".to_owned();
                return Err(NotifyError::Call { call, errno: errno as i32 });
            }
            Ok(len) => return Ok(len > 0),
        }
    }
}
