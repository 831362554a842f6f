//! All processes of a criu, by a mark in their environment: what it forks has that too, until it becomes what was in the images.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use libcontainer_plan::{Pid, names, open_pidfd, signal_pidfd};

use crate::error::named;
use crate::record::KILL;

const NAME: &str = "LIBCONTAINER_CRIU=";
/// Bytes of an environment that are looked at: more than execve(2) takes of one text.
const LIMIT: u64 = 4 * 1024 * 1024;
const TICK: Duration = Duration::from_millis(1);

/// The mark of one criu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark(String);

impl Mark {
    /// One that no other has.
    pub(crate) fn new() -> io::Result<Self> {
        let path = "/proc/sys/kernel/random/uuid";
        let text = fs::read_to_string(path).map_err(|error| named(format!("read {path}"), error))?;
        Self::of(&text).ok_or_else(|| io::Error::other(format!("{path}: empty")))
    }

    /// One that was noted.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// An environment with it, and with no other.
    pub(crate) fn put(&self, mut env: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        env.retain(|variable| !variable.starts_with(NAME.as_bytes()));
        env.push(self.variable());
        env
    }

    fn variable(&self) -> Vec<u8> {
        format!("{NAME}{}", self.0).into_bytes()
    }

    /// Kills all that have it, until there is none.
    ///
    /// # Errors
    /// If one can't be looked at or killed: then there may be more.
    pub(crate) fn end(&self) -> io::Result<()> {
        let end = Instant::now() + KILL;
        // RACE: one that is killed may have forked a moment before.
        while self.kill()? {
            if Instant::now() >= end {
                return Err(named("end criu", io::Error::from_raw_os_error(libc::ETIMEDOUT)));
            }
            libcontainer_plan::rest(TICK);
        }
        Ok(())
    }

    /// Whether there was one.
    fn kill(&self) -> io::Result<bool> {
        let mut found = false;
        let all = File::open("/proc").and_then(names).map_err(|error| named("list /proc", error))?;
        let pids = all.iter().filter_map(|name| Pid::new(name.to_str()?.parse().ok()?));
        for pid in pids {
            found |= self.is_of(pid)? && self.kill_one(pid)?;
        }
        Ok(found)
    }

    fn kill_one(&self, pid: Pid) -> io::Result<bool> {
        let gone = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL));
        let pidfd = match open_pidfd(pid) {
            Err(error) if gone(&error) => return Ok(false),
            pidfd => pidfd.map_err(|error| named(format!("open a pidfd of process {pid} of criu"), error))?,
        };
        // ORDER: once more, as the number may have been another's by the time of the pidfd.
        if !self.is_of(pid)? {
            return Ok(false);
        }
        match signal_pidfd(pidfd.as_fd(), libc::SIGKILL) {
            Err(error) if gone(&error) => Ok(false),
            killed => {
                killed.map(|()| true).map_err(|error| named(format!("kill process {pid} of criu"), error))
            }
        }
    }

    fn is_of(&self, pid: Pid) -> io::Result<bool> {
        let path = format!("/proc/{pid}/environ");
        let gone = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH));
        let mut text = Vec::new();
        match File::open(&path).and_then(|file| file.take(LIMIT).read_to_end(&mut text)) {
            Err(error) if gone(&error) => return Ok(false),
            // Closed is what has more rights than we: so has criu only if somebody else had started it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_criu(pid) => {
                return Ok(false);
            }
            read => read.map_err(|error| named(format!("read {path}"), error))?,
        };
        let wanted = self.variable();
        Ok(text.split(|byte| *byte == 0).any(|variable| variable == wanted))
    }
}

/// Whether a process says that it is one, by the words with which we run it, or what it makes of them.
fn is_criu(pid: Pid) -> bool {
    // These are open to everyone; what can't be read may be one.
    let found = fs::read(format!("/proc/{pid}/cmdline"));
    let has =
        |text: &[u8]| text.starts_with(b"criu") || text.split(|byte| *byte == 0).any(|word| word == b"swrk");
    found.map_or(true, |text| has(&text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};

    use super::*;

    #[test]
    fn an_environment_has_one_mark() {
        let mark = Mark::of("a-b\n").unwrap();
        let env = mark.put(["LIBCONTAINER_CRIU=old", "PATH=/bin"].map(|text| text.into()).to_vec());
        assert_eq!(env, [b"PATH=/bin".to_vec(), b"LIBCONTAINER_CRIU=a-b".to_vec()]);
        assert_eq!(Mark::of(" \n"), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn all_that_have_the_mark_are_killed_and_no_others() {
        let (mark, other) = (Mark::new().unwrap(), Mark::new().unwrap());
        assert_ne!(mark, other);
        let start = |mark: &Mark| -> Child {
            let sleep = "sleep 300 & wait";
            Command::new("sh").args(["-c", sleep]).env("LIBCONTAINER_CRIU", mark.text()).spawn().unwrap()
        };
        let (mut one, mut two, mut three) = (start(&mark), start(&mark), start(&other));
        mark.end().unwrap();
        for child in [&mut one, &mut two] {
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
        assert!(three.try_wait().unwrap().is_none());
        other.end().unwrap();
        three.wait().unwrap();
        mark.end().unwrap();
    }
}
