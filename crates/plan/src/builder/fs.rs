//! Files and directories.

use crate::wire::{Kind as StepKind, unsigned};
use std::path::Path;

use super::Builder;
use crate::slot::{At, Dir, File, Kind, Ns, Place, Slot};
use crate::step::{Arg, Label, Memory};
use crate::syscalls as sys;

/// Bytes of `struct statfs`.
const STATFS: usize = size_of::<libc::statfs>();
/// Bytes of `struct stat`.
const STAT: usize = size_of::<libc::stat>();

bitflags::bitflags! {
    /// How `openat2` resolves a path (`RESOLVE_…` of openat2(2)).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Resolve: u64 {
        /// Don't cross into another mount.
        const NO_XDEV = 0x01;
        /// Don't follow magic links of procfs.
        const NO_MAGICLINKS = 0x02;
        /// Don't follow any symbolic link.
        const NO_SYMLINKS = 0x04;
        /// Don't leave the directory at which resolution starts.
        const BENEATH = 0x08;
        /// Treat the directory at which resolution starts as the root.
        const IN_ROOT = 0x10;
    }
}

/// The arguments of `openat2`: `struct open_how` of openat2(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// `O_…` flags; `O_CLOEXEC` is always added.
    pub flags: i32,
    /// Permission bits, for `O_CREAT`.
    pub mode: u32,
    /// How the path is resolved.
    pub resolve: Resolve,
}

impl How {
    /// `O_PATH` in the tree below the start, symbolic links scoped to it, magic links refused.
    pub const IN_ROOT: Self =
        Self { flags: libc::O_PATH, mode: 0, resolve: Resolve::IN_ROOT.union(Resolve::NO_MAGICLINKS) };
    /// As [`How::IN_ROOT`], and the result must be a directory.
    pub const DIR_IN_ROOT: Self = Self { flags: libc::O_PATH | libc::O_DIRECTORY, ..Self::IN_ROOT };
    /// A directory below the start, reached without any symbolic link.
    pub const DIR_NO_LINKS: Self = Self {
        flags: libc::O_PATH | libc::O_DIRECTORY,
        mode: 0,
        resolve: Resolve::NO_SYMLINKS.union(Resolve::NO_MAGICLINKS).union(Resolve::BENEATH),
    };
    /// An object below the start, itself no link and reached without any.
    pub const NO_LINKS: Self = Self { flags: libc::O_PATH | libc::O_NOFOLLOW, ..Self::DIR_NO_LINKS };
    /// A path of the caller's own tree, trusted: links are followed.
    pub const TRUSTED: Self = Self { flags: libc::O_PATH, mode: 0, resolve: Resolve::empty() };
}

/// A file, directory or link as somebody has seen it: what fstat(2) tells of it that stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
    /// The type in `st_mode`: `S_IFDIR` and its like.
    pub kind: u32,
}

impl Builder {
    /// `openat2(at, path, how)`. Below a root it is asked again when the kernel can't tell whether a `..` stays inside (`EAGAIN`).
    pub fn openat2<K: Place>(&mut self, at: impl Into<At>, path: impl AsRef<Path>, how: How) -> Slot<K> {
        let scoped = how.resolve.contains(Resolve::IN_ROOT);
        let kind = if scoped { StepKind::Open } else { StepKind::Call };
        self.open(kind, at.into(), path.as_ref(), how, 0)
    }

    /// As [`Builder::openat2`]; a path that is missing is made, a composite of `readlinkat` and `mkdirat` for each name: directories with mode 0755,
    /// and at the end a file or directory with type and permission bits `made` (`S_IFREG` or `S_IFDIR`). A link that leads nowhere is followed,
    /// and what is missing is made where it leads, within `root`. With `S_IFREG` a directory in its place is an error (`EISDIR`; looked at by `statx`).
    pub fn openat2_or_make<K: Place>(
        &mut self,
        root: Slot<Dir>,
        path: impl AsRef<Path>,
        how: How,
        made: u32,
    ) -> Slot<K> {
        self.open(StepKind::Open, root.into(), path.as_ref(), how, made)
    }

    fn open<K: Place>(&mut self, kind: StepKind, at: At, path: &Path, how: How, made: u32) -> Slot<K> {
        let slot = self.new_slot(path.display().to_string());
        let path = self.path(path);
        let flags = u64::from(unsigned(how.flags | libc::O_CLOEXEC));
        let how = self.arena.words(&[Ok(flags), Ok(u64::from(how.mode)), Ok(how.resolve.bits())]);
        let args = [at.into(), path, Arg::Memory(how, Memory::How), 24_u32.into()];
        let step = self.step_of(kind, &sys::OPENAT2, args);
        (step.out, step.aux) = (Some(slot), made);
        Slot::new(slot)
    }

    /// As [`Builder::openat2`] for reading, following the link of a namespace file such as `self/ns/time_for_children` in a procfs
    /// that can be trusted.
    pub fn open_namespace(&mut self, at: impl Into<At>, path: impl AsRef<Path>) -> Slot<Ns> {
        let how = How { flags: libc::O_RDONLY, mode: 0, resolve: Resolve::empty() };
        let file: Slot<File> = self.openat2(at, path, how);
        Slot::new(file.id())
    }

    /// `mkdirat(dir, name, mode)`.
    pub fn mkdirat(&mut self, dir: impl Into<At>, name: impl AsRef<Path>, mode: u32) -> &mut Self {
        let name = self.path(name);
        self.step(&sys::MKDIRAT, [dir.into().into(), name, mode.into()]);
        self
    }

    /// `mknodat(dir, name, mode, device)`: `mode` holds the type, `device` is made by `makedev`; needs `CAP_MKNOD` for
    /// devices.
    pub fn mknodat(
        &mut self,
        dir: impl Into<At>,
        name: impl AsRef<Path>,
        mode: u32,
        device: u32,
    ) -> &mut Self {
        let name = self.path(name);
        self.step(&sys::MKNODAT, [dir.into().into(), name, mode.into(), device.into()]);
        self
    }

    /// `symlinkat(target, dir, name)`.
    pub fn symlinkat(
        &mut self,
        target: impl AsRef<Path>,
        dir: impl Into<At>,
        name: impl AsRef<Path>,
    ) -> &mut Self {
        let (target, name) = (self.path(target), self.path(name));
        self.step(&sys::SYMLINKAT, [target, dir.into().into(), name]);
        self
    }

    /// `readlinkat(dir, name)`: a link that leads to `target` is passed, for one that leads elsewhere the plan goes on at `other`, and for
    /// anything but a link (`EINVAL`) at `no_link`.
    pub fn expect_link(
        &mut self,
        target: impl AsRef<Path>,
        dir: impl Into<At>,
        name: impl AsRef<Path>,
        [other, no_link]: [Label; 2],
    ) -> &mut Self {
        let target = target.as_ref();
        let len = u32::try_from(target.as_os_str().len()).unwrap_or(u32::MAX);
        // One byte more, or a link that only begins like this one would pass.
        let room = target.as_os_str().len().saturating_add(1);
        let (got, wanted, name) = (self.arena.room(room), self.arena.path(target), self.path(name));
        let buffer = Arg::Memory(got, Memory::Opaque("buffer"));
        let args = [dir.into().into(), name, buffer, len.saturating_add(1).into()];
        self.step_of(StepKind::Expect, &sys::READLINKAT, args).aux = len;
        self.on(libc::EBADE, other).on(libc::EINVAL, no_link);
        self.compare(&sys::READLINKAT, got, wanted, len, Memory::Text).on(libc::EBADE, other)
    }

    /// `unlinkat(dir, name, 0)`.
    pub fn unlinkat(&mut self, dir: impl Into<At>, name: impl AsRef<Path>) -> &mut Self {
        let name = self.path(name);
        self.step(&sys::UNLINKAT, [dir.into().into(), name, 0_u32.into()]);
        self
    }

    /// `fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW)`.
    pub fn fchownat(&mut self, dir: impl Into<At>, name: impl AsRef<Path>, uid: u32, gid: u32) -> &mut Self {
        let name = self.path(name);
        self.step(&sys::FCHOWNAT, [dir.into().into(), name, uid.into(), gid.into(), 0x100_u32.into()]);
        self
    }

    /// `fchmodat(dir, name, mode)`. Follows a link in the last place: only for names just made.
    pub fn fchmodat(&mut self, dir: impl Into<At>, name: impl AsRef<Path>, mode: u32) -> &mut Self {
        let name = self.path(name);
        self.step(&sys::FCHMODAT, [dir.into().into(), name, mode.into()]);
        self
    }

    /// `write(file, bytes)`; fewer bytes written than given is an error.
    pub fn write(&mut self, file: Slot<File>, bytes: &[u8]) -> &mut Self {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let at = self.arena.bytes(bytes);
        let args = [file.into(), Arg::Memory(at, Memory::Bytes(len)), len.into()];
        self.step_of(crate::wire::Kind::Expect, &sys::WRITE, args).aux = len;
        self
    }

    /// `pread64(file, 0)`: the file must hold exactly these bytes.
    pub fn expect_content(&mut self, file: Slot<File>, wanted: &[u8]) -> &mut Self {
        // One byte more, or a file that only begins like this one would pass.
        self.expect_read(file, wanted, wanted.len().saturating_add(1))
    }

    /// As [`Builder::expect_content`]; more may follow.
    pub fn expect_beginning(&mut self, file: Slot<File>, wanted: &[u8]) -> &mut Self {
        self.expect_read(file, wanted, wanted.len())
    }

    fn expect_read(&mut self, file: Slot<File>, wanted: &[u8], room: usize) -> &mut Self {
        let number = |length| u32::try_from(length).unwrap_or(u32::MAX);
        let len = number(wanted.len());
        let (got, wanted) = (self.arena.room(room), self.arena.bytes(wanted));
        let args =
            [file.into(), Arg::Memory(got, Memory::Opaque("buffer")), number(room).into(), 0_u32.into()];
        self.step_of(StepKind::Expect, &sys::PREAD64, args).aux = len;
        self.compare(&sys::PREAD64, got, wanted, len, Memory::Bytes(len))
    }

    /// `fstatfs(place)`: it must lie on a filesystem of that type, a constant of statfs(2) such as `PROC_SUPER_MAGIC`.
    pub fn expect_filesystem<K: Place>(&mut self, place: Slot<K>, magic: u32) -> &mut Self {
        let (got, wanted) = (self.arena.room(STATFS), self.arena.words(&[Ok(u64::from(magic))]));
        self.step(&sys::FSTATFS, [place.into(), Arg::Memory(got, Memory::Opaque("buffer"))]);
        // The type is the first word of `struct statfs`.
        self.compare(&sys::FSTATFS, got, wanted, 8, Memory::Word)
    }

    /// `fstat(place)`: it must be what was seen. Permissions, owner and links may have changed.
    pub fn expect_seen<K: Kind>(&mut self, place: Slot<K>, seen: Seen) -> &mut Self {
        let got = self.arena.room(STAT);
        let identity = self.arena.words(&[Ok(seen.device), Ok(seen.inode)]);
        let kind = self.arena.ids(&[seen.kind]);
        self.step(&sys::FSTAT, [place.into(), Arg::Memory(got, Memory::Opaque("buffer"))]);
        let part = |place: usize| got + u32::try_from(place).unwrap_or(u32::MAX);
        // Device and inode are the first two words, on every architecture of 64 bits.
        self.compare(&sys::FSTAT, got, identity, 16, Memory::Opaque("device and inode"));
        let mode = part(std::mem::offset_of!(libc::stat, st_mode));
        self.compare(&sys::FSTAT, mode, kind, 4, Memory::Opaque("type"));
        self.only_bits(libc::S_IFMT)
    }

    /// `close(slot)`. The slot's name may not be used afterwards.
    pub fn close<K: Kind>(&mut self, slot: Slot<K>) -> &mut Self {
        self.step(&sys::CLOSE, [slot.into()]);
        self.release(slot.id());
        self
    }

    /// `fchdir(dir)`.
    pub fn fchdir(&mut self, dir: Slot<Dir>) -> &mut Self {
        self.step(&sys::FCHDIR, [dir.into()]);
        self
    }

    /// `chdir(path)`.
    pub fn chdir(&mut self, path: impl AsRef<Path>) -> &mut Self {
        let path = self.path(path);
        self.step(&sys::CHDIR, [path]);
        self
    }

    /// `getcwd` into scratch memory: fails with `ENOENT` if the working directory can't be reached from the root.
    pub fn check_cwd(&mut self) -> &mut Self {
        let room = self.arena.room(4096);
        self.step(&sys::GETCWD, [Arg::Memory(room, Memory::Opaque("buffer")), 4096_u32.into()]);
        self
    }

    /// `getcwd` with room for `/` alone: fails with `ERANGE` if the working directory is another.
    pub fn check_cwd_is_root(&mut self) -> &mut Self {
        let room = self.arena.room(2);
        self.step(&sys::GETCWD, [Arg::Memory(room, Memory::Opaque("buffer")), 2_u32.into()]);
        self
    }

    /// `chroot(path)`.
    pub fn chroot(&mut self, path: impl AsRef<Path>) -> &mut Self {
        let path = self.path(path);
        self.step(&sys::CHROOT, [path]);
        self
    }

    /// `umask(mask)`.
    pub fn umask(&mut self, mask: u32) -> &mut Self {
        self.step(&sys::UMASK, [mask.into()]);
        self
    }
}
