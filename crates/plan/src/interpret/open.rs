//! The composite that opens a path below a root, and makes what is missing of it.

use super::walk::Walk;
use super::{Machine, Sys, bits, check, errno, nr};
use crate::wire::{Step, word};

/// How often the kernel is asked again that could not tell whether `..` stays inside (`EAGAIN`): any rename or mount of the whole
/// system in that moment is a reason.
const TRIES: u32 = 128;
const DIRECTORY_MODE: u32 = 0o755;
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

impl<S: Sys> Machine<'_, S> {
    /// `step`: root, path, `struct open_how`; its `aux` is type and mode of what is made at a path that is missing, 0 for nothing.
    pub(super) fn open(&mut self, step: &Step, root: usize) -> Result<usize, i32> {
        let [_, (_, path), (_, how), ..] = step.args;
        let arena = self.header.arena_at();
        let text = self.plan.get(arena + path as usize..).unwrap_or_default();
        let length = text.iter().position(|byte| *byte == 0).ok_or(errno::EINVAL)?;
        let text = text.get(..=length).ok_or(errno::EINVAL)?;
        let half = |at: usize| word(self.plan, arena + how as usize + at).map(u64::from).ok_or(errno::EINVAL);
        // None has bits above the 32nd.
        let how = [half(0)?, half(8)?, half(16)?];
        Opening { sys: self.sys, root, how, missing: step.aux }.find(text)
    }
}

struct Opening<'a, S> {
    sys: &'a mut S,
    root: usize,
    how: [u64; 3],
    /// Type and mode of what is made at a path that is missing, or 0.
    missing: u32,
}

impl<S: Sys> Opening<'_, S> {
    fn makes_file(&self) -> bool {
        self.missing & TYPE == REGULAR
    }

    /// `path` ends with a NUL.
    fn find(&mut self, path: &[u8]) -> Result<usize, i32> {
        let found = match self.open(self.root, path, self.how) {
            Err(errno::ENOENT) if self.missing != 0 => self.make(path),
            result => result,
        }?;
        if self.makes_file() {
            self.refuse_directory(found)?;
        }
        Ok(found)
    }

    fn open(&mut self, dir: usize, path: &[u8], how: [u64; 3]) -> Result<usize, i32> {
        for _ in 0..TRIES {
            match check(self.sys.open(dir, path, &how)) {
                Err(errno::EAGAIN) => {}
                result => return result,
            }
        }
        Err(errno::EAGAIN)
    }

    /// Name by name, links taken apart: each is looked up from the root anew.
    ///
    /// RACE: another process may swap any name for a link at any moment. A directory is opened within the root whatever it has
    /// become, and to make a name follows nothing; so all that is made lies inside, and what is opened at the end too.
    #[inline(never)]
    fn make(&mut self, path: &[u8]) -> Result<usize, i32> {
        let path = path.strip_suffix(&[0]).unwrap_or(path);
        let mut walk = Walk::new(path)?;
        while let Some(last) = walk.next()? {
            self.go(&mut walk, last)?;
        }
        let how = self.how;
        self.open(self.root, walk.parent().unwrap_or(b".\0"), how)
    }

    /// One name further, or back to the target of a link.
    fn go(&mut self, walk: &mut Walk, last: bool) -> Result<(), i32> {
        let Some(path) = walk.parent() else {
            return self.go_from(self.root, walk, last);
        };
        let how = [bits::DIRECTORY_PATH, 0, self.how[2]];
        let parent = self.open(self.root, path, how)?;
        let result = self.go_from(parent, walk, last);
        // Nothing can be lost with it.
        self.sys.call(nr::CLOSE, [parent, 0, 0, 0, 0, 0]);
        result
    }

    fn go_from(&mut self, parent: usize, walk: &mut Walk, last: bool) -> Result<(), i32> {
        let (name, room) = walk.name_and_room()?;
        match check(self.sys.read_link(parent, name, room)) {
            // No link has an empty target.
            Ok(0) => Err(errno::ENOENT),
            Ok(_) if last && self.how[0] & bits::NOFOLLOW != 0 => walk.pass(),
            Ok(_) if self.how[2] & bits::RESOLVE_NO_SYMLINKS != 0 => Err(errno::ELOOP),
            Ok(length) => walk.follow(length),
            Err(errno::EINVAL) => walk.pass(),
            Err(errno::ENOENT) => self.make_name(parent, walk, last),
            Err(errno) => Err(errno),
        }
    }

    fn make_name(&mut self, parent: usize, walk: &mut Walk, last: bool) -> Result<(), i32> {
        let (call, mode) = match (last, self.makes_file()) {
            (true, true) => (nr::MKNODAT, self.missing),
            (true, false) => (nr::MKDIRAT, self.missing),
            (false, _) => (nr::MKDIRAT, DIRECTORY_MODE),
        };
        match check(self.sys.make(call, parent, walk.name(), mode)) {
            Ok(_) => walk.pass(),
            // RACE: somebody else was first. What it is shows the next look at the same name.
            Err(errno::EEXIST) => walk.turn(errno::EEXIST),
            Err(errno) => Err(errno),
        }
    }

    /// A directory where a file is wanted would be refused by move_mount(2), as `EINVAL`.
    fn refuse_directory(&mut self, found: usize) -> Result<(), i32> {
        const DIRECTORY: u32 = 0o040_000;
        let mut status = [0; bits::STATUS];
        let result = check(self.sys.status(found, &mut status));
        let [low, high] = [status[bits::STATUS_MODE], status[bits::STATUS_MODE + 1]];
        let errno = match result {
            Ok(_) if u32::from(u16::from_le_bytes([low, high])) & TYPE != DIRECTORY => return Ok(()),
            Ok(_) => errno::EISDIR,
            Err(errno) => errno,
        };
        self.sys.call(nr::CLOSE, [found, 0, 0, 0, 0, 0]);
        Err(errno)
    }
}
