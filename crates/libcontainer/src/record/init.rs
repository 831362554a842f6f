//! The first process of a container: whether it is still the one that the record means.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use libcontainer_plan::{Pid, open_pidfd, wait_readable};

use super::state::State;
use crate::error::{Error, Result};

/// How long it may take to be gone.
pub(crate) const KILL: Duration = Duration::from_secs(10);

/// The first process of a container, which lives, or did when it was opened. As long as the pidfd is open its number is nobody else's.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

impl Init {
    /// Opens it, if it is still the one that the record means: same boot, same start time.
    pub(crate) fn open(state: &State) -> Result<Option<Self>> {
        let Some(pid) = Pid::new(state.init_pid).filter(|_| state.boot_id == boot_id()) else {
            return Ok(None);
        };
        let pidfd = match open_pidfd(pid) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL)) => {
                return Ok(None);
            }
            result => result.map_err(|error| Error::io(format!("open a pidfd of process {pid}"), error))?,
        };
        let init = Self { pid, pidfd };
        // ORDER: the pidfd first: what is compared then is the process that the pidfd holds, if it still lives.
        let same = start_time(pid).is_ok_and(|time| time == state.init_start_time);
        Ok((same && !init.has_ended()).then_some(init))
    }

    /// Whether it has ended since.
    pub(crate) fn has_ended(&self) -> bool {
        wait_readable(self.pidfd.as_fd(), Some(Duration::ZERO)).unwrap_or(true)
    }

    /// Its network namespace.
    pub(crate) fn network_namespace(&self) -> Option<File> {
        File::open(format!("/proc/{}/ns/net", self.pid)).ok()
    }
}

/// The start time of a process, as its record has it.
pub(crate) fn start_time(pid: Pid) -> io::Result<String> {
    let mut stat = Vec::with_capacity(1024);
    std::fs::File::open(format!("/proc/{pid}/stat"))?.take(4096).read_to_end(&mut stat)?;
    start_time_of(&stat).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: no start time")))
}

/// The running boot; empty if the kernel does not tell.
pub(crate) fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        text.map(|id| id.trim().to_owned()).unwrap_or_default()
    })
}

/// The start time of a process from the text of `/proc/PID/stat`: the 22nd field, counted from behind the command's last `)`.
fn start_time_of(stat: &[u8]) -> Option<String> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields =
        stat.get(end + 1..)?.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
    let field = fields.nth(19)?;
    let digits = field.iter().all(u8::is_ascii_digit);
    digits.then(|| String::from_utf8_lossy(field).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times() {
        let fields = (3..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        for name in ["sh", "a b", "x) (y", ") 1 2 3"] {
            assert_eq!(
                start_time_of(format!("1 ({name}) {fields}").as_bytes()).as_deref(),
                Some("22"),
                "{name}"
            );
        }
        assert_eq!(start_time_of(b"1 (x) S 1"), None);
        assert_eq!(start_time_of(b""), None);
    }
}
