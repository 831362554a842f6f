//! All processes of a criu: by a mark in their environment, which what it forks has too; and by its session, as it lays its title over its environment when it begins its work.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use libcontainer_plan::{Pid, names, open_pidfd, signal_pidfd};

use crate::error::named;
use crate::record::{KILL, session, start_time};

const NAME: &str = "LIBCONTAINER_CRIU=";
/// What begins the title that it gives itself.
const TITLE: &[u8] = b"criu: ";
/// Bytes of an environment that are looked at: more than execve(2) takes of one text.
const LIMIT: u64 = 4 * 1024 * 1024;
const TICK: Duration = Duration::from_millis(1);

/// The mark of one criu, and which process that is, once it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    text: String,
    /// Its number and its start time.
    leader: Option<(Pid, String)>,
}

impl Mark {
    /// One that no other has.
    pub(crate) fn new() -> io::Result<Self> {
        let path = "/proc/sys/kernel/random/uuid";
        let text = fs::read_to_string(path).map_err(|error| named(format!("read {path}"), error))?;
        Self::of(&text).ok_or_else(|| io::Error::other(format!("{path}: empty")))
    }

    /// One that was noted.
    pub(crate) fn of(noted: &str) -> Option<Self> {
        let mut words = noted.split_whitespace();
        let text = words.next()?.to_owned();
        let pid = words.next().and_then(|word| Pid::new(word.parse().ok()?));
        Some(Self { text, leader: pid.zip(words.next().map(str::to_owned)) })
    }

    /// The same of a criu that is there.
    pub(crate) fn led_by(&self, pid: Pid) -> io::Result<Self> {
        Ok(Self { text: self.text.clone(), leader: Some((pid, start_time(pid)?)) })
    }

    /// As it is noted.
    pub(crate) fn noted(&self) -> String {
        let leader = self.leader.as_ref().map(|(pid, time)| format!(" {pid} {time}"));
        format!("{}{}", self.text, leader.unwrap_or_default())
    }

    /// An environment with it, and with no other.
    pub(crate) fn put(&self, mut env: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        env.retain(|variable| !variable.starts_with(NAME.as_bytes()));
        env.push(self.variable());
        env
    }

    fn variable(&self) -> Vec<u8> {
        format!("{NAME}{}", self.text).into_bytes()
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
        Ok(self.has_mark(pid)? || (is_criu(pid) && self.is_in_session(pid)?))
    }

    fn has_mark(&self, pid: Pid) -> io::Result<bool> {
        let path = format!("/proc/{pid}/environ");
        let mut text = Vec::new();
        match File::open(&path).and_then(|file| file.take(LIMIT).read_to_end(&mut text)) {
            Err(error) if is_gone(&error) => return Ok(false),
            // Closed is what has more rights than we: so has criu only if somebody else had started it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_criu(pid) => {
                return Ok(false);
            }
            read => read.map_err(|error| named(format!("read {path}"), error))?,
        };
        let wanted = self.variable();
        Ok(text.split(|byte| *byte == 0).any(|variable| variable == wanted))
    }

    /// Whether it is of criu's session: the number is not given again as long as one is in it.
    fn is_in_session(&self, pid: Pid) -> io::Result<bool> {
        let Some((leader, time)) = &self.leader else { return Ok(false) };
        let known = |found: io::Result<String>| match found {
            Err(error) if is_gone(&error) => Ok(true),
            found => found.map(|found| found == *time),
        };
        match session(pid) {
            Err(error) if is_gone(&error) => Ok(false),
            found => Ok(found? == leader.as_raw() && known(start_time(*leader))?),
        }
    }
}

/// Whether a process says that it is one, by the words with which we run it, or what it makes of them.
fn is_criu(pid: Pid) -> bool {
    // These are open to everyone; what can't be read may be one.
    let found = fs::read(format!("/proc/{pid}/cmdline"));
    let has = |text: &[u8]| {
        let mut words = text.split(|byte| *byte == 0);
        words.any(|word| word == b"swrk" || word.starts_with(TITLE))
    };
    found.map_or_else(|error| !is_gone(&error), |text| has(&text))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
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
        let led = Mark { leader: Some((Pid::new(7).unwrap(), "44".to_owned())), ..mark.clone() };
        assert_eq!((led.noted().as_str(), mark.noted().as_str()), ("a-b 7 44", "a-b"));
        assert_eq!((Mark::of(&led.noted()), Mark::of(&mark.noted())), (Some(led), Some(mark)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn all_that_have_the_mark_are_killed_and_no_others() {
        let (mark, other) = (Mark::new().unwrap(), Mark::new().unwrap());
        assert_ne!(mark, other);
        let start = |mark: &Mark| -> Child {
            let sleep = "sleep 300 & wait";
            Command::new("sh").args(["-c", sleep]).env("LIBCONTAINER_CRIU", &mark.text).spawn().unwrap()
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

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn its_session_is_found_without_its_environment() {
        let script = "sh -c 'sleep 300; :' 'criu: restore' & wait";
        let mut leader = Command::new("setsid").args(["sh", "-c", script, "swrk"]).spawn().unwrap();
        let pid = Pid::new(i32::try_from(leader.id()).unwrap()).unwrap();
        while session(pid).unwrap() != pid.as_raw() || !is_criu(pid) {
            libcontainer_plan::rest(TICK);
        }
        let mark = Mark::new().unwrap().led_by(pid).unwrap();
        let later = Mark { leader: Some((pid, "0".to_owned())), ..mark.clone() };
        later.end().unwrap();
        assert!(leader.try_wait().unwrap().is_none());
        mark.end().unwrap();
        assert_eq!(leader.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}
