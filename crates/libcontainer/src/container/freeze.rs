//! Pausing and resuming a container.

use std::time::Duration;

use super::handle::Container;
use crate::error::{Error, Result};
use crate::group::PATIENCE;
use crate::record::RunState;

impl Container {
    /// Freezes all processes. Returns at once, while the state is [`RunState::Pausing`]; it becomes [`RunState::Paused`] when
    /// all stand still. No-op if they do already.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`](crate::ErrorKind::WrongState) unless the container runs; those of the freezer.
    pub fn pause(&self) -> Result<()> {
        let _lock = self.store().lock(true)?;
        let state = self.refresh_locked()?;
        match self.state_now(&state)? {
            RunState::Paused => return Ok(()),
            RunState::Running | RunState::Created | RunState::Pausing => {}
            found => return Err(self.not_running("pause", found)),
        }
        let group = self.group_of(&state, "pause")?;
        group.begin_freeze().map_err(|error| Error::cgroup(format!("pause {:?}", self.id()), error))
    }

    /// Waits until all processes stand still; when the time is up, they run again.
    ///
    /// # Errors
    /// As [`Container::pause`]; [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub fn pause_within(&self, timeout: Duration) -> Result<()> {
        let _lock = self.store().lock(true)?;
        let state = self.refresh_locked()?;
        match self.state_now(&state)? {
            RunState::Paused => return Ok(()),
            RunState::Running | RunState::Created | RunState::Pausing => {}
            found => return Err(self.not_running("pause", found)),
        }
        let group = self.group_of(&state, "pause")?;
        group.freeze(timeout).map_err(|error| Error::cgroup(format!("pause {:?}", self.id()), error))
    }

    /// Lets all processes go on. No-op if they run.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`](crate::ErrorKind::WrongState) if the container has ended; those of the freezer.
    pub fn resume(&self) -> Result<()> {
        let _lock = self.store().lock(true)?;
        let state = self.refresh_locked()?;
        match self.state_now(&state)? {
            RunState::Running | RunState::Created => return Ok(()),
            RunState::Paused | RunState::Pausing => {}
            found => return Err(self.not_running("resume", found)),
        }
        let group = self.group_of(&state, "resume")?;
        group.thaw(PATIENCE).map_err(|error| Error::cgroup(format!("resume {:?}", self.id()), error))
    }
}
