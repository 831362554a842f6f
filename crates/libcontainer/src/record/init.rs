//! The first process of a container: whether it is still the one that the record means.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use libcontainer_plan::{Pid, open_pidfd, wait_readable};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::state::State;
use crate::error::{Error, ErrorKind, Result, named};

/// How long it may take to be gone.
pub(crate) const KILL: Duration = Duration::from_secs(10);
/// How long the kernel may take for the rest of its end.
const MOMENT: Duration = Duration::from_millis(200);

/// The first process of a container, which lives, or did when it was opened. As long as the pidfd is open its number is nobody else's.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

impl Init {
    /// Opens it, if it is still the one that the record means: same boot, same start time. `None` if that one has ended; an error if that
    /// can't be known.
    pub(crate) fn open(state: &State) -> Result<Option<Self>> {
        let Some(pid) = Pid::new(state.init_pid) else { return Ok(None) };
        if !is_of_this_boot(state)? {
            return Ok(None);
        }
        let unknown = |call: &str| {
            let text = format!("{call} process {pid}, the first of container {:?}", state.id);
            move |error| Error::io(text, error)
        };
        let pidfd = match open_pidfd(pid) {
            Ok(pidfd) => pidfd,
            // The number is nobody's, or that of a thread by now: if /proc says so too.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL | libc::ENOENT)) => {
                let gone = confirmed(error, start_time(pid), &state.init_start_time);
                return gone.map(|()| None).map_err(|(call, error)| unknown(call)(error));
            }
            Err(error) => return Err(unknown("open a pidfd of")(error)),
        };
        let init = Self { pid, pidfd };
        // ORDER: the pidfd first: what is compared then is the process that the pidfd holds, if it still lives.
        let time = start_time(pid);
        if init.has_ended()? {
            return Ok(None);
        }
        let same = time.map_err(unknown("read the start time of"))? == state.init_start_time;
        Ok(same.then_some(init))
    }

    /// Whether it has ended since.
    pub(crate) fn has_ended(&self) -> Result<bool> {
        self.ends_within(Duration::ZERO)
    }

    /// Whether it is gone at once, or after a moment: one that is on its way out loses its files in `/proc` a little before, and pid 1 of a
    /// namespace long before, if somebody does not reap what was in there.
    pub(crate) fn is_ending(&self) -> Result<bool> {
        let own = format!("/proc/{}", self.pid);
        // Of what is not shown to this user nothing is there.
        let let_go = std::fs::read_link(format!("{own}/ns/mnt")).is_err_and(|error| is_gone(&error))
            && std::fs::symlink_metadata(own).is_ok();
        if let_go { Ok(true) } else { self.ends_within(MOMENT) }
    }

    fn ends_within(&self, limit: Duration) -> Result<bool> {
        wait_readable(self.pidfd.as_fd(), Some(limit))
            .map_err(|error| Error::io(format!("poll the pidfd of process {}", self.pid), error))
    }

    /// The directory that it has as root.
    pub(crate) fn open_root(&self) -> Result<OwnedFd> {
        let path = format!("/proc/{}/root", self.pid);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path.as_str(), flags, Mode::empty());
        // ORDER: behind the look, as the number may be another's by then.
        if self.has_ended()? {
            return Err(Error::new(ErrorKind::WrongState, format!("open {path}: the container has ended")));
        }
        root.map_err(|errno| Error::io(format!("open {path}"), errno.into()))
    }

    /// Its network namespace; `None` if it has ended.
    pub(crate) fn network_namespace(&self) -> Result<Option<File>> {
        let path = format!("/proc/{}/ns/net", self.pid);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            // Its files in /proc are closed to everyone once it has ended, whatever the error.
            Err(_) if self.is_ending()? => Ok(None),
            Err(error) => Err(Error::io(format!("open {path}"), error)),
        }
    }
}

/// Whether nobody makes the container any more whose record says that it is being made: there is no init, or one that has stayed for its devices, and
/// has closed everything. One whose maker lives has a socket to that.
pub(crate) fn is_left(state: &State) -> Result<bool> {
    let Some(init) = Init::open(state)? else { return Ok(true) };
    let path = format!("/proc/{}/fd", init.pid);
    let found = File::open(&path).and_then(libcontainer_plan::names);
    if init.has_ended()? {
        return Ok(true);
    }
    Ok(found.map_err(|error| Error::io(format!("list {path}"), error))?.is_empty())
}

/// Whether the record was written since the last boot: else nothing of what it names lives.
///
/// # Errors
/// If that can't be known: the kernel does not say which boot this is, or the record does not.
pub(crate) fn is_of_this_boot(state: &State) -> Result<bool> {
    if state.boot_id.is_empty() {
        let text = format!("the record of container {:?} does not say of which boot it is", state.id);
        return Err(Error::new(ErrorKind::Corrupt, text));
    }
    let own = boot_id().map_err(|error| Error::io("read the id of the boot", error))?;
    Ok(state.boot_id == own)
}

/// Whether /proc agrees that the process is gone of which `pidfd` says so; else what is not known, with the call.
fn confirmed(
    pidfd: io::Error,
    time: io::Result<String>,
    recorded: &str,
) -> std::result::Result<(), (&'static str, io::Error)> {
    match time {
        Err(gone) if is_gone(&gone) => Ok(()),
        Ok(time) if time != recorded => Ok(()),
        Ok(_) => Err(("open a pidfd of", pidfd)),
        Err(error) => Err(("read the start time of", error)),
    }
}

/// Whether there is no process of that number, as reading its files in /proc says it.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// The start time of a process, as its record has it.
pub(crate) fn start_time(pid: Pid) -> io::Result<String> {
    Ok(stat(pid)?.start_time)
}

/// The session of a process, by the number of the one that began it.
pub(crate) fn session(pid: Pid) -> io::Result<i32> {
    Ok(stat(pid)?.session)
}

/// The first process of a container, if it lives, for who only tells of it: by one read of its `/proc/PID/stat`, which speaks of one process;
/// what that leaves open [`Init::open`] finds out.
pub(crate) fn living(state: &State) -> Result<Option<Pid>> {
    let Some(pid) = Pid::new(state.init_pid) else { return Ok(None) };
    if !is_of_this_boot(state)? {
        return Ok(None);
    }
    match stat(pid) {
        // The first thread may have ended before others.
        Ok(stat) if stat.start_time == state.init_start_time && !matches!(stat.state, b'Z' | b'X' | b'x') => {
            Ok(Some(pid))
        }
        _ => Ok(Init::open(state)?.map(|init| init.pid)),
    }
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    session: i32,
    start_time: String,
}

fn stat(pid: Pid) -> io::Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let mut bytes = [0; 1024];
    // The kernel makes the text for the first read, and gives as much of it as there is room for.
    let length = loop {
        match File::open(&path)?.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            length => break length?,
        }
    };
    let found = stat_of(bytes.get(..length).unwrap_or_default());
    found.ok_or_else(|| io::Error::other(format!("{path}: no start time")))
}

/// The running boot: `/proc/sys/kernel/random/boot_id`.
pub(crate) fn boot_id() -> io::Result<&'static str> {
    static ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = ID.get() {
        return Ok(id);
    }
    check_proc()?;
    let path = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(path).map_err(|error| named(path, error))?;
    match text.trim() {
        "" => Err(io::Error::other(format!("{path}: empty"))),
        id => Ok(ID.get_or_init(|| id.to_owned())),
    }
}

/// Whether `/proc` numbers processes as the kernel does for us: another's would show us strangers in place of our children.
fn check_proc() -> io::Result<()> {
    let (path, own) = ("/proc/self", std::process::id());
    let shown = std::fs::read_link(path).map_err(|error| named(format!("readlink {path}"), error))?;
    if shown.as_os_str() == own.to_string().as_str() {
        return Ok(());
    }
    let shown = shown.display();
    Err(io::Error::other(format!(
        "/proc is that of another pid namespace: there this process is {shown}, here {own}; mount one of its own, as unshare --mount-proc does"
    )))
}

/// The 3rd, the 6th and the 22nd field of `/proc/PID/stat`, counted from behind the command's last `)`. There has to be one behind, else it may be cut.
fn stat_of(stat: &[u8]) -> Option<Stat> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields =
        stat.get(end + 1..)?.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
    let state = *fields.next()?.first()?;
    let session = std::str::from_utf8(fields.nth(2)?).ok()?.parse().ok()?;
    let field = fields.nth(15)?;
    fields.next()?;
    let digits = field.iter().all(u8::is_ascii_digit);
    digits.then(|| Stat { state, session, start_time: String::from_utf8_lossy(field).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_only_if_both_say_so() {
        let os = io::Error::from_raw_os_error;
        let look = |time: io::Result<&str>| {
            let found = confirmed(os(libc::ESRCH), time.map(str::to_owned), "77");
            found.map_err(|(call, error)| (call, error.raw_os_error()))
        };
        assert_eq!(look(Err(os(libc::ENOENT))), Ok(()));
        assert_eq!(look(Ok("78")), Ok(()));
        assert_eq!(look(Ok("77")), Err(("open a pidfd of", Some(libc::ESRCH))));
        assert_eq!(look(Err(os(libc::EIO))), Err(("read the start time of", Some(libc::EIO))));
    }

    #[test]
    fn start_times() {
        let fields = (3..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        for name in ["sh", "a b", "x) (y", ") 1 2 3"] {
            let text = format!("1 ({name}) {fields}\n");
            let found = stat_of(text.as_bytes());
            assert_eq!(found, Some(Stat { state: b'3', session: 6, start_time: "22".into() }), "{name}");
            let start = text.find(" 22 ").unwrap() + 4;
            for end in 0..start {
                assert_eq!(stat_of(&text.as_bytes()[..end]), None, "{name}, cut at {end}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn one_read_tells_what_a_pidfd_would() {
        let boot_id = boot_id().unwrap().to_owned();
        let of = |pid: i32, time: String| State {
            init_pid: pid,
            init_start_time: time,
            boot_id: boot_id.clone(),
            ..State::default()
        };
        let own = i32::try_from(std::process::id()).unwrap();
        let time = start_time(Pid::new(own).unwrap()).unwrap();
        assert_eq!(living(&of(own, time.clone())).unwrap(), Pid::new(own));
        assert_eq!(living(&of(own, format!("{time}0"))).unwrap(), None);
        assert_eq!(living(&State { boot_id: "another".into(), ..of(own, time) }).unwrap(), None);
        assert!(living(&State { boot_id: String::new(), ..of(own, "1".into()) }).is_err());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let ended = of(pid, start_time(Pid::new(pid).unwrap()).unwrap());
        let pidfd = open_pidfd(Pid::new(pid).unwrap()).unwrap();
        assert!(wait_readable(pidfd.as_fd(), Some(KILL)).unwrap());
        // A zombie still has its stat.
        assert_eq!(stat(Pid::new(pid).unwrap()).unwrap().state, b'Z');
        assert_eq!(living(&ended).unwrap(), None);
        child.wait().unwrap();
        assert_eq!(living(&ended).unwrap(), None);
    }
}
