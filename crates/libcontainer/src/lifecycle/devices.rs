//! Devices of the host's that a container has, before what holds them ends: the kernel deletes a virtual one with its network namespace.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libcontainer_plan::{Pid, open_pidfd};

use super::again::again;
use super::host::Host;
use crate::error::{Error, Result};
use crate::group;
use crate::record::{Init, State, is_of_this_boot};

/// Brings them home. `dir` is the container's directory, if that is its.
///
/// # Errors
/// Whatever hinders it, or the look for them: then they may be inside, and nothing of the container may be ended.
pub(super) fn bring_home(state: &State, dir: Option<&Path>, host: &Host, what: &str) -> Result<()> {
    let names = state.network_state.devices().collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        return Ok(());
    }
    let unknown = |error: Error| error.within(&format!("{what}: where device {names} is"));
    let brought = again(|| {
        if !is_of_this_boot(state).map_err(unknown)? {
            return Ok(Vec::new());
        }
        libcontainer_network::bring_home(&state.network_state, &spaces(state, dir).map_err(unknown)?)
            .map_err(|error| Error::network(what, error))
    });
    match brought {
        Ok(renamed) => {
            renamed.iter().for_each(|one| host.renamed(what, one));
            Ok(())
        }
        Err(error) => Err(error.because(
            "the container was left as it is, because a virtual device is lost with its network namespace: delete it again when this \
             has passed, or, to give the device up, kill all its processes first, and unmount and remove the file netns in its directory if that is there"
                .to_owned(),
        )),
    }
}

/// Brings them home from a namespace that nobody may be in any more.
///
/// # Errors
/// Whatever hinders it: then the namespace is kept, if that can be, and nothing of the container may be ended.
pub(super) fn rescue(state: &State, space: &File, dir: &Path, host: &Host) -> Result<()> {
    let what = "bring its devices home";
    let rescued = || libcontainer_network::rescue(&state.network_state, space, dir);
    let renamed = again(|| rescued().map_err(|error| Error::network(what, error)))?;
    renamed.iter().for_each(|one| host.renamed(what, one));
    Ok(())
}

/// The network namespaces that the container's processes are in: that of the first, of those that live on behind its end, and those that a
/// program may have made; and one that is held where nobody may be left. Nothing but the processes of the control group is known of the latter two.
fn spaces(state: &State, dir: Option<&Path>) -> Result<Vec<File>> {
    let mut pids: Vec<_> = Init::open(state)?.into_iter().map(|init| init.pid).collect();
    let failed = |error| Error::cgroup("list the processes of the container", error);
    if let Some(group) = group::own(state).map_err(failed)? {
        match group.processes() {
            Err(error) if error.is_gone() => {}
            found => pids.extend(found.map_err(failed)?.into_iter().filter_map(|pid| Pid::new(pid.get()))),
        }
    }
    let held = dir
        .map_or(Ok(None), libcontainer_network::held)
        .map_err(|error| Error::network("look for one that is kept", error))?;
    let (mut seen, mut all) = (BTreeSet::new(), Vec::from_iter(held));
    for pid in pids {
        let Some(space) = space(pid)? else { continue };
        let data = space.metadata().map_err(|error| Error::io(format!("fstat /proc/{pid}/ns/net"), error))?;
        if seen.insert((data.dev(), data.ino())) {
            all.push(space);
        }
    }
    Ok(all)
}

/// The network namespace of a process, if it is to have devices, and would take them along.
pub(super) fn space_to_hold(state: &State, pid: Pid) -> Result<Option<File>> {
    let network = &state.network_state;
    // One that was joined stays by itself.
    if network.devices().next().is_none() || !network.ns_path.is_empty() { Ok(None) } else { space(pid) }
}

/// The network namespace of a process; none if it has ended.
fn space(pid: Pid) -> Result<Option<File>> {
    match open_pidfd(pid) {
        Ok(pidfd) => Init { pid, pidfd }.network_namespace(),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(Error::io(format!("open a pidfd of process {pid}"), error)),
    }
}
