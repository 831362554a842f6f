//! What a container has that waits for its start: the pipe on which it waits, the board on which it tells how it went, and the texts for that.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use libcontainer_plan::{Lane, Plan};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::draft::Draft;
use crate::error::named;
use crate::record::{BOARD, START};

impl Draft {
    /// The pipe on which it is going to wait.
    pub(super) fn make_pipe(&self) -> io::Result<()> {
        let store = self.store()?;
        nix::sys::stat::mknodat(
            store.dir(),
            START,
            nix::sys::stat::SFlag::S_IFIFO,
            Mode::S_IRUSR | Mode::S_IWUSR,
            0,
        )?;
        Ok(())
    }

    /// The pipe on which the init waits: open for both, so that it neither blocks nor ends when a writer goes away.
    pub(super) fn open_start(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        Ok(openat(self.store()?.dir(), START, flags, Mode::empty())?)
    }

    /// The file in which the init tells how far it has come.
    pub(super) fn make_board(&self, bytes: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let failed = |error| named(format!("write {}", self.path().join(BOARD).display()), error);
        let made = openat(self.store()?.dir(), BOARD, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let mut file = File::from(made.map_err(|errno| failed(errno.into()))?);
        file.write_all(bytes).map_err(failed)?;
        Ok(file.into())
    }

    /// Keeps the texts of the steps from the wait for the start, for the error of a start in another process.
    pub(super) fn keep_steps(&self, plan: &Plan) {
        let steps = plan.steps(Lane::Child).rev();
        let mut texts = Vec::new();
        // From the end, because rendering all of them would take longer than the start's own steps.
        for step in steps {
            texts.push((step.index, format!("{}: {}", step.purpose, step.call)));
            if step.purpose == "wait for the start" {
                break;
            }
        }
        texts.reverse();
        let mut inner = self.inner();
        inner.state.start_steps = texts;
        inner.state.first_exec = plan.first_exec().unwrap_or(0);
    }
}
