//! The start of a container that was created: its first process is let go, and the record says so once it has replaced the init.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use libcontainer_plan::{BoardFile, wait_readable};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::condition::condition;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{BOARD, Init, KILL, RunState, START, State, Status, Store};

/// Lets the first process go. Returns the record with which it runs.
pub(crate) fn release(store: &Store, id: &str) -> Result<Arc<State>> {
    let what = format!("start {id:?}");
    let _lock = store.lock(true)?;
    let mut state = State::clone(&*store.read()?);
    let init = Init::open(&state)?;
    let found = condition(&state, init.as_ref())?;
    let Some(Init { pidfd, .. }) = init.filter(|_| found == RunState::Created) else {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("{what}: the container is {found:?}, not Created"),
        ));
    };
    let failed = |error| Error::io(what.clone(), error);
    let pipe = write_start(store).map_err(failed)?;
    wait_for_exec(&pipe, &pidfd).map_err(failed)?;
    drop(pipe);
    if let Err(error) = executed(store, &state, &what) {
        // It is on its way out; afterwards the state is Stopped. If that takes too long the error is told all the same.
        let _ = wait_readable(pidfd.as_fd(), Some(KILL));
        return Err(error);
    }
    state.status = Status::Running;
    store.write(&state).map_err(failed)
}

/// Writes to the pipe on which the init waits, and keeps it open.
fn write_start(store: &Store) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut pipe = File::from(openat(store.dir(), START, flags, Mode::empty())?);
    pipe.write_all(b"s")?;
    Ok(pipe)
}

/// Whether the exec went well, from the board file.
fn executed(store: &Store, state: &State, what: &str) -> Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let board = openat(store.dir(), BOARD, flags, Mode::empty());
    let board =
        board.map_err(io::Error::from).and_then(BoardFile::read).map_err(|error| Error::io(what, error))?;
    let Some(errno) = board.errno else { return Ok(()) };
    let mut texts = state.start_steps.iter().filter(|(index, _)| *index == board.step);
    let text = texts.next().map_or("", |(_, text)| text.as_str());
    let error = io::Error::from_raw_os_error(errno);
    Err(Error::io(format!("{what}: step {}: {text}", board.step), error))
}

/// Waits until the init no longer holds the pipe: it has replaced itself, or it is gone.
fn wait_for_exec(pipe: &File, pidfd: &OwnedFd) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let limit = PollTimeout::try_from(KILL).unwrap_or(PollTimeout::MAX);
    loop {
        let mut polled =
            [PollFd::new(pipe.as_fd(), PollFlags::empty()), PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, limit) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            Ok(_) => return Ok(()),
        }
    }
}
