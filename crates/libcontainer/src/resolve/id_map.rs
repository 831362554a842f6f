//! The id map of a mount.

use std::io;
use std::path::Path;

use libcontainer_mount::plan::{IdMap, Ids};
use libcontainer_mount::{IdMapping, Mount, Options};
use libcontainer_plan::{namespace_link, open_namespace};

use crate::config::{Config, Namespace, NamespaceKind};

/// The mount's own map; with the option alone that of the container's user namespace.
pub(super) fn id_map(config: &Config, mount: &Mount, options: &Options) -> io::Result<Option<IdMap>> {
    let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    // A number that does not fit is a problem of the config, told before.
    let lines = |maps: &[IdMapping]| maps.iter().filter_map(|map| map.line()).collect();
    let ids = match (own, options.idmap, config.namespaces.get(NamespaceKind::User)) {
        (true, _, _) => Ids::Lines { uids: lines(&mount.uid_mappings), gids: lines(&mount.gid_mappings) },
        (false, Some(_), Some(Namespace::Join(path))) => of_namespace(path)?,
        (false, Some(_), _) => {
            Ids::Lines { uids: lines(&config.uid_mappings), gids: lines(&config.gid_mappings) }
        }
        (false, None, _) => return Ok(None),
    };
    Ok(Some(IdMap { ids, recursive: options.idmap == Some(true) }))
}

/// That of a namespace, which is known again by its inode.
fn of_namespace(path: &Path) -> io::Result<Ids> {
    let kind = NamespaceKind::User;
    let namespace = open_namespace(path, kind.flag(), kind.file())?;
    Ok(Ids::Namespace { path: path.to_owned(), link: namespace_link(kind.file(), namespace)? })
}
