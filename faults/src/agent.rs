//! The agent of containers whose filter leaves calls to a listener.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context, Result};
use libcontainer::security::seccomp::notify::{Answer, Event, NotifyError, receive_listener};

use crate::confined::ANSWERED;

/// Answers at `socket` for as long as this process lives, in threads: one for each program.
pub(crate) fn serve(socket: &Path) -> Result<()> {
    let socket = UnixListener::bind(socket).with_context(|| socket.display().to_string())?;
    std::thread::spawn(move || {
        for connection in socket.incoming().flatten() {
            // Who came without a listener has been told by the end of the connection; a listener that fails shows in what the program may do.
            std::thread::spawn(move || drop(answer(&connection)));
        }
    });
    Ok(())
}

/// Every call of a program fails, until there is none.
fn answer(connection: &UnixStream) -> Result<(), NotifyError> {
    let (listener, _) = receive_listener(connection)?;
    while let Event::Call(call) = listener.receive(None)? {
        match listener.respond(call.id, Answer::Errno(ANSWERED)) {
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
