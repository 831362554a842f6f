//! Binds whose source is in the container's own tree, where an earlier mount has brought it: on the host there is something else at that path, or nothing.

use std::path::{Component, Path, PathBuf};

use libcontainer_mount::plan::components;

use crate::setup::MountItem;

/// Such a source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Within {
    /// Below the rootfs, relative.
    pub(super) path: PathBuf,
    /// Whether it is going to be a directory, as far as that can be told before.
    pub(super) directory: bool,
}

impl Within {
    /// `source` as a path below the rootfs, if one of the mounts that come before lies over it.
    pub(super) fn of(rootfs: &Path, before: &[MountItem], source: &Path) -> Option<Self> {
        let path = source.strip_prefix(rootfs).ok()?.to_owned();
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let (index, rest) = covering(before, &path)?;
        Some(Self { directory: is_directory(rootfs, before, index, &rest), path })
    }
}

/// The last mount that lies over `path`, and the way from there.
fn covering(items: &[MountItem], path: &Path) -> Option<(usize, PathBuf)> {
    items.iter().enumerate().rev().find_map(|(index, item)| {
        let to = match item {
            MountItem::Filesystem { to, .. } | MountItem::Bind { to, .. } => to.as_path(),
            MountItem::Devices { .. } => Path::new("/dev"),
            MountItem::Link { .. } | MountItem::Remount { .. } => return None,
        };
        let place: PathBuf = components(to).into_iter().collect();
        let rest = path.strip_prefix(&place).ok().filter(|_| !place.as_os_str().is_empty())?;
        Some((index, rest.to_owned()))
    })
}

/// What lies at `rest` in a mount. Only the place for the bind is made by it: the kernel refuses a place of the wrong type.
fn is_directory(rootfs: &Path, items: &[MountItem], index: usize, rest: &Path) -> bool {
    let Some(MountItem::Bind { bind, .. }) = items.get(index) else { return true };
    let is_directory_at = |path: &Path| path.metadata().map_or(true, |found| found.is_dir());
    // Joined with nothing a path has a slash at its end, and then no file has it.
    let below = |path: &PathBuf| path.components().chain(rest.components()).collect::<PathBuf>();
    let Some(path) = bind.within.as_ref().map(below) else {
        return is_directory_at(&below(&bind.source));
    };
    let before = items.get(..index).unwrap_or_default();
    match covering(before, &path) {
        Some((index, rest)) => is_directory(rootfs, before, index, &rest),
        None => is_directory_at(&rootfs.join(path)),
    }
}

#[cfg(test)]
mod tests {
    use libcontainer_mount::plan::{Bind, Kind};

    use super::*;

    fn bind(source: &str, within: Option<&str>, to: &str) -> MountItem {
        let bind = Bind { source: source.into(), within: within.map(Into::into), ..Bind::default() };
        MountItem::Bind { bind, to: to.into(), kind: Kind::Directory }
    }

    #[test]
    fn what_an_earlier_mount_lies_over_is_within() {
        let items = [
            bind("/", None, "/mnt"),
            bind("/proc/self/status", None, "/file"),
            bind("/r/mnt/proc", Some("mnt/proc"), "/again"),
        ];
        let of = |source: &str| {
            let found = Within::of(Path::new("/r"), &items, Path::new(source))?;
            Some((found.path.to_str().unwrap().to_owned(), found.directory))
        };
        let within = |path: &str, directory| Some((path.to_owned(), directory));
        assert_eq!(of("/r/mnt"), within("mnt", true));
        assert_eq!(of("/r/mnt/proc"), within("mnt/proc", true));
        assert_eq!(of("/r/mnt/proc/version"), within("mnt/proc/version", false));
        assert_eq!(of("/r/file"), within("file", false));
        assert_eq!(of("/r/again/version"), within("again/version", false));
        for other in ["/r", "/r/other", "/mnt", "/r/mntx", "/r/other/../mnt", "mnt"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
