//! The host's `/proc` and `/sys`, where a container that shares the namespace they show can't have its own: the kernel mounts them only for who owns that namespace.

use std::io;
use std::path::Path;

use libcontainer_mount::plan::{Bind, Kind};
use libcontainer_mount::{Mount, parse_options};
use libcontainer_plan::{MountAttr, Probe};

use crate::config::NamespaceKind;
use crate::setup::{MountItem, NamespaceSetup};

pub(super) const NOSUID: u32 = 0x2;
pub(super) const NODEV: u32 = 0x4;
pub(super) const NOEXEC: u32 = 0x8;

/// The host's tree at its own path, with these attributes beside the usual ones.
pub(super) fn bind(path: &str, extra: u32) -> MountItem {
    at(path, Path::new(path), extra)
}

/// In place of a mount of the config: in a user namespace that shares the host's network, or its pids.
pub(super) fn instead(
    mount: &Mount,
    namespaces: &NamespaceSetup,
    probe: &Probe,
) -> io::Result<Option<MountItem>> {
    let (path, kind) = match mount.kind.as_str() {
        "sysfs" => ("/sys", NamespaceKind::Network),
        "proc" => ("/proc", NamespaceKind::Pid),
        _ => return Ok(None),
    };
    let user = namespaces.has(NamespaceKind::User) || probe.nested.is_some();
    if !user || namespaces.has(kind) || mount.is_bind() {
        return Ok(None);
    }
    let options = parse_options(mount.options.iter().map(String::as_str), false).map_err(io::Error::other)?;
    let set = (options.set | options.recursive_set) & !(options.clear | options.recursive_clear);
    Ok(Some(at(path, &mount.destination, u32::try_from(set).map_err(io::Error::other)?)))
}

fn at(source: &str, to: &Path, extra: u32) -> MountItem {
    let set = u64::from(NOSUID | NODEV | NOEXEC | extra);
    let attributes = MountAttr { set, ..MountAttr::default() };
    let bind = Bind {
        source: source.into(),
        source_nofollow: true,
        within: None,
        seen: None,
        recursive: true,
        attributes: MountAttr::default(),
        recursive_attributes: attributes,
        propagation: None,
        id_map: None,
        by_host: false,
    };
    MountItem::Bind { bind, to: to.to_owned(), kind: Kind::Directory }
}
