//! Finding and making the place where something is mounted.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use libcontainer_plan::{Builder, Dir, File, How, Slot};

/// Whether the place must be a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory; missing ones are made with mode 0755.
    Directory,
    /// A file; a missing one is made empty with mode 0644, its parents as directories.
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

/// A descriptor of `path` in the rootfs, made if it is missing: for each name `mkdirat` (which follows nothing) and `openat2` from
/// the root.
///
/// RACE: another process may swap any name for a link at any moment. `mkdirat` then fails with `EEXIST`, and `openat2` either
/// resolves the link inside the rootfs or fails; neither reaches anything outside.
pub fn target(plan: &mut Builder, root: Slot<Dir>, path: &Path, kind: Kind, links: Links) -> Slot<File> {
    let names = components(path);
    let mut so_far = PathBuf::new();
    let mut parent: Option<Slot<Dir>> = None;
    let mut place = None;
    for (index, name) in names.iter().enumerate() {
        let last = index + 1 == names.len();
        let directory = !last || kind.is_directory();
        make(plan, parent.unwrap_or(root), name, directory);
        so_far.push(name);
        if last {
            let nofollow = if kind.is_followed() { 0 } else { libc::O_NOFOLLOW };
            let how = how(directory, links);
            place = Some(plan.openat2(root, &so_far, How { flags: how.flags | nofollow, ..how }));
        }
        let next = (!last).then(|| plan.openat2(root, &so_far, how(true, links)));
        if let Some(done) = std::mem::replace(&mut parent, next) {
            plan.close(done);
        }
    }
    // The root itself: only reached by a caller that did not validate.
    place.unwrap_or_else(|| plan.openat2(root, ".", how(true, links)))
}

fn make(plan: &mut Builder, parent: Slot<Dir>, name: &OsStr, directory: bool) {
    if directory {
        plan.mkdirat(parent, name, 0o755)
    } else {
        plan.mknodat(parent, name, libc::S_IFREG | 0o644, 0)
    };
    plan.tolerate(libc::EEXIST);
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
