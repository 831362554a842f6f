//! A path on its way through a tree: what is behind, what is still to come. Text only, in two buffers on the stack.

use super::errno;

/// `PATH_MAX`: the longest path with its NUL.
const ROOM: usize = 4096;
/// `NAME_MAX` and a NUL.
const NAME: usize = 256;
/// As many links as the kernel follows in one path.
const TURNS: u32 = 40;

/// A walk from a root. Neither part ever holds a `..` that was not taken yet, so cutting a name off is going up.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The names passed, joined by `/`, and a NUL.
    done: [u8; ROOM],
    length: usize,
    /// What is to come, at the end of its buffer, so that the target of a link finds room before it.
    rest: [u8; ROOM],
    start: usize,
    /// Where the name ends that is next.
    end: usize,
    name: [u8; NAME],
    turns: u32,
}

impl Walk {
    /// Before its first name. `path` is relative to the root, whatever it begins with.
    pub(crate) fn new(path: &[u8]) -> Result<Self, i32> {
        let start = ROOM.checked_sub(path.len()).ok_or(errno::ENAMETOOLONG)?;
        let (done, rest, name) = ([0; ROOM], [0; ROOM], [0; NAME]);
        let mut walk = Self { done, length: 0, rest, start, end: start, name, turns: 0 };
        put(&mut walk.rest, start, path)?;
        Ok(walk)
    }

    /// Goes to the next name. `Some(true)` if nothing at all comes after it.
    pub(crate) fn next(&mut self) -> Result<Option<bool>, i32> {
        loop {
            let rest = self.rest.get(self.start..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            match rest.get(..length).unwrap_or_default() {
                b"" | b"." => {}
                b".." => self.up(),
                name => {
                    put(&mut self.name, 0, name)?;
                    put(&mut self.name, length, &[0])?;
                    self.end = self.start + length;
                    return Ok(Some(length == rest.len()));
                }
            }
            self.start += length + 1;
        }
    }

    /// At the root it stays where it is.
    fn up(&mut self) {
        let done = self.done.get(..self.length).unwrap_or_default();
        self.cut(done.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
    }

    fn cut(&mut self, length: usize) {
        self.length = length;
        if let Some(end) = self.done.get_mut(length) {
            *end = 0;
        }
    }

    /// The next name, with its NUL.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.get(..=self.end - self.start).unwrap_or_default()
    }

    /// The next name, and room for its target if it is a link.
    pub(crate) fn name_and_room(&mut self) -> Result<(&[u8], &mut [u8]), i32> {
        let name = self.name.get(..=self.end - self.start).unwrap_or_default();
        let room = self.done.get_mut(self.length + 1..).unwrap_or_default();
        // A call that is given no room at all says `EINVAL`, as for a name that is no link.
        if room.is_empty() { Err(errno::ENAMETOOLONG) } else { Ok((name, room)) }
    }

    /// The directory in which the next name is, with its NUL; `None` for the root.
    pub(crate) fn parent(&self) -> Option<&[u8]> {
        if self.length == 0 { None } else { self.done.get(..=self.length) }
    }

    /// The name is there, and no link.
    pub(crate) fn pass(&mut self) -> Result<(), i32> {
        let at = if self.length == 0 { 0 } else { self.length + 1 };
        let length = self.end - self.start;
        let name = self.name.get(..=length).unwrap_or_default();
        put(&mut self.done, at, name)?;
        if at > 0 {
            put(&mut self.done, self.length, b"/")?;
        }
        self.length = at + length;
        self.start = self.end;
        Ok(())
    }

    /// The name is a link: its target, the first bytes of the room, takes its place.
    pub(crate) fn follow(&mut self, length: usize) -> Result<(), i32> {
        self.turn(errno::ELOOP)?;
        let room = self.done.get(self.length + 1..).unwrap_or_default();
        // A target that fills the room may have been cut off.
        let target = room.get(..length).filter(|_| length < room.len()).ok_or(errno::ENAMETOOLONG)?;
        let absolute = target.first() == Some(&b'/');
        // What follows the name begins with the `/` behind it.
        self.start = self.end.checked_sub(length).ok_or(errno::ENAMETOOLONG)?;
        put(&mut self.rest, self.start, target)?;
        if absolute {
            self.cut(0);
        }
        Ok(())
    }

    /// Counts a detour; `errno` is what it means that there are too many.
    pub(crate) fn turn(&mut self, errno: i32) -> Result<(), i32> {
        self.turns += 1;
        if self.turns > TURNS { Err(errno) } else { Ok(()) }
    }
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), i32> {
    let place = into.get_mut(at..at + bytes.len()).ok_or(errno::ENAMETOOLONG)?;
    for (place, byte) in place.iter_mut().zip(bytes) {
        *place = *byte;
    }
    Ok(())
}
