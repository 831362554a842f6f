//! The start of a container that was created: its first process is let go, and the record says so once it has replaced the init.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use libcontainer_plan::{BoardFile, End, end_of_pidfd, has_init_name, signal_pidfd, wait_readable};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::again::again;
use super::condition::condition;
use super::devices;
use super::hooks::{Of, Waiting};
use super::host::Host;
use super::listen::Waiting as Listened;
use super::poststart::{end, poststart};
use super::under;
use super::unexecuted;
use crate::error::{Error, ErrorKind, Result, named};
use crate::hooks::Moment;
use crate::record::{BOARD, Init, KILL, Lock, RunState, START, State, Status, Store};

/// How long an init that has let its pipe go may take to end.
const MOMENT: Duration = Duration::from_millis(100);

/// Lets the first process go. Returns the record with which it runs.
pub(crate) fn release(host: &Host, store: &Store, id: &str) -> Result<Arc<State>> {
    let what = format!("start {id:?}");
    let mut created = created(store, &what)?;
    let mut starting = None;
    if !created.state.config.hooks.start_container.is_empty() {
        starting = Some(run_hooks(host, store, created, &what)?);
        created = self::created(store, &what)?;
    }
    let state = let_go(host, store, created, &what)?;
    drop(starting);
    poststart(host, store, &state, &what)?;
    Ok(state)
}

/// A container whose first process waits, locked.
struct Created {
    lock: Lock,
    state: Arc<State>,
    init: Init,
}

fn created(store: &Store, what: &str) -> Result<Created> {
    let lock = store.lock(true)?;
    let state = store.read()?;
    let init = Init::open(&state)?;
    let found = condition(store, &state, init.is_some())?;
    match init.filter(|_| found == RunState::Created) {
        Some(init) => Ok(Created { lock, state, init }),
        None => Err(not_created(store, &state, found, what)),
    }
}

/// Runs the hooks in the container before its program. Others may look at it meanwhile, but not start it too: that is held off by what is returned.
fn run_hooks(host: &Host, store: &Store, created: Created, what: &str) -> Result<Lock> {
    let Created { lock, state, init } = created;
    let Some(starting) = store.lock_start()? else {
        let text = format!("{what}: another process runs its startContainer hooks");
        return Err(Error::new(ErrorKind::WrongState, text));
    };
    drop(lock);
    let of = Of { config: &state.config, id: &state.id, dir: store.path(), host };
    for index in 0..state.config.hooks.start_container.len() {
        let pidfd = init.pidfd.try_clone().map_err(|error| Error::io(what, error))?;
        let waiting = Waiting { host, state: &state, init: Init { pid: init.pid, pidfd } };
        of.within(Moment::StartContainer, index, waiting)
            .map_err(|failed| end(host, store, &state, (what, failed)))?;
    }
    Ok(starting)
}

/// The error of a start with what became of the devices of an init that has ended, which takes its network namespace along.
fn home(host: &Host, store: &Store, (state, init): (&State, &Init), space: &File, error: Error) -> Error {
    // RACE: one that has failed may be on its way out; one that goes on waiting keeps what it has.
    if !matches!(wait_readable(init.pidfd.as_fd(), Some(MOMENT)), Ok(true)) {
        return error;
    }
    match devices::rescue(state, space, store.path(), host) {
        Ok(()) => error,
        Err(left) => {
            error.with_undo(vec![("bring its devices home".to_owned(), io::Error::other(left.to_string()))])
        }
    }
}

fn let_go(host: &Host, store: &Store, created: Created, what: &str) -> Result<Arc<State>> {
    let Created { lock: _lock, state, init } = created;
    // ORDER: as long as there is an init that has it.
    let space = devices::space_to_hold(&state, init.pid)?;
    begin(store, &state, &init, what).map_err(|error| match &space {
        Some(space) => home(host, store, (&state, &init), space, error),
        None => error,
    })
}

fn begin(store: &Store, state: &Arc<State>, init: &Init, what: &str) -> Result<Arc<State>> {
    let failed = |error| Error::io(what, error);
    // ORDER: before it is let go, so that its descriptors are those that it had.
    let listener = Listened::new(state, init, store.path()).map_err(failed)?;
    // ORDER: a program that has begun can't be taken back for want of room for its record.
    let running = State { status: Status::Running, ..State::clone(state) };
    let next = again(|| store.prepare(&running).map_err(failed))?;
    // RACE: an init that fails while it waits lets the pipe go before it has ended.
    let pipe = write_start(store).map_err(|error| not_heard(store, state, init, (error, what)))?;
    if let Some(error) = listener.and_then(|listener| listener.hand_over(init).err()) {
        return Err(not_heard(store, state, init, (error, what)));
    }
    let executed = outcome(store, state, init, pipe, what);
    if let Ok(Some(error)) = executed {
        // It is on its way out; afterwards the state is Stopped. If that takes too long the error is told all the same.
        let _ = wait_readable(init.pidfd.as_fd(), Some(KILL));
        return Err(error);
    }
    // ORDER: also if it can't be known: what has let the pipe go is no init that waits any more.
    // RACE: a rename whose answer was lost can't be made again.
    let written = next.commit().or_else(|_| again(|| store.write(&running).map_err(failed)));
    executed.and(written)
}

/// Why its exec has failed, if so, once it has let the pipe go.
fn outcome(store: &Store, state: &State, init: &Init, pipe: File, what: &str) -> Result<Option<Error>> {
    wait_for_exec(&pipe, &init.pidfd).map_err(|error| Error::io(what, error))?;
    drop(pipe);
    let failed = again(|| executed(store, state, init, what))?;
    Ok(failed.or_else(|| elsewhere(state, init, what)))
}

/// Why the init could not be let go, or its listener not be given away: by itself, or because the init has failed before.
fn not_heard(store: &Store, state: &State, init: &Init, (error, what): (io::Error, &str)) -> Error {
    // What the board does not tell, the error does.
    let own = board(store, what).ok().and_then(|board| told(&board, state, what));
    own.unwrap_or_else(|| {
        let unread = matches!(error.raw_os_error(), Some(libc::ENXIO | libc::EPIPE));
        // RACE: somebody may have killed it since it was looked at.
        if unread && wait_readable(init.pidfd.as_fd(), Some(MOMENT)).is_ok_and(|ended| ended) {
            let text = format!("{what}: the container has ended meanwhile, and is stopped, not created");
            return Error::new(ErrorKind::WrongState, text);
        }
        Error::io(what, error)
    })
}

/// Why there is nothing to start. An init that failed while it waited has said why.
fn not_created(store: &Store, state: &State, found: RunState, what: &str) -> Error {
    let failure = match (state.status, found) {
        (Status::Created, RunState::Stopped | RunState::Running) => {
            board(store, what).map(|board| told(&board, state, what))
        }
        _ => Ok(None),
    };
    let wrong = format!("{what}: the container is {found}, not created");
    match failure {
        Ok(Some(error)) => error,
        Ok(None) => Error::new(ErrorKind::WrongState, wrong),
        Err(unknown) => Error::new(ErrorKind::WrongState, format!("{wrong}; why is not known: {unknown}")),
    }
}

/// Writes to the pipe on which the init waits, and keeps it open.
fn write_start(store: &Store) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut pipe = File::from(openat(store.dir(), START, flags, Mode::empty())?);
    pipe.write_all(b"s")?;
    Ok(pipe)
}

/// What the init has written to the board file.
fn board(store: &Store, what: &str) -> Result<BoardFile> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let board = openat(store.dir(), BOARD, flags, Mode::empty()).map_err(io::Error::from);
    board.and_then(BoardFile::read).map_err(|error| Error::io(format!("{what}: read the board"), error))
}

/// The failure that the board tells of.
fn told(board: &BoardFile, state: &State, what: &str) -> Option<Error> {
    let error = io::Error::from_raw_os_error(board.errno?);
    Some(unexecuted::explained(state.config.tree(), Error::io(step(board, state, what), error)))
}

fn step(board: &BoardFile, state: &State, what: &str) -> String {
    let mut texts = state.start_steps.iter().filter(|(index, _)| *index == board.step);
    match texts.next() {
        Some((_, text)) => format!("{what}: step {}: {text}", board.step),
        None => format!("{what}: step {}", board.step),
    }
}

/// Why the exec did not come about, if it didn't, from the board file and from what is left of the init.
fn executed(store: &Store, state: &State, init: &Init, what: &str) -> Result<Option<Error>> {
    let board = board(store, what)?;
    if let Some(error) = told(&board, state, what) {
        return Ok(Some(error));
    }
    let killed = |text: &str| {
        Some(Error::new(ErrorKind::StartFailed, format!("{}: {text}", step(&board, state, what))))
    };
    // A record of an earlier version does not say which step it is.
    if state.first_exec != 0 && board.step < state.first_exec {
        return Ok(killed("the init was killed"));
    }
    let failed = |error| Error::io(what, error);
    match (has_init_name(init.pid), wait_readable(init.pidfd.as_fd(), Some(Duration::ZERO)).map_err(failed)?)
    {
        // A program of that name lives on.
        (Ok(true), ended) if ended || wait_readable(init.pidfd.as_fd(), Some(MOMENT)).map_err(failed)? => {
            Ok(killed("the init was killed"))
        }
        (Ok(_), _) => Ok(None),
        (Err(error), true) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
            // Reaped. KERNEL(6.15): where the kernel does not tell how it ended, it passes for a program that has.
            let end = end_of_pidfd(init.pidfd.as_fd()).map(|ended| ended.end);
            let signalled = matches!(end, Some(End::Killed(_)));
            Ok(killed("its process was killed in it, or just behind").filter(|_| signalled))
        }
        (Err(error), _) => Err(failed(named(format!("read /proc/{}/comm", init.pid), error))),
    }
}

/// The program is not under the profile that it was to be under: then it is killed.
fn elsewhere(state: &State, init: &Init, what: &str) -> Option<Error> {
    let error = match state.config.apparmor_profile.as_str() {
        "" => return None,
        text => match text.parse() {
            Ok(wanted) => under::look(init.pid, &wanted).err()?,
            // It was a name when the container was created.
            Err(error) => io::Error::other(format!("/apparmor_profile: {error}")),
        },
    };
    // RACE: of one that has ended nothing is known, and nothing runs.
    if matches!(init.has_ended(), Ok(true)) {
        return None;
    }
    let error = Error::io(what, error);
    match signal_pidfd(init.pidfd.as_fd(), libc::SIGKILL) {
        Ok(()) => Some(error),
        Err(failed) => Some(error.with_undo(vec![("kill the program".to_owned(), failed)])),
    }
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
