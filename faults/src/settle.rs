//! What the kernel, or force, takes down in time.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::reaper::drain;
use crate::watch::patience;
use crate::world::{World, groups, processes};

/// How long the kernel may take to take things down.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);
/// Without a change for so long a host is at rest.
const REST: Duration = Duration::from_millis(300);

/// How a host is when what was going has gone.
pub(crate) fn rested(look: impl Fn() -> World) -> World {
    let until = Instant::now() + patience(SETTLE);
    let mut found = look();
    loop {
        std::thread::sleep(REST);
        let next = look();
        if next == found || Instant::now() > until {
            return next;
        }
        found = next;
    }
}

/// Ends all processes and removes all groups of a worker's: the rest goes with the namespaces.
pub(crate) fn scrub(tag: &str) {
    let until = Instant::now() + patience(SETTLE);
    while Instant::now() < until {
        for group in groups(tag) {
            for (file, text) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
                // Only one of them is there.
                let _ = std::fs::write(group.join(file), text);
            }
        }
        for (pid, _) in processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        drain();
        for group in groups(tag) {
            let _ = std::fs::remove_dir(group);
        }
        if groups(tag).is_empty() && processes().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
