//! The rootfs: taken as a detached copy, attached, entered.

use std::path::{Path, PathBuf};

use libcontainer_plan::{At, Builder, Dir, How, Mount, MountAttr, Slot};

/// How mount events travel between the container and the host (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    #[default]
    Private,
    /// From the host into the container.
    Slave,
    /// Among copies of the container's own mounts.
    Shared,
    /// Not at all, and not to be bound.
    Unbindable,
}

impl Propagation {
    fn bits(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
            Self::Shared => libc::MS_SHARED,
            Self::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// The rootfs of the container being set up.
#[derive(Clone, Copy, Debug)]
pub struct Rootfs {
    /// The attached copy.
    pub mount: Slot<Mount>,
    /// The same descriptor, as the directory from which everything is looked up.
    pub dir: Slot<Dir>,
}

/// Cuts the mount namespace off from the host's, copies the rootfs with all that is mounted in it, and attaches the copy to its
/// own place.
///
/// `events` says whether mounts that the host makes later still arrive.
pub fn take_rootfs(plan: &mut Builder, path: &Path, events: Propagation) -> Rootfs {
    // ORDER: first of all mount steps: nothing that follows may travel to the host.
    plan.purpose("keep mounts from the host's namespace");
    let events = if events == Propagation::Slave { libc::MS_SLAVE } else { libc::MS_PRIVATE };
    plan.mount_setattr_path("/", true, MountAttr { propagation: events, ..MountAttr::default() });
    plan.purpose(format!("take {} as rootfs", path.display()));
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, ..How::TRUSTED };
    let place: Slot<Dir> = plan.openat2(At::Cwd, path, how);
    let mount = plan.clone_tree(place, true);
    plan.move_mount(mount, place);
    plan.close(place);
    Rootfs { mount, dir: mount.root() }
}

/// Makes the rootfs `/` by `pivot_root(".", ".")`, which needs no directory for the old root, and lets the old root go. Like the others it looks whether it is
/// the root: a seccomp filter of the caller's may have answered in the kernel's place.
pub fn enter_by_pivot(plan: &mut Builder, rootfs: Rootfs) {
    plan.purpose("make the rootfs the root");
    plan.fchdir(rootfs.dir);
    plan.pivot_root();
    plan.check_cwd_is_root();
    // ORDER: right behind the pivot: the old root lies over the new one until it is gone. It is private or a slave, so that
    // the unmount stays inside.
    plan.unmount_here();
    plan.chdir("/");
}

/// Makes the rootfs `/` by moving its mount over it and changing root: for a rootfs on a ramdisk, which can't be pivoted
/// away. The host's tree stays below, so this is weaker.
///
/// `whole` are the host's mounts of proc and sysfs, which stay in the namespace: as long as one can be seen whole, a user namespace inside may mount a new one without
/// the masks. They are unmounted, or covered where they are locked.
pub fn enter_by_move(plan: &mut Builder, rootfs: Rootfs, whole: &[PathBuf]) {
    for path in whole {
        take_away(plan, path);
    }
    plan.purpose("move the rootfs over the root");
    plan.fchdir(rootfs.dir);
    plan.move_mount_path(rootfs.mount, "/");
    plan.chroot(".");
    plan.check_cwd_is_root();
    plan.chdir("/");
}

/// Makes a directory the root of this process and of those that it starts, and of no other: where the mounts are those of others too. That is weaker: who
/// may chroot(2) gets out of it.
pub fn enter_directory(plan: &mut Builder, root: Slot<Dir>) {
    plan.purpose("change the root");
    plan.fchdir(root);
    plan.chroot(".");
    plan.check_cwd_is_root();
    plan.chdir("/");
    plan.close(root);
}

fn take_away(plan: &mut Builder, path: &Path) {
    plan.purpose(format!("take {} of the host away", path.display()));
    let (locked, end) = (plan.label(), plan.label());
    plan.unmount(path).on_success(end).on(libc::ENOENT, end);
    plan.on(libc::EINVAL, locked).on(libc::EPERM, locked);
    plan.bind(locked);
    let context = plan.fsopen("tmpfs");
    plan.fsconfig_create(context);
    let cover = plan.fsmount(context, super::attr::RDONLY);
    let how = How { flags: libc::O_PATH | libc::O_DIRECTORY, ..How::TRUSTED };
    let below: Slot<Dir> = plan.openat2(At::Cwd, path, how);
    plan.move_mount(cover, below);
    plan.close(below);
    plan.close(cover);
    plan.bind(end);
}

/// Makes the rootfs's own mount read-only; mounts in it keep their state.
pub fn read_only(plan: &mut Builder, rootfs: Rootfs) {
    plan.purpose("make the rootfs read-only");
    let attr = MountAttr { set: u64::from(super::attr::RDONLY), ..MountAttr::default() };
    plan.mount_setattr(rootfs.mount, false, attr);
}

/// Sets the propagation of the rootfs, for all mounts in it too if `recursive`.
pub fn set_propagation(plan: &mut Builder, mount: Slot<Mount>, propagation: Propagation, recursive: bool) {
    let attr = MountAttr { propagation: propagation.bits(), ..MountAttr::default() };
    plan.mount_setattr(mount, recursive, attr);
}
