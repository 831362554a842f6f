//! From a config to a setup: the only part that looks at the host before a start, by descriptors below the rootfs.

mod accounts;
mod capabilities;
mod cgroup_mount;
mod create;
mod host_tree;
mod id_map;
mod join;
mod joined;
mod labels;
mod mounts;
mod network;
mod nodes;
mod over;
mod process;
mod profile;
mod reach;
mod rights;
mod seccomp;
mod whole;
mod within;

use libcontainer_plan::Probe;

pub(crate) use accounts::{Accounts, accounts, accounts_to_show, read_accounts};
pub(crate) use capabilities::Inherited;
pub(crate) use cgroup_mount::{Groups, has_group_to_itself, shows_groups};
pub(crate) use create::{base, instance, keyring, names};
pub(crate) use join::join;
pub(crate) use joined::{links, open_namespaces, open_root};
pub(crate) use labels::Labels;
pub(crate) use mounts::mount;
pub(crate) use network::{network, with_joined_network};
pub(crate) use over::over;
pub(crate) use process::{user, without_doubles};
pub(crate) use seccomp::Filters;

/// What has to be known of the host for a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) probe: &'a Probe,
    pub(crate) filters: &'a Filters,
    /// Nobody can set groups in the container.
    pub(crate) setgroups_denied: bool,
    pub(crate) inherited: Inherited,
}
