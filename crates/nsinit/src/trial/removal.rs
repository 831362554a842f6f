//! Removing a directory with all that is in it. That of the standard library panics when close(2) fails.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use libcontainer::plan::names;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::failure::{Failure, Named};

const FLAGS: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// How deep a tree may be: each level takes a descriptor, and room on the stack.
const LEVELS: u32 = 500;

/// Removes what lies at `path`, whatever it is. What is not there is no error.
pub(super) fn remove_tree(path: &Path) -> Result<(), Failure> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent_fd = open(parent, FLAGS, Mode::empty()).named(format_args!("open {}", parent.display()))?;
    remove(parent_fd.as_fd(), name, path, LEVELS)
}

fn remove(dir: BorrowedFd<'_>, name: &OsStr, path: &Path, levels: u32) -> Result<(), Failure> {
    match patient(|| unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)) {
        Err(Errno::EISDIR) => {}
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(errno).named(format_args!("unlink {}", path.display())),
    }
    let Some(below) = levels.checked_sub(1) else {
        return Err(Failure::new(format!("{}: more than {LEVELS} levels: rm -r", path.display())));
    };
    let opened = patient(|| openat(dir, name, FLAGS, Mode::empty()));
    let opened = opened.named(format_args!("open {}", path.display()))?;
    for child in names(&opened).named(format_args!("list {}", path.display()))? {
        remove(opened.as_fd(), &child, &path.join(&child), below)?;
    }
    match patient(|| unlinkat(dir, name, UnlinkatFlags::RemoveDir)) {
        Err(Errno::ENOENT) => Ok(()),
        removed => removed.named(format_args!("rmdir {}", path.display())),
    }
}

/// Calls again what was interrupted.
fn patient<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn all_of_a_tree_goes_and_nothing_that_its_links_lead_to() {
        let place = std::env::temp_dir().join(format!("nsinit-removal-{}", std::process::id()));
        let (tree, kept) = (place.join("tree"), place.join("kept"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        symlink(&kept, tree.join("a/link")).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && kept.join("file").exists());
        remove_tree(&place).unwrap();
    }

    #[test]
    fn a_tree_that_is_too_deep_is_an_error() {
        let place = std::env::temp_dir().join(format!("nsinit-deep-{}", std::process::id()));
        let mut deep = place.clone();
        (0..LEVELS + 5).for_each(|_| deep.push("d"));
        fs::create_dir_all(&deep).unwrap();
        let Err(Failure::Told { text, .. }) = remove_tree(&place) else { panic!("it was removed") };
        assert!(text.contains("levels"), "{text}");
        fs::remove_dir_all(&place).unwrap();
    }
}
