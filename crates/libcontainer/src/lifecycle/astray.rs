//! Processes that have joined a container: criu writes the first one and all below it, and these have their parents outside.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use libcontainer_cgroups::Group;
use libcontainer_plan::Pid;

use super::inside::in_pid_namespace;
use crate::config::NamespaceKind;
use crate::error::{Error, Result, named};
use crate::record::State;

/// What its status says of a process: its parent, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    parent: i32,
    name: String,
}

/// Those of the container that are not below `init`, to be shown; none if there are none.
pub(super) fn astray(state: &State, init: Pid) -> Result<Option<String>> {
    let mut seen = BTreeMap::new();
    for pid in processes(state, init)? {
        if let Some(found) = look(pid).map_err(|error| Error::io("look at its processes", error))? {
            seen.insert(pid.as_raw(), found);
        }
    }
    let lost: Vec<_> =
        lost(&seen, init.as_raw()).map(|(pid, seen)| format!("{pid} ({})", seen.name)).collect();
    Ok(Some(lost.join(", ")).filter(|lost| !lost.is_empty()))
}

/// Without a control group and without a pid namespace of its own only the first one is known.
fn processes(state: &State, init: Pid) -> Result<Vec<Pid>> {
    if !state.places().is_empty() {
        let found = Group::open(state.places()).and_then(|group| group.processes());
        let found = found.map_err(|error| Error::cgroup("look for its processes", error))?;
        return Ok(found.into_iter().filter_map(|pid| Pid::new(pid.get())).collect());
    }
    if state.config.namespaces.is_new(NamespaceKind::Pid) {
        return in_pid_namespace(init).map_err(|error| Error::io("read /proc", error));
    }
    Ok(vec![init])
}

/// `None` if it has ended.
fn look(pid: Pid) -> io::Result<Option<Seen>> {
    let path = format!("/proc/{pid}/status");
    match fs::read(&path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(error) => Err(named(format!("read {path}"), error)),
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            let unknown = || io::Error::other(format!("{path}: no line Name or PPid"));
            seen(&text).ok_or_else(unknown).map(Some)
        }
    }
}

fn seen(text: &str) -> Option<Seen> {
    let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    Some(Seen { parent: field("PPid:")?.parse().ok()?, name: field("Name:")?.to_owned() })
}

fn lost(all: &BTreeMap<i32, Seen>, init: i32) -> impl Iterator<Item = (&i32, &Seen)> {
    all.iter().filter(move |(pid, _)| {
        let mut at = **pid;
        // There are no longer ways up than there are processes.
        for _ in 0..=all.len() {
            match all.get(&at) {
                _ if at == init => return false,
                Some(seen) => at = seen.parent,
                None => break,
            }
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_below_the_first_is_lost() {
        let text =
            |name: &str, parent: i32| seen(&format!("Name:\t{name}\nTgid:\t7\nPPid:\t{parent}\n")).unwrap();
        let all = [
            (10, text("first", 4)),
            (11, text("child", 10)),
            (12, text("grandchild", 11)),
            (20, text("joined", 5)),
            (21, text("its child", 20)),
        ];
        let all: BTreeMap<_, _> = all.into();
        assert_eq!(lost(&all, 10).map(|(pid, _)| *pid).collect::<Vec<_>>(), [20, 21]);
        // One that changed while they were looked at.
        let circle: BTreeMap<_, _> = [(1, text("a", 2)), (2, text("b", 1))].into();
        assert_eq!(lost(&circle, 3).count(), 2);
        assert_eq!(seen("Name:\tx\n"), None);
    }
}
