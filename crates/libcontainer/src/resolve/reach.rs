//! Whether root of a container's user namespace gets to the source of a bind.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libcontainer_mount::IdMapping;

use crate::config::{Config, NamespaceKind};

/// Whether a directory on the way is closed to the init: then the host has to copy the source. What is neither open to all nor of ids that the namespace has
/// is closed to it, whatever its capabilities: user_namespaces(7). Access control lists are not looked at.
///
/// An ordinary user's init is no other user than himself.
pub(super) fn is_out_of_reach(config: &Config, source: &Path) -> io::Result<bool> {
    if !config.namespaces.contains(NamespaceKind::User) || !nix::unistd::geteuid().is_root() {
        return Ok(false);
    }
    for directory in source.canonicalize()?.ancestors().skip(1) {
        let found = directory.metadata()?;
        let is_theirs = has(&config.uid_mappings, found.uid()) && has(&config.gid_mappings, found.gid());
        if found.mode() & 0o001 == 0 && !is_theirs {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has(maps: &[IdMapping], id: u32) -> bool {
    let ids = |map: &IdMapping| map.host_id..map.host_id.saturating_add(map.size);
    maps.iter().any(|map| ids(map).contains(&i64::from(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_are_looked_for() {
        let maps = [IdMapping { container_id: 0, host_id: 100, size: 10 }];
        assert_eq!([99, 100, 109, 110].map(|id| has(&maps, id)), [false, true, true, false]);
    }
}
