//! Mounts: each is built detached and attached once.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use super::Builder;
use crate::slot::{At, Dir, FsContext, Kind, Mount, Place, Slot};
use crate::step::{Arg, Memory};
use crate::syscalls as sys;

/// `struct mount_attr` of mount_setattr(2). Bits are `MOUNT_ATTR_…`, propagation is `MS_PRIVATE` and its like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountAttr {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear; must hold `MOUNT_ATTR__ATIME` when `set` names an access time mode.
    pub clear: u64,
    /// Propagation, 0 to leave it.
    pub propagation: u64,
}

const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const AT_EMPTY_PATH: u32 = 0x1000;
const AT_RECURSIVE: u32 = 0x8000;
const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;

impl Builder {
    /// `fsopen(fstype)`. The context's kernel messages become part of the error when a step on it fails.
    pub fn fsopen(&mut self, fstype: &str) -> Slot<FsContext> {
        let text = self.text(fstype);
        self.out(&sys::FSOPEN, [text, 1_u32.into()], fstype)
    }

    fn fsconfig(&mut self, context: Slot<FsContext>, command: u32, key: Arg, value: Arg) {
        let step = self.step(&sys::FSCONFIG, [context.into(), command.into(), key, value, 0_u32.into()]);
        step.log = Some(context.id());
    }

    /// `fsconfig(context, FSCONFIG_SET_STRING, key, value)`.
    pub fn fsconfig_string(
        &mut self,
        context: Slot<FsContext>,
        key: &str,
        value: impl AsRef<[u8]>,
    ) -> &mut Self {
        let (key, value) = (self.text(key), self.text(value));
        self.fsconfig(context, FSCONFIG_SET_STRING, key, value);
        self
    }

    /// `fsconfig(context, FSCONFIG_SET_FLAG, key)`.
    pub fn fsconfig_flag(&mut self, context: Slot<FsContext>, key: &str) -> &mut Self {
        let key = self.text(key);
        self.fsconfig(context, FSCONFIG_SET_FLAG, key, 0_u32.into());
        self
    }

    /// `fsconfig(context, FSCONFIG_CMD_CREATE)`: makes the superblock.
    pub fn fsconfig_create(&mut self, context: Slot<FsContext>) -> &mut Self {
        self.fsconfig(context, FSCONFIG_CMD_CREATE, 0_u32.into(), 0_u32.into());
        self
    }

    /// `fsmount(context, attributes)`: a detached mount. The context is closed behind it.
    pub fn fsmount(&mut self, context: Slot<FsContext>, attributes: u32) -> Slot<Mount> {
        let slot = self.new_slot("mount".to_owned());
        let step = self.step(&sys::FSMOUNT, [context.into(), 1_u32.into(), attributes.into()]);
        step.log = Some(context.id());
        step.out = Some(slot);
        self.close(context);
        Slot::new(slot)
    }

    /// `open_tree(at, path, OPEN_TREE_CLONE)`: a detached copy of a mount, or of a directory or file in it. `flags` may add
    /// `AT_RECURSIVE`, `AT_EMPTY_PATH`, `AT_SYMLINK_NOFOLLOW`.
    pub fn open_tree(&mut self, at: impl Into<At>, path: impl AsRef<Path>, flags: u32) -> Slot<Mount> {
        let name = format!("copy of {}", path.as_ref().display());
        let path = self.path(path);
        self.out(&sys::OPEN_TREE, [at.into().into(), path, (flags | 0x8_0001).into()], name)
    }

    /// `open_tree` of the object in a slot, with all that is mounted below it if `recursive`.
    pub fn clone_tree<K: Place>(&mut self, place: Slot<K>, recursive: bool) -> Slot<Mount> {
        self.open_tree(place, "", AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 })
    }

    fn attr(&mut self, attr: MountAttr) -> Arg {
        let words = [Ok(attr.set), Ok(attr.clear), Ok(attr.propagation), Ok(0)];
        Arg::Memory(self.arena.words(&words), Memory::Attr)
    }

    /// `mount_setattr(mount, "", AT_EMPTY_PATH, attr)`, for all mounts below it too if `recursive`.
    pub fn mount_setattr(&mut self, mount: Slot<Mount>, recursive: bool, attr: MountAttr) -> &mut Self {
        let (text, attr) = (self.text(""), self.attr(attr));
        let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
        self.step(&sys::MOUNT_SETATTR, [mount.into(), text, flags.into(), attr, 32_u32.into()]);
        self
    }

    /// `mount_setattr(mount, "", AT_EMPTY_PATH, {MOUNT_ATTR_IDMAP, userns_fd})`: the id map of `namespace` becomes that of the
    /// mount, which must be detached; with `recursive` that of all mounts below it too. Needs `CAP_SYS_ADMIN` over the filesystem.
    ///
    /// The kernel takes the number of the descriptor from memory, so that it must be known when the plan is built: the caller
    /// gives `namespace` to a preset slot of the same launch, which keeps numbers above 2 as they are.
    pub fn mount_setattr_idmap(
        &mut self,
        mount: Slot<Mount>,
        recursive: bool,
        namespace: BorrowedFd<'_>,
    ) -> &mut Self {
        let text = self.text("");
        let number = u64::try_from(namespace.as_raw_fd()).unwrap_or(u64::MAX);
        let words = [Ok(MOUNT_ATTR_IDMAP), Ok(0), Ok(0), Ok(number)];
        let attr = Arg::Memory(self.arena.words(&words), Memory::Attr);
        let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
        self.step(&sys::MOUNT_SETATTR, [mount.into(), text, flags.into(), attr, 32_u32.into()]);
        self
    }

    /// `mount_setattr(AT_FDCWD, path, …)`: for the root, before the container's tree exists.
    pub fn mount_setattr_path(&mut self, path: &str, recursive: bool, attr: MountAttr) -> &mut Self {
        let (path, attr) = (self.text(path), self.attr(attr));
        let flags = if recursive { AT_RECURSIVE } else { 0 };
        let cwd = Arg::Int(libc::AT_FDCWD);
        self.step(&sys::MOUNT_SETATTR, [cwd, path, flags.into(), attr, 32_u32.into()]);
        self
    }

    /// `move_mount(mount → onto)`, both by descriptor: no path is resolved.
    pub fn move_mount<K: Place>(&mut self, mount: Slot<Mount>, onto: Slot<K>) -> &mut Self {
        let text = self.text("");
        self.step(&sys::MOVE_MOUNT, [mount.into(), text, onto.into(), text, 0x44_u32.into()]);
        self
    }

    /// `move_mount(mount → path)`, the target from the working directory: only for `/` and `.`.
    pub fn move_mount_path(&mut self, mount: Slot<Mount>, path: &str) -> &mut Self {
        let (text, path) = (self.text(""), self.text(path));
        self.step(&sys::MOVE_MOUNT, [mount.into(), text, Arg::Int(libc::AT_FDCWD), path, 4_u32.into()]);
        self
    }

    /// `pivot_root(".", ".")`: the old root lies on top of the new one afterwards; see pivot_root(2), NOTES.
    pub fn pivot_root(&mut self) -> &mut Self {
        let dot = self.text(".");
        self.step(&sys::PIVOT_ROOT, [dot, dot]);
        self
    }

    /// `umount2(".", MNT_DETACH)`.
    pub fn unmount_here(&mut self) -> &mut Self {
        let dot = self.text(".");
        self.step(&sys::UMOUNT2, [dot, 2_u32.into()]);
        self
    }

    /// `umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW)`: a name in the working directory.
    pub fn unmount(&mut self, name: impl AsRef<Path>) -> &mut Self {
        let name = self.path(name.as_ref());
        self.step(&sys::UMOUNT2, [name, (2_u32 | 8).into()]);
        self
    }

    /// Treats a slot as a mount that is attached: a place at which one lies, to be changed.
    #[must_use]
    pub fn as_mount<K: Kind>(&self, slot: Slot<K>) -> Slot<Mount> {
        Slot::new(slot.id())
    }

    /// Treats a slot as a directory that the caller knows to be one, such as a preset descriptor.
    #[must_use]
    pub fn as_dir<K: Kind>(&self, slot: Slot<K>) -> Slot<Dir> {
        Slot::new(slot.id())
    }
}
