//! What is done with containers: run, create, start, exec, kill, pause, resume, checkpoint, restore, delete.

mod criu;
mod ending;
mod exec;
mod make;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use libcontainer::{Container, ErrorKind, Factory, Process};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::console::Sockets;
use crate::failure::{Failure, Named, Outcome};
use crate::log::{Level, tell};
use crate::pid_file::PidFile;
use crate::root::State;

pub(crate) use criu::{checkpoint, restore};
pub(crate) use ending::{delete, delete_all, kill};
pub(crate) use exec::exec;
pub(crate) use make::{create, run, start};

/// A factory that tells its warnings where errors go.
pub(crate) fn factory() -> Result<Factory, Failure> {
    Ok(Factory::new()?.warnings(|error| tell(Level::Warning, &error.to_string())))
}

pub(crate) fn load(root: &State, id: &str) -> Result<Container, Failure> {
    let path = root.container(id)?;
    factory()?.load(&path).map_err(|error| match there(&path) {
        Ok(false) if error.kind() == ErrorKind::NotFound => {
            let path = path.display();
            Failure::new(format!(
                "container {id:?} does not exist (no {path}; nsinit list shows those that do)"
            ))
        }
        _ => error.into(),
    })
}

#[inline(never)]
pub(crate) fn pause(root: &State, id: &str) -> Outcome {
    load(root, id)?.pause_within(Duration::from_secs(10))?;
    Ok(0)
}

#[inline(never)]
pub(crate) fn resume(root: &State, id: &str) -> Outcome {
    load(root, id)?.resume()?;
    Ok(0)
}

/// Gives the caller what it wants of a new process, or ends the process: whoever can't learn its number has no way to do so.
fn hand_over(process: &mut Process, sockets: &Sockets, pid_file: Option<PidFile>) -> Result<(), Failure> {
    sockets.send(process)?;
    // ORDER: last; who sees the file finds everything else done.
    pid_file.map_or(Ok(()), |file| file.write(process.pid()))
}

/// Kills a process and waits for it.
fn end(process: &mut Process) -> Result<(), Failure> {
    match process.signal(Signal::SIGKILL as i32) {
        // It has ended by itself.
        Err(error) if error.errno() == Some(Errno::ESRCH as i32) => {}
        result => result?,
    }
    process.wait()?;
    Ok(())
}

/// Whether a container's directory is there.
fn there(path: &Path) -> Result<bool, Failure> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        found => found.named(format_args!("lstat {}", path.display())).map(|_| true),
    }
}

/// Whether a terminal's output is copied by this program to what is no terminal: whoever reads that wants lines, as runc writes them.
fn plain_newlines(sockets: &Sockets) -> bool {
    !sockets.console() && !io::stdout().is_terminal()
}
