//! Who may delete a bridge, and who may add a port to it: the kernel has no "delete if nobody uses it".
//!
//! The lock is flock(2) on the network namespace's own file: it holds for everyone there, whatever directories they use, and ends with
//! its holder.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A holder that is stopped in the middle holds everyone else up for that long.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(1);

/// The lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    file: File,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing it does that too, unless another descriptor is open for it; an error says nothing that could be done.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Turn {
    /// For adding a port: others may do that at the same time.
    pub(crate) fn shared() -> Result<Self> {
        Self::take(FlockOperation::NonBlockingLockShared)
    }

    /// For deleting: nobody adds a port meanwhile.
    pub(crate) fn alone() -> Result<Self> {
        Self::take(FlockOperation::NonBlockingLockExclusive)
    }

    fn take(kind: FlockOperation) -> Result<Self> {
        let failed = |source| Error::Io { what: "lock of the host's bridges".to_owned(), source };
        let file = File::open("/proc/thread-self/ns/net").map_err(failed)?;
        let end = Instant::now() + PATIENCE;
        loop {
            match flock(&file, kind) {
                Ok(()) => return Ok(Self { file }),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if Instant::now() < end => libcontainer_plan::rest(TICK),
                Err(Errno::AGAIN) => return Err(failed(io::Error::from_raw_os_error(libc::ETIMEDOUT))),
                Err(errno) => return Err(failed(errno.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_added_by_several_and_a_bridge_is_deleted_by_one() {
        let (one, two) = (Turn::shared().unwrap(), Turn::shared().unwrap());
        let file = File::open("/proc/thread-self/ns/net").unwrap();
        assert_eq!(flock(&file, FlockOperation::NonBlockingLockExclusive), Err(Errno::AGAIN));
        drop((one, two));
        let alone = Turn::alone().unwrap();
        assert_eq!(flock(&file, FlockOperation::NonBlockingLockShared), Err(Errno::AGAIN));
        drop(alone);
        flock(&file, FlockOperation::NonBlockingLockShared).unwrap();
    }
}
