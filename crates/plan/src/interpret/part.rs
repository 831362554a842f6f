//! The parts of a plan: entered one after the other, from the same memory or from the host.

use super::{Machine, Sys, errno, nr};
use crate::wire::{self, Header, PRESET, signed, word};

/// Most descriptors that come with a part: what one message can carry, less the memory file.
const MOST: usize = 252;
/// Length of the control data: `struct cmsghdr` and the descriptors.
const CONTROL: usize = 16 + 4 * (MOST + 1) + 4;
const WORDS: usize = CONTROL / 8;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
const F_DUPFD_CLOEXEC: usize = 1030;
/// `SOL_SOCKET` and `SCM_RIGHTS`, as the second word of a `struct cmsghdr`.
const RIGHTS: u64 = 1 | 1 << 32;

/// What the kernel writes to when a part comes: `struct msghdr`, two `struct iovec`, the part's length, the control data.
#[repr(C)]
struct Message {
    header: [u64; 7],
    iovec: [u64; 4],
    len: u64,
    control: [u64; WORDS],
}

impl Message {
    fn new() -> Self {
        Self { header: [0; 7], iovec: [0; 4], len: 0, control: [0; WORDS] }
    }

    /// Points into itself; it must not be moved afterwards. What follows the length goes into `room`.
    fn link(&mut self, room: &mut [u8]) -> usize {
        let control = self.control.as_mut_ptr().expose_provenance() as u64;
        let payload = (&raw mut self.len).expose_provenance() as u64;
        self.iovec = [payload, 8, room.as_mut_ptr().expose_provenance() as u64, room.len() as u64];
        let iovec = self.iovec.as_mut_ptr().expose_provenance() as u64;
        self.header = [0, 0, iovec, 2, control, CONTROL as u64, 0];
        self.header.as_mut_ptr().expose_provenance()
    }

    /// The descriptors that came, and how many.
    fn descriptors(&self) -> Result<([i32; MOST + 1], usize), i32> {
        let mut all = [-1; MOST + 1];
        let [len, kind, data @ ..] = &self.control;
        if *len == 0 {
            return Ok((all, 0));
        }
        let count = usize::try_from(*len).ok().and_then(|len| len.checked_sub(16)).ok_or(errno::EPROTO)? / 4;
        if *kind != RIGHTS || count == 0 || count > all.len() {
            return Err(errno::EPROTO);
        }
        let halves = data.iter().flat_map(|word| [*word & 0xffff_ffff, *word >> 32]);
        for (place, half) in all.iter_mut().zip(halves).take(count) {
            *place = i32::try_from(half).map_err(|_| errno::EPROTO)?;
        }
        Ok((all, count))
    }
}

impl<'a, S: Sys> Machine<'a, S> {
    /// Enters the part that follows in the memory of this one.
    pub(super) fn enter_next(&mut self) -> Result<(), i32> {
        let rest = core::mem::take(&mut self.rest);
        self.enter(rest, &[]).ok_or(errno::EINVAL)
    }

    /// Checks the header and the order of steps, fills the preset slots and relocates the pointers in the arena.
    fn enter(&mut self, bytes: &'a mut [u8], received: &[i32]) -> Option<()> {
        let header = Header::decode(bytes)?;
        let (part, rest) = bytes.split_at_mut_checked(header.end())?;
        let mut order = self.order;
        for index in 0..header.steps as usize {
            order.pass(wire::class(part, header.steps_at() + index * wire::STEP)?).ok()?;
        }
        self.base = part.as_mut_ptr().expose_provenance() + header.arena_at();
        let left = core::mem::replace(&mut self.plan, part);
        if self.first.is_empty() {
            self.first = left;
        }
        (self.rest, self.header, self.order) = (rest, header, order);
        self.entered = true;
        for preset in 0..header.presets as usize {
            let at = wire::HEADER + preset * PRESET;
            let slot = word(self.plan, at)? as usize;
            let value = word(self.plan, at + 4)?;
            let given = if header.received == 0 { signed(value) } else { *received.get(value as usize)? };
            *self.slots.get_mut(slot)? = given;
        }
        for index in 0..header.relocations as usize {
            let at = word(self.plan, header.relocations_at() + index * 4)?;
            self.relocate(at as usize)?;
        }
        Some(())
    }

    fn relocate(&mut self, offset: usize) -> Option<()> {
        let at = self.header.arena_at() + offset;
        let target = word(self.plan, at)? as usize;
        if target > self.header.arena as usize {
            return None;
        }
        let address = (self.base + target) as u64;
        self.plan.get_mut(at..at + 8)?.copy_from_slice(&address.to_le_bytes());
        Some(())
    }

    /// Takes the next part from the host, and with it the descriptors of its presets. Tells the host first that it waits.
    ///
    /// `args`: socket, address of the byte to send.
    pub(super) fn enter_received(&mut self, args: [usize; 6]) -> Result<(), i32> {
        let [socket, byte, ..] = args;
        let room = self.sys.room(wire::INLINE).ok_or(errno::ENOMEM)?;
        self.call(nr::WRITE, [socket, byte, 1, 0, 0, 0])?;
        // ORDER: behind the last call with a pointer into it: from here on this waits.
        self.sys.give_back(self.first);
        self.sys.give_back(self.plan);
        let mut message = Message::new();
        let header = message.link(room);
        let got = self.retry(nr::RECVMSG, [socket, header, MSG_CMSG_CLOEXEC, 0, 0, 0])?;
        if got == 0 {
            return Err(errno::ECONNRESET);
        }
        let (message, room) = core::hint::black_box((&message, room));
        let (mut all, count) = message.descriptors()?;
        let given = all.get_mut(..count).ok_or(errno::EPROTO)?;
        let len = usize::try_from(message.len).map_err(|_| errno::EPROTO)?;
        // The part itself, or a file that has it as the first of the descriptors.
        if got != 8 {
            let part = room.get_mut(..len).filter(|_| got == len + 8).ok_or(errno::EPROTO)?;
            return self.enter_above(part, given);
        }
        let (file, given) = given.split_first_mut().ok_or(errno::EPROTO)?;
        let fd = usize::try_from(*file).map_err(|_| errno::EPROTO)?;
        let part = self.sys.map(fd, len).ok_or(errno::EINVAL)?;
        self.call(nr::CLOSE, [fd, 0, 0, 0, 0, 0])?;
        self.enter_above(part, given)
    }

    /// Enters a part with descriptors that are not yet out of the way of its numbers.
    fn enter_above(&mut self, part: &'a mut [u8], given: &mut [i32]) -> Result<(), i32> {
        let low = Header::decode(part).ok_or(errno::EINVAL)?.low;
        for fd in given.iter_mut() {
            self.move_above(fd, low)?;
        }
        self.enter(part, given).ok_or(errno::EINVAL)
    }

    /// Where a number is going to be the program's, what has it now moves out of the way.
    fn move_above(&mut self, fd: &mut i32, low: u32) -> Result<(), i32> {
        let number = usize::try_from(*fd).map_err(|_| errno::EPROTO)?;
        if number > low as usize {
            return Ok(());
        }
        let moved = self.call(nr::FCNTL, [number, F_DUPFD_CLOEXEC, low as usize + 1, 0, 0, 0])?;
        self.call(nr::CLOSE, [number, 0, 0, 0, 0, 0])?;
        *fd = i32::try_from(moved).map_err(|_| errno::EBADE)?;
        Ok(())
    }
}
