//! Where device nodes of a user namespace come from, which can't make any.

use std::io;
use std::os::unix::fs::MetadataExt;

use libcontainer_mount::plan::{Node, NodeKind, Origin};
use libcontainer_plan::Probe;

use crate::error::{Error, Result};
use crate::setup::{IdMapSetup, MountSetup};

/// The host's node of the same path is bound if it is the device that is asked for; else root on the host makes one.
pub(super) fn find(
    mounts: &mut MountSetup,
    maps: Option<&IdMapSetup>,
    probe: &Probe,
    label: Option<&str>,
) -> Result<()> {
    let maps = maps.filter(|_| probe.is_root());
    for node in mounts.devices.iter_mut().chain(&mut mounts.other_devices) {
        if node.origin == Origin::Host {
            node.origin = origin(node, maps, label).map_err(|error| {
                let what = format!("/mount_config/device_nodes: {}", node.path.display());
                Error::io(what, error)
            })?;
        }
    }
    Ok(())
}

fn origin(node: &Node, maps: Option<&IdMapSetup>, label: Option<&str>) -> io::Result<Origin> {
    if node.kind == NodeKind::Fifo {
        return Ok(Origin::Made);
    }
    let found = match node.path.metadata() {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => None,
        found => Some(found?),
    };
    let is_it = found.as_ref().map(|data| is(node, data.mode(), data.rdev()));
    match (is_it, maps) {
        (Some(true), _) => Ok(Origin::Host),
        (_, Some(IdMapSetup { maps, .. })) => {
            let owner = maps.uid_outside(node.owner.0).zip(maps.gid_outside(node.owner.1));
            let unmapped = || {
                let (uid, gid) = node.owner;
                io::Error::other(format!("owner {uid}:{gid} is not mapped in the container's user namespace"))
            };
            Ok(Origin::ByHost { owner: owner.ok_or_else(unmapped)?, label: label.map(str::to_owned) })
        }
        // The step that binds it says that it is not there.
        (None, None) => Ok(Origin::Host),
        (Some(false), None) => {
            let (major, minor) = node.number;
            let text = format!("the host's is not device {major}:{minor}, and a user namespace makes none");
            Err(io::Error::other(text))
        }
    }
}

fn is(node: &Node, mode: u32, device: u64) -> bool {
    let kind = if node.kind == NodeKind::Block { libc::S_IFBLK } else { libc::S_IFCHR };
    mode & libc::S_IFMT == kind && device == libc::makedev(node.number.0, node.number.1)
}
