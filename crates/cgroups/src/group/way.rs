//! The way down to one group: directories are made level by level, and each is known as ours before it is opened.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::mark::mark;
use super::wait::Patience;
use crate::dir::Dir;
use crate::error::{Error, Result};

/// The directories from a mount point down to a group.
///
/// Taking back what was made needs no descriptor, as that may be just what there is none of: each directory is named from the deepest
/// one that is open.
#[derive(Debug)]
pub(super) struct Way {
    /// The deepest directory that is open.
    dir: Arc<Dir>,
    /// How many levels it lies below the mount point.
    depth: usize,
    /// The level of the group itself, counted from 0 for what is directly below the mount point.
    leaf: usize,
    /// What was made, from the top down: level and name.
    made: Vec<(usize, OsString)>,
    /// What directories are marked with.
    token: Option<Vec<u8>>,
    unmarked: Option<Error>,
}

impl Way {
    /// The way to a group that is `levels` below the root of its hierarchy.
    pub(super) fn new(mount: Arc<Dir>, levels: usize, token: Option<Vec<u8>>) -> Self {
        let leaf = levels.saturating_sub(1);
        Self { dir: mount, depth: 0, leaf, made: Vec::new(), token, unmarked: None }
    }

    /// The deepest directory.
    pub(super) fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// How many directories were made.
    pub(super) fn made(&self) -> usize {
        self.made.len()
    }

    /// Goes down to `name`, which is made if it may be and isn't there. Says whether it is new.
    pub(super) fn down(&mut self, name: &OsStr, may_make: bool) -> Result<bool> {
        let is_new = may_make && self.dir.make(name)?;
        // ORDER: noted before it is opened, which may fail.
        if is_new {
            self.made.push((self.depth, name.to_owned()));
        }
        self.dir = Arc::new(self.dir.child(name)?);
        self.depth += 1;
        if is_new {
            self.mark();
        }
        Ok(is_new)
    }

    /// Marks the deepest directory. A group does without its mark, but says so.
    pub(super) fn mark(&mut self) {
        let marked = self.token.as_ref().map_or(Ok(()), |token| mark(&self.dir, token));
        if let Err(errno) = marked {
            self.unmarked = Some(Error::directory("fsetxattr", self.dir.path(), errno));
        }
    }

    /// Why a directory could not be marked.
    pub(super) fn unmarked(&mut self) -> Option<Error> {
        self.unmarked.take()
    }

    /// Removes what was made, from the bottom up. What others use by now stays, but for the group itself. Returns what is left.
    pub(super) fn take_back(mut self, patience: &mut Patience) -> Option<Error> {
        while let Some((level, name)) = self.made.pop() {
            let shared = |error: &Error| level < self.leaf && is_used(error);
            let up = self.depth.saturating_sub(level);
            match patience.again(|| self.dir.remove_above(up, &name).map(drop), shared) {
                Ok(()) => {}
                Err(error) if shared(&error) => return None,
                // What is above it is in use, then.
                Err(error) => return Some(error),
            }
        }
        None
    }
}

/// True when rmdir(2) says that there are processes or groups in a group.
pub(super) fn is_used(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EBUSY | libc::ENOTEMPTY))
}
