//! The network of a container that is restored. Of that nothing is in images: it is made anew, as that of a new container.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use libcontainer_network::Plan;
use libcontainer_plan::{HostContext, Pid, open_pidfd};
use nix::sched::{CloneFlags, setns};

use crate::error::{Error, Result};
use crate::setup::Setup;

/// Prefix of settings, in their files' names, that are those of a network namespace.
const NETWORK: &str = "net.";

/// Makes what the config asks for in the network namespace of process `pid`, which does not run yet.
///
/// ORDER: settings before interfaces, which get what is the default when they are made; those of an interface when that is there.
pub(super) fn connect(setup: &Setup, pid: Pid, network: Option<Plan>) -> Result<()> {
    let network = network.filter(|network| !network.is_empty());
    let (late, early): (Vec<_>, Vec<_>) = setup
        .sysctls
        .iter()
        .filter(|(key, _)| key.starts_with(NETWORK))
        .partition(|(key, _)| of_interface(key));
    if !setup.loopback && network.is_none() && late.is_empty() && early.is_empty() {
        return Ok(());
    }
    let path = format!("/proc/{pid}/ns/net");
    let namespace = File::open(&path).map_err(|error| Error::io(format!("open {path}"), error))?;
    if setup.loopback {
        libcontainer_network::loopback_up(&namespace)
            .map_err(|error| Error::network("bring up lo", error))?;
    }
    set(namespace.as_fd(), &early)?;
    if let Some(network) = network {
        make(network, pid)?;
    }
    set(namespace.as_fd(), &late)
}

fn make(network: Plan, pid: Pid) -> Result<()> {
    let pidfd = open_pidfd(pid).map_err(|error| Error::io(format!("pidfd_open of process {pid}"), error))?;
    let mut context = HostContext::of(pid, pidfd);
    for step in network.steps() {
        let text = step.text().to_owned();
        step.run_apart(&mut context).map_err(|error| Error::io(text, error))?;
    }
    Ok(())
}

/// Whether a setting belongs to an interface that does not come with the namespace.
fn of_interface(key: &str) -> bool {
    let mut parts = key.split('.').skip(2);
    let is_kind = parts.next().is_some_and(|kind| kind == "conf" || kind == "neigh");
    is_kind && parts.next().is_some_and(|name| !["all", "default", "lo"].contains(&name))
}

/// Writes settings in a network namespace: by a thread, to which `/proc/sys/net` is that of its own one.
fn set(namespace: BorrowedFd<'_>, settings: &[&(String, String)]) -> Result<()> {
    if settings.is_empty() {
        return Ok(());
    }
    let written = libcontainer_thread::apart("net-settings", || {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| Error::io("enter its network namespace: setns(CLONE_NEWNET)", errno.into()))?;
        settings.iter().try_for_each(|(key, value)| {
            let path = format!("/proc/sys/{}", key.replace('.', "/"));
            let written = File::options().write(true).open(&path);
            let written = written.and_then(|mut file| file.write_all(value.as_bytes()));
            written.map_err(|error| Error::io(format!("/sysctl/{key}: write {value:?} to {path}"), error))
        })
    });
    let ended = || Error::io("set what its network is to have", io::Error::other("the thread ended early"));
    written.map_err(|error| Error::io("pthread_create", error))?.unwrap_or_else(|| Err(ended()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_interfaces_wait_for_them() {
        for late in
            ["net.ipv4.conf.eth0.rp_filter", "net.ipv6.conf.eth0.disable_ipv6", "net.ipv4.neigh.eth0.delay"]
        {
            assert!(of_interface(late), "{late}");
        }
        for early in [
            "net.ipv4.ip_forward",
            "net.ipv4.conf.all.rp_filter",
            "net.ipv6.conf.default.forwarding",
            "net.conf",
        ] {
            assert!(!of_interface(early), "{early}");
        }
    }
}
