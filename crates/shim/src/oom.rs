//! Out of memory: told while the container goes on.

use std::os::fd::AsFd;
use std::sync::Arc;

use libcontainer::ErrorKind;
use libcontainer::cgroups::events::{EventSource, Next, OomEvents};
use nix::poll::PollFlags;
use tokio::io::Interest;

use crate::journal;
use crate::ready::{Ready, ready};
use crate::task::Task;
use crate::trouble::{Trouble, named};

/// Watches until it has happened, or the first process has ended, which tells of its own end if it was for that.
pub(crate) fn watch(task: &Arc<Task>) {
    // A container without a control group, or without the memory controller, can't be out of its memory.
    let events = match task.container.events() {
        Ok(events) => events.oom,
        Err(error) if error.kind() == ErrorKind::Unsupported => return,
        Err(error) => return journal::warn(format_args!("{:?}: memory events: {error}", task.id)),
    };
    let Some(events) = events else { return };
    match waited_for(&events) {
        Ok(fd) => {
            tokio::spawn(look(Arc::clone(task), events, fd));
        }
        Err(trouble) => journal::warn(format_args!("{:?}: {trouble}", task.id)),
    }
}

fn waited_for(events: &OomEvents) -> Result<Ready, Trouble> {
    let is_urgent = events.interest().contains(PollFlags::POLLPRI);
    let interest = if is_urgent { Interest::PRIORITY } else { Interest::READABLE };
    let fd = named(events.as_fd().try_clone_to_owned(), "fcntl of memory events")?;
    ready(fd, interest, "memory events")
}

async fn look(task: Arc<Task>, mut events: OomEvents, fd: Ready) {
    let interest =
        if events.interest().contains(PollFlags::POLLPRI) { Interest::PRIORITY } else { Interest::READABLE };
    loop {
        match events.try_next() {
            Ok(Next::Event(_)) => return task.tell_out_of_memory(),
            Ok(Next::Ended) => return,
            Ok(Next::Pending) => {}
            Err(error) => return journal::warn(format_args!("{:?}: {error}", task.id)),
        }
        tokio::select! {
            ready = fd.ready(interest) => match ready {
                Ok(mut ready) => ready.clear_ready(),
                Err(error) => return journal::warn(format_args!("{:?}: epoll: {error}", task.id)),
            },
            _ = task.first.wait() => return,
        }
    }
}
