//! Hiding paths and making them read-only.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use libcontainer_plan::{At, Builder, Dir, File, How, Label, Mount, MountAttr, Slot};

use super::filesystem::{Filesystem, mount};
use super::target::components;
use super::{Rootfs, attr};

/// A directory mount that was attached and is still open.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Where, as the config says.
    pub place: PathBuf,
    /// The mount.
    pub mount: Slot<Mount>,
}

/// A path to be hidden or made read-only, and the mount in which it is looked up.
///
/// RACE: names of the rootfs may be exchanged at any moment by another container that shares it. What lies in a filesystem that was
/// mounted here is looked up in that filesystem: its masks go with it, wherever its name leads by then.
#[derive(Clone, Debug)]
pub struct Protected {
    path: PathBuf,
    mount: Slot<Mount>,
    /// The path in that mount, or the mount itself.
    below: Option<PathBuf>,
}

impl Protected {
    /// The latest of the mounts at or above the path counts, else the rootfs.
    #[must_use]
    pub fn new(rootfs: Rootfs, mounts: &[Attached], path: &Path) -> Self {
        let names = components(path);
        let rest = |one: &Attached| {
            let place = components(&one.place);
            names.strip_prefix(place.as_slice()).map(|rest| (one.mount, rest))
        };
        let found = mounts.iter().rev().find_map(rest);
        let (mount, rest) = found.unwrap_or((rootfs.mount, &names));
        let below = (!rest.is_empty()).then(|| rest.join(OsStr::new("/")).into());
        Self { path: path.to_owned(), mount, below }
    }

    fn below(&self) -> &Path {
        self.below.as_deref().unwrap_or(Path::new("."))
    }
}

/// Hides each path: a file by the host's null device, a directory by an empty read-only tmpfs. A path that is not there needs no
/// hiding.
///
/// Several directories have one tmpfs in common: making one takes five calls, and ending it the kernel's time. `copies` (6.15) says that
/// a detached mount may be copied.
pub fn hide(plan: &mut Builder, paths: impl IntoIterator<Item = Protected>, copies: bool) {
    let paths: Vec<_> = paths.into_iter().collect();
    if paths.is_empty() {
        return;
    }
    // ORDER: before the pivot: this must be the host's node, not a name that the image controls.
    plan.purpose("open the null device for masks");
    let null: Slot<File> =
        plan.openat2(At::Cwd, "/dev/null", How { flags: libc::O_PATH | libc::O_NOFOLLOW, ..How::TRUSTED });
    let common = (paths.len() > 1).then(|| {
        plan.purpose("make an empty directory for masks");
        empty(plan)
    });
    // KERNEL(6.15): before, what is not attached can't be copied.
    match common.filter(|_| !copies) {
        Some(common) => hide_by_the_first(plan, null, common, &paths),
        None => {
            for path in paths {
                plan.purpose(format!("mask {}", path.path.display()));
                hide_one(plan, null, common, &path);
            }
        }
    }
    plan.purpose("close the null device").close(null);
    if let Some(common) = common {
        plan.close(common);
    }
}

/// The first directory that is there takes the tmpfs itself, those behind it copies.
///
/// Only the rootfs tells which is the first: there is one way for as long as there was none, and from each directory on it one to a second way.
fn hide_by_the_first(plan: &mut Builder, null: Slot<File>, common: Slot<Mount>, paths: &[Protected]) {
    let end = plan.label();
    let mut attached = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        plan.purpose(format!("mask {}, if it is a directory as the first", path.path.display()));
        if index + 1 == paths.len() {
            hide_first(plan, null, common, path, (end, end));
        } else {
            let (next, with_it) = (plan.label(), plan.label());
            hide_first(plan, null, common, path, (next, with_it));
            plan.bind(next);
            attached.push(with_it);
        }
    }
    for (path, before) in paths.iter().skip(1).zip(attached) {
        plan.purpose(format!("mask {}, if it is a directory as the one before", path.path.display()));
        plan.bind(before);
        hide_one(plan, null, Some(common), path);
    }
    plan.bind(end);
}

/// Goes on at `with_it` if this is a directory, else at `next`.
fn hide_first(
    plan: &mut Builder,
    null: Slot<File>,
    common: Slot<Mount>,
    path: &Protected,
    (next, with_it): (Label, Label),
) {
    let file = plan.label();
    let directory: Slot<Dir> = plan.openat2(path.mount.root(), path.below(), How::DIR_IN_ROOT);
    plan.on(libc::ENOENT, next).on(libc::ENOTDIR, file);
    plan.move_mount(common, directory);
    plan.close(directory).on_success(with_it);
    plan.bind(file);
    hide_file(plan, null, path, next);
    plan.on_success(next);
}

/// Read-only, and nothing in it counts for anything.
fn empty(plan: &mut Builder) -> Slot<Mount> {
    let attributes = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let filesystem =
        Filesystem { fstype: "tmpfs".into(), source: "tmpfs".into(), attributes, ..Filesystem::default() };
    mount(plan, &filesystem)
}

fn hide_one(plan: &mut Builder, null: Slot<File>, common: Option<Slot<Mount>>, path: &Protected) {
    let (file, end) = (plan.label(), plan.label());
    let directory: Slot<Dir> = plan.openat2(path.mount.root(), path.below(), How::DIR_IN_ROOT);
    plan.on(libc::ENOENT, end).on(libc::ENOTDIR, file);
    let cover = match common {
        Some(common) => plan.clone_tree(common.root(), false),
        None => empty(plan),
    };
    plan.move_mount(cover, directory);
    plan.close(cover);
    plan.close(directory);
    plan.on_success(end);
    plan.bind(file);
    hide_file(plan, null, path, end);
    plan.bind(end);
}

fn hide_file(plan: &mut Builder, null: Slot<File>, path: &Protected, end: Label) {
    let place: Slot<File> = plan.openat2(path.mount.root(), path.below(), How::IN_ROOT);
    plan.on(libc::ENOENT, end);
    let cover = plan.clone_tree(null, false);
    plan.move_mount(cover, place);
    plan.close(cover);
    plan.close(place);
}

/// Makes each path, with all that is mounted below it, read-only. A path that is not there is passed over.
pub fn make_read_only(plan: &mut Builder, paths: impl IntoIterator<Item = Protected>) {
    let set = u64::from(attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC);
    let attr = MountAttr { set, ..MountAttr::default() };
    for path in paths {
        plan.purpose(format!("make {} read-only", path.path.display()));
        if path.below.is_none() {
            // ORDER: no copy over it: what is looked up in the mount from now on would lie below that copy.
            plan.mount_setattr(path.mount, true, attr);
            continue;
        }
        let end = plan.label();
        let place: Slot<File> = plan.openat2(path.mount.root(), path.below(), How::IN_ROOT);
        plan.on(libc::ENOENT, end);
        let copy = plan.clone_tree(place, true);
        plan.mount_setattr(copy, true, attr);
        plan.move_mount(copy, place);
        plan.close(copy).close(place);
        plan.bind(end);
    }
}
