//! A start that the kernel refuses with a number alone: which group's limit of processes is reached, or that a group takes none, or none of that kind.

use std::io;

use libcontainer_cgroups::{Group, Layout, Place, check_own_room};
use libcontainer_plan::{Cause, LaunchError};

use crate::error::{as_io, errno_of, named};

/// Says what EBUSY of a clone into the group at `places` means. Puts the limit that is reached in place of the EAGAIN of one, where one is found: in what `seen` has
/// seen of the container's group, else in the group in which this process is.
pub(crate) fn explain(
    mut error: Box<LaunchError>,
    places: &[Place],
    seen: impl FnOnce() -> Option<libcontainer_cgroups::Error>,
) -> Box<LaunchError> {
    let failure = &mut error.failure;
    if let Some(explained) = of_thread(&failure.cause) {
        failure.cause = explained;
        return error;
    }
    if failure.purpose == ENTERS && failure.errno() == Some(libc::EINVAL) && is_real_time() {
        failure.cause = Cause::Os(named(NO_TIME, io::Error::from_raw_os_error(libc::EINVAL)));
    }
    if !failure.call.starts_with("clone3(") {
        return error;
    }
    match failure.errno() {
        Some(libc::EAGAIN) => {
            if let Some(full) = seen().or_else(|| own(1)) {
                failure.cause = Cause::Os(as_io(full));
            }
        }
        Some(libc::EBUSY) => {
            let what = busy(places);
            failure.cause = Cause::Os(named(what, io::Error::from_raw_os_error(libc::EBUSY)));
        }
        _ => {}
    }
    error
}

/// The purpose of the step by which an init enters groups of version 1.
const ENTERS: &str = "enter the control group";

const NO_TIME: &str = "the caller has a real-time policy, as chrt(1) sets it, and a new group of version 1 has no time for such processes \
                       (cpu.rt_runtime_us): give it some (realtimeRuntime), or start it without that policy";

/// Whether this thread is one of those that have a share of time for themselves. Only to explain an error: what can't be read explains nothing.
fn is_real_time() -> bool {
    const FIFO: u32 = 1;
    const ROUND_ROBIN: u32 = 2;
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    matches!(policy(&stat), Some(FIFO | ROUND_ROBIN))
}

/// The 41st field of proc_pid_stat(5). The 2nd may have blanks and parentheses.
fn policy(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(41 - 3)?.parse().ok()
}

/// A thread of this process, which a host step needs, is refused by the limit of its own group.
fn of_thread(cause: &Cause) -> Option<Cause> {
    let Cause::Os(error) = cause else { return None };
    let text = error.to_string();
    let refused = errno_of(error) == Some(libc::EAGAIN) && text.contains("pthread_create: ");
    // The init, which had its place there if it has no group of its own, is gone by now.
    let full = refused.then(|| own(1).or_else(|| own(2)))??;
    Some(Cause::Os(io::Error::new(error.kind(), format!("{text}; {full}"))))
}

/// The first words are runc's.
fn busy(places: &[Place]) -> String {
    let file = places.iter().find(|place| place.unified).map(|place| place.path().join("cgroup.procs"));
    let file = file.map_or_else(|| "cgroup.procs".to_owned(), |file| file.display().to_string());
    format!(
        "adding pid of a new process to cgroups: {file}: device or resource busy: the control group gives controllers to groups \
         below it and so takes no processes"
    )
}

/// A limit that leaves no room for `count` processes in `group`.
pub(crate) fn limit_of(group: &Group, count: u64) -> Option<libcontainer_cgroups::Error> {
    full(group.check_room_for(count))
}

/// Only to explain an error that is told anyway: what can't be found out explains nothing.
fn own(count: u64) -> Option<libcontainer_cgroups::Error> {
    full(check_own_room(&Layout::of_this_process().ok()?, count))
}

fn full(checked: libcontainer_cgroups::Result<()>) -> Option<libcontainer_cgroups::Error> {
    checked.err().filter(|error| matches!(error, libcontainer_cgroups::Error::Full { .. }))
}

/// Version 1 lets a process move into a full group: refused here, as version 2 refuses it.
///
/// # Errors
/// The limit that is reached.
pub(crate) fn check_move(group: &Group, count: u64) -> libcontainer_cgroups::Result<()> {
    // What else is wrong with the group is told by whoever uses it.
    full(group.check_room_to_move(count)).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_the_41st_field() {
        let numbers: Vec<_> = (4..=52).map(|field| field.to_string()).collect();
        assert_eq!(policy(&format!("7 (a) b (c)) S {}", numbers.join(" "))), Some(41));
        assert_eq!([policy("7 (a) S 4 5"), policy(""), policy("7 (a")], [None; 3]);
    }
}
