//! Children of this program in containers that have not been reaped.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// A child that has to be reaped.
pub(super) trait Child: AsFd + Send + Sync {
    /// Reaps it if it has ended. Whether nothing is left to be reaped.
    fn reap(&self) -> bool;
}

/// Every child that this program has in containers and has not reaped. A zombie in a pid namespace keeps its pid 1 from going, also
/// when nobody waits for it: its handle may have been dropped, or belong to someone who waits later.
static STARTED: Mutex<Children> = Mutex::new(Children { all: BTreeMap::new(), epoll: None });

/// So many are asked one by one; more are watched, so that only those that have ended cost a call.
const FEW: usize = 16;

struct Children {
    /// By their addresses, which stay while they are here.
    all: BTreeMap<usize, Arc<dyn Child>>,
    epoll: Option<Epoll>,
}

/// Adds a child that was just made.
pub(super) fn add(child: Arc<dyn Child>) {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).add(child);
}

/// Nothing is left to be reaped of this one.
pub(super) fn forget<T: ?Sized>(child: &T) {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).forget(std::ptr::from_ref(child).addr());
}

/// Reaps the children in containers that have ended. Their statuses stay with their handles.
pub(crate) fn reap_ended() {
    libcontainer_plan::reap_left();
    let found = STARTED.lock().unwrap_or_else(PoisonError::into_inner).found();
    for child in found {
        if child.reap() {
            forget(&*child);
        }
    }
}

impl Children {
    fn add(&mut self, child: Arc<dyn Child>) {
        let key = Arc::as_ptr(&child).addr();
        // What can't be watched is asked.
        self.epoll = self.epoll.take().filter(|epoll| watch(epoll, key, &child).is_ok());
        self.all.insert(key, child);
    }

    fn forget(&mut self, key: usize) {
        let Some(child) = self.all.remove(&key) else { return };
        if self.all.is_empty() {
            self.epoll = None;
        }
        if let Some(epoll) = &self.epoll {
            // At worst it is told again, and is not found among those that are left.
            let _ = epoll.delete(&child);
        }
    }

    /// Those that may have ended: if they are many and the kernel can watch them, those that have.
    fn found(&mut self) -> Vec<Arc<dyn Child>> {
        if self.epoll.is_none() && self.all.len() >= FEW {
            self.epoll = watch_all(&self.all).ok();
        }
        let ended = self.epoll.as_ref().and_then(|epoll| ended(epoll, self.all.len()).ok());
        match ended {
            Some(keys) => keys.iter().filter_map(|key| self.all.get(key).cloned()).collect(),
            None => self.all.values().cloned().collect(),
        }
    }
}

fn watch_all(children: &BTreeMap<usize, Arc<dyn Child>>) -> io::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (key, child) in children {
        watch(&epoll, *key, child)?;
    }
    Ok(epoll)
}

/// A pidfd is readable when its process has ended: pidfd_open(2).
fn watch(epoll: &Epoll, key: usize, child: &Arc<dyn Child>) -> io::Result<()> {
    Ok(epoll.add(child, EpollEvent::new(EpollFlags::EPOLLIN, key as u64))?)
}

/// The keys of those that have ended, at most `count`.
fn ended(epoll: &Epoll, count: usize) -> io::Result<Vec<usize>> {
    let mut events = vec![EpollEvent::empty(); count];
    loop {
        match epoll.wait(&mut events, EpollTimeout::ZERO) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(found) => {
                let keys = events.iter().take(found);
                return Ok(keys.filter_map(|event| usize::try_from(event.data()).ok()).collect());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use std::io::{PipeReader, PipeWriter, Write};
    use std::os::fd::BorrowedFd;

    use super::*;

    /// Ends when the other end of the pipe is written to.
    struct Fake(PipeReader);

    impl AsFd for Fake {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    impl Child for Fake {
        fn reap(&self) -> bool {
            true
        }
    }

    fn many(children: &mut Children, count: usize) -> Vec<(usize, PipeWriter)> {
        let one = |_| {
            let (reader, writer) = std::io::pipe().unwrap();
            let child: Arc<dyn Child> = Arc::new(Fake(reader));
            let key = Arc::as_ptr(&child).addr();
            children.add(child);
            (key, writer)
        };
        (0..count).map(one).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn of_many_only_those_are_asked_that_have_ended() {
        let mut children = Children { all: BTreeMap::new(), epoll: None };
        let mut few = many(&mut children, FEW - 1);
        assert_eq!(children.found().len(), FEW - 1, "few are asked one by one");
        assert!(children.epoll.is_none());
        let mut more = many(&mut children, 5);
        assert!(children.found().is_empty(), "none has ended");
        // One that was there when the watch began, and one that came afterwards.
        let mut late = many(&mut children, 1);
        for (_, writer) in [&mut few[3], &mut more[4], &mut late[0]] {
            writer.write_all(b"x").unwrap();
        }
        assert_eq!(children.found().len(), 3);
        children.forget(few[3].0);
        assert_eq!(children.found().len(), 2);
        for (key, _) in few.iter().chain(&more).chain(&late) {
            children.forget(*key);
        }
        assert!(children.all.is_empty() && children.epoll.is_none(), "no descriptor stays");
    }
}
