//! Removing a directory with all that is in it. That of the standard library panics when close(2) fails.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use libcontainer::plan::names;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::failure::{Failure, Named};

const FLAGS: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// How deep a tree may be: each level takes a descriptor, and room on the stack.
const LEVELS: u32 = 500;

/// Removes what lies at `path`, whatever it is. What is not there is no error.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Failure> {
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
    // What is mounted here is not ours: without this we would empty a directory of the host's that somebody has bound.
    let how =
        OpenHow::new().flags(FLAGS).resolve(ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let opened = patient(|| openat2(dir, name, how));
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

    const INSIDE: &str = "NSINIT_REMOVAL_TEST";

    /// Once more in a process with mounts of its own, where a directory lies bound in the tree.
    #[test]
    fn what_is_mounted_in_the_tree_is_left_alone() {
        let place = std::env::temp_dir().join("nsinit-removal-mounted");
        let (tree, kept) = (place.join("tree"), place.join("kept"));
        if std::env::var_os(INSIDE).is_some() {
            let Err(Failure::Told { text, .. }) = remove_tree(&tree) else {
                panic!("it went through the mount")
            };
            assert!(text.contains("EXDEV"), "{text}");
            assert!(kept.join("file").exists());
            return;
        }
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        fs::create_dir_all(tree.join("bound")).unwrap();
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        let script = "mount --bind \"$1\" \"$2\" && exec \"$0\" --exact removal::tests::what_is_mounted_in_the_tree_is_left_alone";
        let status = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(std::env::current_exe().unwrap())
            .args([&kept, &tree.join("bound")])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success() && kept.join("file").exists());
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
