//! Freezing and thawing.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::pread;

use super::wait::{Patience, is_forbidden};
use super::{Group, Pid, walk};
use crate::dir::{Dir, patient};
use crate::error::{Error, Result};
use crate::faults;

/// What the freezer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezerState {
    /// Running.
    Thawed,
    /// On its way.
    Freezing,
    /// All processes stand still.
    Frozen,
}

/// The freezer of a group.
pub(super) enum Freezer<'g> {
    V1(&'g Dir),
    V2(&'g Dir),
}

/// How many looks at a version 1 group that won't freeze, before it may run for an instant.
const LOOKS: u32 = 32;

impl Group {
    /// Stops every process of the group and of those below it, and returns when all stand still.
    ///
    /// When the time is up, everything runs again.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a freezer, [`Error::Invalid`] when this process is in the group, [`Error::Timeout`],
    /// [`Error::Read`], [`Error::Write`].
    pub fn freeze(&self, timeout: Duration) -> Result<()> {
        let freezer = self.freezer()?;
        if self.look().all()?.contains(&Pid::own()) {
            return Err(Error::invalid("freeze", "this process is in the group"));
        }
        // On every way out but the good one the group must not stay half frozen.
        freezer.freeze(timeout).map_err(|cause| match freezer.let_go() {
            Ok(()) => cause,
            Err(left) => Error::NotRolledBack { cause: Box::new(cause), left: vec![left] },
        })
    }

    /// Asks the freezer to stop every process, and doesn't wait for it: see [`Group::frozen_state`]. On version 1 a group that is
    /// caught half-way may need to be asked again.
    ///
    /// # Errors
    /// As [`Group::freeze`].
    pub fn begin_freeze(&self) -> Result<()> {
        let freezer = self.freezer()?;
        if self.look().all()?.contains(&Pid::own()) {
            return Err(Error::invalid("freeze", "this process is in the group"));
        }
        freezer.ask()
    }

    /// Lets the processes run again, and returns when they do. Nothing to do for a group that isn't frozen.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a freezer, [`Error::Timeout`] (also while a group above is frozen), [`Error::Read`],
    /// [`Error::Write`].
    pub fn thaw(&self, timeout: Duration) -> Result<()> {
        self.freezer()?.thaw(timeout)
    }

    /// Does `work` while every process stands still. Afterwards they run again, whatever came of it; but a group that was asked
    /// to stand still before, stays so.
    pub(crate) fn while_frozen(&self, timeout: Duration, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let freezer = self.freezer()?;
        if freezer.is_asked()? {
            // RACE: on its way to be frozen, it is not to be let go.
            return freezer
                .freeze(timeout)
                .or_else(|error| freezer.ask().and(Err(error)))
                .and_then(|()| work());
        }
        self.freeze(timeout)?;
        let worked = work();
        // ORDER: thaw in any case before the outcome is told.
        match (worked, freezer.let_go()) {
            (worked, Ok(())) => worked,
            (Ok(()), Err(error)) => Err(error),
            (Err(cause), Err(left)) => Err(Error::NotRolledBack { cause: Box::new(cause), left: vec![left] }),
        }
    }

    /// What the freezer says now. A frozen group above counts.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a freezer, [`Error::Read`], [`Error::Content`].
    pub fn frozen_state(&self) -> Result<FreezerState> {
        self.freezer()?.state()
    }

    pub(super) fn freezer(&self) -> Result<Freezer<'_>> {
        let nodes = self.present()?;
        if let Some(node) = nodes.iter().find(|node| !node.place.unified && node.place.has("freezer")) {
            return Ok(Freezer::V1(&node.dir));
        }
        match nodes.iter().find(|node| node.place.unified) {
            Some(node) if node.dir.has("cgroup.freeze")? => Ok(Freezer::V2(&node.dir)),
            _ => Err(Error::NotFound { controller: "freezer".to_owned() }),
        }
    }
}

impl Freezer<'_> {
    pub(super) fn freeze(&self, timeout: Duration) -> Result<()> {
        let mut patience = Patience::new(timeout);
        match self {
            Self::V1(dir) => {
                for look in 1_u32.. {
                    dir.write("freezer.state", "FROZEN")?;
                    if self.state()? == FreezerState::Frozen {
                        return Ok(());
                    }
                    if look % LOOKS == 0 {
                        // RACE: a process stuck in the kernel on another that is frozen already never freezes; let all run for an instant.
                        dir.write("freezer.state", "THAWED")?;
                    }
                    if !patience.pause() {
                        break;
                    }
                }
                Err(patience.timeout("freeze", dir.path().to_owned()))
            }
            Self::V2(dir) => {
                dir.write("cgroup.freeze", "1")?;
                await_event(dir, "frozen", true, &patience, "freeze")
            }
        }
    }

    pub(super) fn thaw(&self, timeout: Duration) -> Result<()> {
        let mut patience = Patience::new(timeout);
        self.release()?;
        match self {
            Self::V1(dir) => {
                while self.state()? != FreezerState::Thawed {
                    if !patience.pause() {
                        return Err(patience.timeout("thaw", dir.path().to_owned()));
                    }
                }
                Ok(())
            }
            Self::V2(dir) => await_event(dir, "frozen", false, &patience, "thaw"),
        }
    }

    /// Tells the kernel to stop the group, without waiting.
    fn ask(&self) -> Result<()> {
        match self {
            Self::V1(dir) => dir.write("freezer.state", "FROZEN"),
            Self::V2(dir) => dir.write("cgroup.freeze", "1"),
        }
    }

    /// Whether the group itself was told to stand still; one above it doesn't count.
    fn is_asked(&self) -> Result<bool> {
        Ok(match self {
            // KERNEL(3.9): before that there was no freezing from above, and the state said it all.
            Self::V1(dir) => match dir.read_if_there("freezer.self_freezing")? {
                Some(own) => own == "1",
                None => self.state()? != FreezerState::Thawed,
            },
            Self::V2(dir) => dir.read("cgroup.freeze")? == "1",
        })
    }

    /// [`Self::release`], and again while that fails.
    fn let_go(&self) -> Result<()> {
        again(|| self.release()).map_err(still_frozen)
    }

    /// Tells the kernel to let the group run, without waiting.
    pub(super) fn release(&self) -> Result<()> {
        match self {
            Self::V1(dir) => dir.write("freezer.state", "THAWED"),
            Self::V2(dir) => dir.write("cgroup.freeze", "0"),
        }
    }

    /// [`Self::release`] for the groups below too, which the container may have frozen on its own.
    pub(super) fn release_all(&self) -> Result<()> {
        let mut errors: Vec<Error> = self.release().err().into_iter().collect();
        let (dir, file, value) = match self {
            Self::V1(dir) => (dir, "freezer.state", "THAWED"),
            Self::V2(dir) => (dir, "cgroup.freeze", "0"),
        };
        for path in walk::tree(dir)? {
            let released = walk::descend(dir, &path).and_then(|group| group.write(file, value));
            errors.extend(released.err().filter(|error| !error.is_gone()));
        }
        Error::any_of(errors)
    }

    fn state(&self) -> Result<FreezerState> {
        match self {
            Self::V1(dir) => match dir.read("freezer.state")?.as_str() {
                "THAWED" => Ok(FreezerState::Thawed),
                "FREEZING" => Ok(FreezerState::Freezing),
                "FROZEN" => Ok(FreezerState::Frozen),
                other => {
                    let problem = format!("state not understood: {other:?}");
                    Err(Error::Content { path: dir.path().join("freezer.state"), problem })
                }
            },
            Self::V2(dir) => Ok(match (event(dir, "frozen")?, dir.read("cgroup.freeze")?.as_str()) {
                (true, _) => FreezerState::Frozen,
                (false, "1") => FreezerState::Freezing,
                (false, _) => FreezerState::Thawed,
            }),
        }
    }
}

/// Lets something go, and tries it again for a while unless it is forbidden. What is gone is let go.
pub(super) fn again(let_go: impl FnMut() -> Result<()>) -> Result<()> {
    Patience::to_undo().again(let_go, is_forbidden)
}

fn still_frozen(mut error: Error) -> Error {
    if let Error::Write { hint, .. } = &mut error {
        "; the group stands still until it is resumed".clone_into(hint);
    }
    error
}

/// A field of `cgroup.events`.
pub(super) fn event(dir: &Dir, key: &str) -> Result<bool> {
    field(dir, &dir.read("cgroup.events")?, key)
}

fn field(dir: &Dir, text: &str, key: &str) -> Result<bool> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let problem = match value {
        Some("1") => return Ok(true),
        Some("0") => return Ok(false),
        Some(other) => format!("{key} is {other:?}, neither 0 nor 1"),
        None => format!("no field {key} (a kernel before 5.2)"),
    };
    Err(Error::Content { path: dir.path().join("cgroup.events"), problem })
}

/// Waits until the field `key` of `cgroup.events` is `wanted`, by poll(2).
pub(super) fn await_event(
    dir: &Dir,
    key: &str,
    wanted: bool,
    patience: &Patience,
    what: &'static str,
) -> Result<()> {
    let failed = |errno: Errno| Error::Read { path: dir.path().join("cgroup.events"), source: errno.into() };
    let file = dir.file("cgroup.events", OFlag::O_RDONLY)?;
    let mut text = [0_u8; 256];
    loop {
        // ORDER: the read arms the poll: what changes after it wakes us.
        let count = faults::of("pread64", dir.path(), "cgroup.events")
            .and_then(|()| patient(|| pread(&file, &mut text, 0)))
            .map_err(failed)?;
        let now = String::from_utf8_lossy(text.get(..count).unwrap_or_default()).into_owned();
        if field(dir, &now, key)? == wanted {
            return Ok(());
        }
        let left = patience.left();
        if left.is_zero() {
            return Err(patience.timeout(what, dir.path().to_owned()));
        }
        let millis = i32::try_from(left.as_millis().max(1)).unwrap_or(i32::MAX);
        let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
        let polled = faults::of("poll", dir.path(), "cgroup.events")
            .and_then(|()| poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)));
        match polled {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}
