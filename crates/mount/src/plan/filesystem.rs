//! Mounting filesystems and binding host files and directories.

use std::path::{Path, PathBuf};

use libcontainer_plan::{At, Builder, Dir, File, How, Mount, MountAttr, Seen, Slot};

use super::copy_up::{CopyUp, copy_up};
use super::idmap::{IdMap, copied, give_map, idmapped};
use super::target::{Kind, Links, parent_and_name, target};
use super::{Propagation, Rootfs, attr, set_propagation};

const AT_RECURSIVE: u32 = 0x8000;
const AT_SYMLINK_NOFOLLOW: u32 = 0x100;

/// A filesystem to be mounted new.
#[derive(Clone, Debug, Default)]
pub struct Filesystem {
    /// Type, such as `proc` or `tmpfs`.
    pub fstype: String,
    /// Source as the kernel shows it; may be empty.
    pub source: String,
    /// Options for the filesystem, each a flag or a key with a value.
    pub data: Vec<(String, Option<String>)>,
    /// `MOUNT_ATTR_…` bits.
    pub attributes: u32,
    /// What the new filesystem is filled with before it is attached.
    pub copy_up: Option<CopyUp>,
}

/// A host file or directory to be bound.
#[derive(Clone, Debug, Default)]
pub struct Bind {
    /// Path on the host; trusted.
    pub source: PathBuf,
    /// The same below the rootfs, relative, if an earlier mount of the container has brought what is bound: looked up there, when that mount is in its place.
    pub within: Option<PathBuf>,
    /// Don't follow a link in the last place of the source.
    pub source_nofollow: bool,
    /// What the source was when somebody looked at it. If it is something else by now, the plan ends.
    pub seen: Option<Seen>,
    /// Bring along what is mounted below the source.
    pub recursive: bool,
    /// Attributes for the bound mount, and for those below it if `all` is set.
    pub attributes: MountAttr,
    /// Attributes for every mount of the copied tree.
    pub recursive_attributes: MountAttr,
    /// Propagation of the bound mount, and whether of those below it too.
    pub propagation: Option<(Propagation, bool)>,
    /// Id map of the bound mount.
    pub id_map: Option<IdMap>,
    /// The host makes the copy, as with an id map: the init can't get to the source.
    pub by_host: bool,
}

/// Builds a filesystem, detached: `fsopen`, `fsconfig` for each option, `fsmount`; then it is filled, if that is asked for.
pub fn mount(plan: &mut Builder, filesystem: &Filesystem) -> Slot<Mount> {
    let context = plan.fsopen(&filesystem.fstype);
    if !filesystem.source.is_empty() {
        plan.fsconfig_string(context, "source", &filesystem.source);
    }
    for (key, value) in &filesystem.data {
        match value {
            Some(value) => plan.fsconfig_string(context, key, value),
            None => plan.fsconfig_flag(context, key),
        };
    }
    plan.fsconfig_create(context);
    // ORDER: filled before it becomes read-only.
    let late = if filesystem.copy_up.is_some() { filesystem.attributes & attr::RDONLY } else { 0 };
    let made = plan.fsmount(context, filesystem.attributes & !late);
    if let Some(copy) = &filesystem.copy_up {
        copy_up(plan, copy, made);
    }
    if late != 0 {
        plan.mount_setattr(made, false, MountAttr { set: u64::from(late), ..MountAttr::default() });
    }
    made
}

/// Copies a host file or directory as a detached mount with its attributes.
pub fn bind(plan: &mut Builder, bind: &Bind) -> Slot<Mount> {
    let recursive = if bind.recursive { AT_RECURSIVE } else { 0 };
    let nofollow = if bind.source_nofollow { AT_SYMLINK_NOFOLLOW } else { 0 };
    let copy = match &bind.id_map {
        None if bind.by_host => copied(plan, &bind.source, recursive | nofollow),
        None => plan.open_tree(At::Cwd, &bind.source, recursive | nofollow),
        Some(map) => idmapped(plan, &bind.source, recursive | nofollow, map),
    };
    if let Some(seen) = bind.seen {
        // RACE: whoever may rename in the source's directory puts another thing there, or a link to one. The copy is held: what it is stays.
        plan.purpose(format!(
            "see that {} is still what it was when the config was looked at",
            bind.source.display()
        ));
        plan.expect_seen(copy, seen).purpose(format!("bind {}", bind.source.display()));
    }
    attributes(plan, copy, bind);
    copy
}

/// The same of what may have come of an earlier mount: that is looked up below the rootfs, out of which no link leads.
pub fn bind_in(plan: &mut Builder, rootfs: Rootfs, asked: &Bind) -> Slot<Mount> {
    let Some(path) = &asked.within else { return bind(plan, asked) };
    let nofollow = if asked.source_nofollow { libc::O_NOFOLLOW } else { 0 };
    let how = How { flags: How::IN_ROOT.flags | nofollow, ..How::IN_ROOT };
    let place: Slot<File> = plan.openat2(rootfs.dir, path, how);
    let copy = plan.clone_tree(place, asked.recursive);
    plan.close(place);
    if let Some(map) = &asked.id_map {
        give_map(plan, copy, path, map);
    }
    attributes(plan, copy, asked);
    copy
}

fn attributes(plan: &mut Builder, copy: Slot<Mount>, bind: &Bind) {
    if bind.recursive_attributes != MountAttr::default() {
        plan.mount_setattr(copy, true, bind.recursive_attributes);
    }
    if bind.attributes != MountAttr::default() {
        plan.mount_setattr(copy, false, bind.attributes);
    }
    if let Some((propagation, all)) = bind.propagation {
        set_propagation(plan, copy, propagation, all);
    }
}

/// Attaches a detached mount to `path` in the rootfs, which is made if it is missing, and closes it.
pub fn attach(plan: &mut Builder, rootfs: Rootfs, mount: Slot<Mount>, path: &Path, kind: Kind, links: Links) {
    attach_open(plan, rootfs, mount, path, kind, links);
    plan.close(mount);
}

/// As [`attach`], but the mount stays open: what lies in it can be reached whatever becomes of the names that lead there.
pub fn attach_open(
    plan: &mut Builder,
    rootfs: Rootfs,
    mount: Slot<Mount>,
    path: &Path,
    kind: Kind,
    links: Links,
) {
    let place = target(plan, rootfs.dir, path, kind, links);
    plan.move_mount(mount, place);
    plan.close(place);
}

/// Makes a symbolic link at `path` in the rootfs. One that leads there already stays, another link is replaced, and anything else is
/// an error (`EEXIST`).
pub fn link(plan: &mut Builder, rootfs: Rootfs, to: &Path, path: &Path) {
    // The root itself: only reached by a caller that did not validate.
    let Some((parent, name)) = parent_and_name(path) else { return };
    let place = target(plan, rootfs.dir, &parent, Kind::Directory, Links::InRoot);
    let directory = plan.as_dir(place);
    let (check, in_the_way, replace, end) = (plan.label(), plan.label(), plan.label(), plan.label());
    plan.symlinkat(to, directory, &name).on(libc::EEXIST, check).on_success(end);
    plan.bind(check);
    // ORDER: looked at before it is touched: a start that fails further on has not taken away what an earlier one made.
    plan.expect_link(to, directory, &name, [replace, in_the_way]).on_success(end);
    plan.bind(in_the_way);
    // Fails, and so names what is in the way.
    plan.symlinkat(to, directory, &name).on_success(end);
    plan.bind(replace);
    plan.unlinkat(directory, &name).tolerate(libc::ENOENT);
    plan.symlinkat(to, directory, &name);
    plan.bind(end);
    plan.close(place);
}

/// A directory inside the rootfs that is known to be there.
pub(super) fn open_dir(plan: &mut Builder, dir: Slot<Dir>, path: &str) -> Slot<Dir> {
    plan.openat2(dir, path, How::DIR_NO_LINKS)
}
