//! Finding and making the place where something is mounted.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use libcontainer_plan::{Builder, Dir, File, How, Slot};

/// Whether the place must be a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory (else `ENOTDIR`); missing ones are made with mode 0755.
    Directory,
    /// Anything but a directory (else `EISDIR`); a missing file is made empty with mode 0644, its parents as directories.
    File,
    /// As `Directory`, but a symbolic link in the last place is refused (`ENOTDIR`).
    DirectoryItself,
    /// As `File`, but a symbolic link in the last place is not followed: the mount lies over the link.
    FileItself,
}

impl Kind {
    fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::DirectoryItself)
    }

    /// Type and permission bits of what is made.
    fn made(self) -> u32 {
        if self.is_directory() { libc::S_IFDIR | 0o755 } else { libc::S_IFREG | 0o644 }
    }

    fn is_followed(self) -> bool {
        matches!(self, Self::Directory | Self::File)
    }
}

/// What to do with symbolic links on the way to the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Follow them inside the rootfs: absolute targets start at its root, `..` stops there.
    InRoot,
    /// Refuse them (`ELOOP`): for `/proc` and `/sys`, on whose place other protections rest.
    Refuse,
}

/// The names that `path` consists of, cleaned as text: `.` vanishes, `..` takes the name before it away.
#[must_use]
pub fn components(path: &Path) -> Vec<OsString> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => drop(names.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    names
}

/// The directory in which `path` is, and its name there; `None` for the root.
pub(super) fn parent_and_name(path: &Path) -> Option<(PathBuf, OsString)> {
    let mut names = components(path);
    let name = names.pop()?;
    Some((names.into_iter().collect(), name))
}

/// A descriptor of `path` in the rootfs, made if it is missing, where links lead if there are any.
///
/// The init looks for it when it has come there, so that a mount made earlier is seen, and asks the kernel to stay below `root` at every
/// step: another process may swap any name for a link at any moment, and nothing outside is reached.
pub fn target(plan: &mut Builder, root: Slot<Dir>, path: &Path, kind: Kind, links: Links) -> Slot<File> {
    let names = components(path);
    if names.is_empty() {
        // The root itself: only reached by a caller that did not validate.
        return plan.openat2(root, ".", how(true, links));
    }
    let nofollow = if kind.is_followed() { 0 } else { libc::O_NOFOLLOW };
    let how = how(kind.is_directory(), links);
    let how = How { flags: how.flags | nofollow, ..how };
    plan.openat2_or_make(root, names.join(OsStr::new("/")), how, kind.made())
}

/// Makes the directory at `path` below `root` if it is missing, as [`target`] does; nothing where nothing can be made (`EROFS`). Text is not cleaned: a name before a `..` must be there,
/// as for any program inside.
pub fn make_directory(plan: &mut Builder, root: Slot<Dir>, path: &Path) {
    let end = plan.label();
    let made: Slot<Dir> = plan.openat2_or_make(root, path, How::DIR_IN_ROOT, Kind::Directory.made());
    // What is closed to the root of a user namespace may be open to the program's user.
    plan.on(libc::EACCES, end).on(libc::EROFS, end);
    plan.close(made);
    plan.bind(end);
}

fn how(directory: bool, links: Links) -> How {
    match (directory, links) {
        (true, Links::InRoot) => How::DIR_IN_ROOT,
        (false, Links::InRoot) => How::IN_ROOT,
        (true, Links::Refuse) => How::DIR_NO_LINKS,
        (false, Links::Refuse) => How::NO_LINKS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_text() {
        let cases = [("/a/b", "a b"), ("/a/../b/./c/", "b c"), ("/../../x", "x"), ("/", "")];
        for (path, wanted) in cases {
            assert_eq!(components(Path::new(path)).join(OsStr::new(" ")), wanted, "{path}");
        }
    }
}
