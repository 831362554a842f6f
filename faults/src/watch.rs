//! The clock: kills what does not end in time.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How much longer things take here.
pub(crate) fn patience(time: Duration) -> Duration {
    // An emulated machine.
    if std::env::var_os("LIBCONTAINER_EMULATED").is_some() { time * 6 } else { time }
}

#[derive(Debug)]
struct Watched {
    pid: Pid,
    end: Instant,
    /// Where it stood when it was killed.
    hung: Option<String>,
}

/// One thread that watches one process at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Mutex<Option<Watched>>>);

/// Watching ends with it.
#[derive(Debug)]
pub(crate) struct Guard<'a>(&'a Watch);

impl Watch {
    pub(crate) fn new() -> Self {
        let watch = Self::default();
        let own = watch.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(50));
                own.look();
            }
        });
        watch
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Watched>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self) {
        self.with(|watched| {
            if let Some(watched) =
                watched.as_mut().filter(|one| one.hung.is_none() && one.end < Instant::now())
            {
                watched.hung = Some(place(watched.pid));
                // It may have ended a moment ago.
                let _ = kill(watched.pid, Signal::SIGKILL);
            }
        });
    }

    /// Watches a child that is not reaped before the guard ends.
    pub(crate) fn begin(&self, pid: Pid, limit: Duration) -> Guard<'_> {
        self.with(|watched| {
            *watched = Some(Watched { pid, end: Instant::now() + patience(limit), hung: None });
        });
        Guard(self)
    }
}

impl Guard<'_> {
    /// Where it stood if it had to be killed.
    pub(crate) fn end(self) -> Option<String> {
        self.0.with(Option::take).and_then(|watched| watched.hung)
    }
}

/// What each thread of a process waits in.
fn place(pid: Pid) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let places = tasks.map(|task| {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let call = read("syscall");
        let number = call.split(' ').next().and_then(|number| number.parse().ok());
        let call = number.map_or_else(|| call.trim().to_owned(), crate::fault::call_name);
        format!("{} in {call}", read("comm").trim())
    });
    places.collect::<Vec<_>>().join(", ")
}
