//! What a trial needs of the disk, and how it goes away.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::failure::{Failure, Named, both};
use crate::removal::remove_tree;
use crate::root::State;

/// Directories that live as long as the trial.
pub(super) struct Scratch {
    pub(super) container: PathBuf,
    tree: PathBuf,
}

/// Behind the name of the container.
const TREE: &str = ".tree";
/// In the tree; only a trial's has it.
const UPPER: &str = "upper";
const WORK: &str = "work";

impl Scratch {
    pub(super) fn new(root: &State) -> Result<Self, Failure> {
        let dir = root.ready()?;
        let scratch = Self::claim(dir)?;
        // ORDER: first that by which it is known as a trial's, if this is killed here.
        for name in [UPPER, "root", WORK] {
            if let Err(failure) = make_dir(&scratch.tree.join(name)) {
                return both(Err(failure), scratch.remove()).map(|_| scratch);
            }
        }
        Ok(scratch)
    }

    /// Another trial with this number may have been killed, and not deleted yet.
    fn claim(dir: &Path) -> Result<Self, Failure> {
        let pid = std::process::id();
        let names =
            std::iter::once(format!("try-{pid}")).chain((2..100).map(|count| format!("try-{pid}-{count}")));
        for name in names {
            let scratch = Self { container: dir.join(&name), tree: dir.join(format!("{name}{TREE}")) };
            match fs::DirBuilder::new().mode(0o755).create(&scratch.tree) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    return made.named(format_args!("mkdir {}", scratch.tree.display())).map(|()| scratch);
                }
            }
        }
        Err(Failure::new(format!(
            "{}: trials that were killed are in the way: see nsinit list",
            dir.display()
        )))
    }

    /// Where containers are kept.
    pub(super) fn dir(&self) -> &Path {
        self.container.parent().unwrap_or(Path::new("/"))
    }

    pub(super) fn root(&self) -> PathBuf {
        self.tree.join("root")
    }

    /// Upper and work directory of the overlay over /usr.
    pub(super) fn layers(&self) -> [PathBuf; 2] {
        [UPPER, WORK].map(|name| self.tree.join(name))
    }

    /// What a container may still use stays, for `delete` to remove with it.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        if exists(&self.container)? { Ok(()) } else { remove(&self.tree) }
    }
}

pub(super) fn make_dir(dir: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new().mode(0o755).create(dir).named(format_args!("mkdir {}", dir.display()))
}

pub(super) fn exists(path: &Path) -> Result<bool, Failure> {
    path.try_exists().named(format_args!("stat {}", path.display()))
}

fn remove(tree: &Path) -> Result<(), Failure> {
    // The kernel makes this one with mode 0, and without privileges that keeps us out. If it is there and stays so, the removal tells.
    let _ = fs::set_permissions(tree.join(WORK).join("work"), fs::Permissions::from_mode(0o700));
    // ORDER: that by which it is known as a trial's goes last, so that a removal that was killed is gone on with.
    for name in names(tree)?.iter().filter(|name| *name != UPPER) {
        let path = tree.join(name);
        remove_tree(&path)?;
    }
    remove_tree(tree)
}

fn names(tree: &Path) -> Result<Vec<std::ffi::OsString>, Failure> {
    let named = || format!("list {}", tree.display());
    let dir = fs::File::open(tree).named(named())?;
    libcontainer::plan::names(&dir).named(named())
}

fn tree_of(container: &Path) -> PathBuf {
    let mut name = container.as_os_str().to_owned();
    name.push(TREE);
    PathBuf::from(name)
}

/// Whether a trial has left something beside its container. Another container may have that name; it has no such directory.
pub(crate) fn has_left(container: &Path) -> Result<bool, Failure> {
    let tree = tree_of(container);
    match fs::metadata(tree.join(UPPER)) {
        // Of a removal that was killed at its end, nothing but the directory is left.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(exists(&tree)? && names(&tree)?.is_empty()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        // Too long a name for a tree.
        Err(error) if error.raw_os_error() == Some(Errno::ENAMETOOLONG as i32) => Ok(false),
        found => found.named(format_args!("stat {}", tree.display())).map(|found| found.is_dir()),
    }
}

/// Removes what a trial whose command was killed has left beside its container.
pub(crate) fn remove_left(container: &Path) -> Result<(), Failure> {
    if has_left(container)? { remove(&tree_of(container)) } else { Ok(()) }
}

/// The container that a directory is the tree of, if it is one.
pub(crate) fn owner_of(tree: &Path) -> Result<Option<PathBuf>, Failure> {
    let name = tree.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(TREE));
    let Some(container) = name.map(|name| tree.with_file_name(name)) else { return Ok(None) };
    Ok(has_left(&container)?.then_some(container))
}
