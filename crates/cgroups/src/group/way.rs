//! The way down to one group: directories are made level by level, and each is known as ours before it is opened.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

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
    /// What was made, the last one perhaps, from the top down: level and name.
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
        // ORDER: a look before, so that one which is there after a failure is ours.
        // RACE: but for one that somebody makes in between; it goes only while it is empty.
        let may_make = may_make && self.dir.inode_above(0, name)?.is_none();
        let made = if may_make { self.dir.make(name) } else { Ok(false) };
        // ORDER: noted before it is opened, which may fail. What failed may have been made: only that it was there before is a no.
        if !matches!(made, Ok(false)) {
            self.made.push((self.depth, name.to_owned()));
        }
        let is_new = made?;
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
            let up = self.depth.saturating_sub(level);
            let mut stays = false;
            let removed = patience.again(
                || {
                    stays = !remove_made(&self.dir, up, &name, level < self.leaf)?;
                    Ok(())
                },
                |_| false,
            );
            match removed {
                // What is above it is in use, then.
                Ok(()) if stays => return None,
                Ok(()) => {}
                Err(error) => return Some(error),
            }
        }
        None
    }
}

/// Removes what may have been made. False if it is shared, and in use by now.
fn remove_made(dir: &Dir, levels: usize, name: &OsStr, shared: bool) -> Result<bool> {
    // ORDER: a look first, as where nothing may be made rmdir(2) does not say that there is nothing.
    if dir.inode_above(levels, name)?.is_none() {
        return Ok(true);
    }
    match shared {
        true => remove_shared(dir, levels, name),
        false => dir.remove_above(levels, name).map(|_| true),
    }
}

/// How long a directory may be busy that has no groups in it before it counts as used, by processes.
const BUSY: Duration = Duration::from_millis(2);

/// Removes the directory `name` that is `levels` above `dir`, unless others use it: true if it is gone. Needs no descriptor.
pub(super) fn remove_shared(dir: &Dir, levels: usize, name: &OsStr) -> Result<bool> {
    let mut patience = None;
    loop {
        match dir.remove_above(levels, name) {
            Err(error) if is_used(&error) => {}
            removed => return removed.map(|_| true),
        }
        // A group counts as a link.
        let Some((_, links)) = dir.inode_and_links_above(levels, name)? else { return Ok(true) };
        // From the first refusal on: a machine may be so busy that the call itself took longer.
        if links != 2 || !patience.get_or_insert_with(|| Patience::new(BUSY)).pause() {
            return Ok(false);
        }
    }
}

/// True when rmdir(2) says that there are processes or groups in a group.
pub(super) fn is_used(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EBUSY | libc::ENOTEMPTY))
}
