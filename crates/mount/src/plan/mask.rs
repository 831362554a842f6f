//! Hiding paths and making them read-only.

use std::path::Path;

use libcontainer_plan::{At, Builder, Dir, File, How, MountAttr, Slot};

use super::filesystem::{Filesystem, mount};
use super::{Rootfs, attr};

/// Hides each path: a file by the host's null device, a directory by an empty read-only tmpfs. A path that is not there needs no
/// hiding.
pub fn hide<'a>(plan: &mut Builder, rootfs: Rootfs, paths: impl IntoIterator<Item = &'a Path>) {
    let mut paths = paths.into_iter().peekable();
    if paths.peek().is_none() {
        return;
    }
    // ORDER: before the pivot: this must be the host's node, not a name that the image controls.
    plan.purpose("open the null device for masks");
    let null: Slot<File> =
        plan.openat2(At::Cwd, "/dev/null", How { flags: libc::O_PATH | libc::O_NOFOLLOW, ..How::TRUSTED });
    for path in paths {
        plan.purpose(format!("mask {}", path.display()));
        hide_one(plan, rootfs, null, path);
    }
    plan.purpose("close the null device").close(null);
}

fn hide_one(plan: &mut Builder, rootfs: Rootfs, null: Slot<File>, path: &Path) {
    let (file, end) = (plan.label(), plan.label());
    let path = relative(path);
    let directory: Slot<Dir> = plan.openat2(rootfs.dir, path, How::DIR_IN_ROOT);
    plan.on(libc::ENOENT, end).on(libc::ENOTDIR, file);
    let attributes = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let empty = mount(
        plan,
        &Filesystem { fstype: "tmpfs".into(), source: "tmpfs".into(), attributes, ..Filesystem::default() },
    );
    plan.move_mount(empty, directory);
    plan.close(empty);
    plan.close(directory);
    plan.on_success(end);
    plan.bind(file);
    let place: Slot<File> = plan.openat2(rootfs.dir, path, How::IN_ROOT);
    plan.on(libc::ENOENT, end);
    let cover = plan.clone_tree(null, false);
    plan.move_mount(cover, place);
    plan.close(cover);
    plan.close(place);
    plan.bind(end);
}

/// Makes each path, with all that is mounted below it, read-only. A path that is not there is passed over.
pub fn make_read_only<'a>(plan: &mut Builder, rootfs: Rootfs, paths: impl IntoIterator<Item = &'a Path>) {
    for path in paths {
        plan.purpose(format!("make {} read-only", path.display()));
        let end = plan.label();
        let place: Slot<File> = plan.openat2(rootfs.dir, relative(path), How::IN_ROOT);
        plan.on(libc::ENOENT, end);
        let copy = plan.clone_tree(place, true);
        let set = u64::from(attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC);
        plan.mount_setattr(copy, true, MountAttr { set, ..MountAttr::default() });
        plan.move_mount(copy, place);
        plan.close(copy).close(place);
        plan.bind(end);
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}
