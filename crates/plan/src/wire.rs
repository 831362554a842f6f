//! The format of an encoded plan and of the board: what the host writes and the init reads.
//!
//! This file is compiled twice: into this crate, and into the freestanding init. It therefore uses `core` only, and all reads are bounds-checked: a damaged plan is an error, never a crash.
//! A plan is parts with common slots, each `header | presets | steps | relocations | arena`, little endian. Addresses never occur in it: a pointer is an offset into the arena, and the relocation table lists the words to which the arena's address is added.

use crate::order::Class;

/// What the init calls itself: until exec, the kernel's name of the process is this one.
pub const INIT_NAME: &core::ffi::CStr = c"(libcontainer)";

/// Set in the exit code of an init that could not begin: the rest is the error number.
pub const NOT_BEGUN: usize = 0x80;
/// First word of an encoded plan.
pub const MAGIC: u32 = 0x6e61_6c70;
/// Changes with each change of this file; the embedded init and the encoder are always built together.
pub const VERSION: u32 = 6;
/// Length of the header in bytes.
pub const HEADER: usize = 64;
/// Length of one encoded step in bytes.
pub const STEP: usize = 48;
/// Length of one preset (slot number, descriptor) in bytes.
pub const PRESET: usize = 8;
/// Most steps a plan may have.
pub const MAX_STEPS: usize = 4096;
/// Largest part that comes in a message, in bytes; others come as files.
pub const INLINE: usize = 1 << 15;
/// Largest arena, in bytes.
pub const MAX_ARENA: usize = 1 << 20;
/// "This step sets no slot".
pub const NO_SLOT: u8 = 0xff;
/// Number of slots an interpreter keeps.
pub const SLOTS: usize = 255;
/// Number of outcomes a step can name.
pub const OUTCOMES: usize = 4;
/// Option of prctl(2) by which the init has its host take the listener of a filter. The kernel has none of this number: it would say `EINVAL`.
pub const KNOCK: u32 = 0x4c43_6b6e;
/// Bit 33 of the flags of clone3(2). The constant of libc has the type of an int and the value 0.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// First bit of the class in a step's first byte: room for 16 kinds and 16 classes.
const CLASS: u8 = 4;
/// Bytes before the address for the child's number in `struct clone_args`: its field `parent_tid`.
pub const PARENT_TID: usize = 24;
/// Bytes by which the pid in a respawn message lies before the descriptor.
pub const RESPAWN_PID: usize = 24;

/// What the interpreter does with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// One system call.
    Call = 0,
    /// One system call whose result must equal `aux`; anything else is `EBADE`.
    Expect = 1,
    /// Read one message from the host that must be the point `aux`; end of file is `ECONNRESET`.
    Await = 2,
    /// Read one byte, whatever it is; end of file is `ECONNRESET`.
    AwaitAny = 3,
    /// `sendmsg` of one descriptor: its number is first stored at arena offset `aux`. With another call's number: of the descriptor that it returns, which is a filter's listener.
    SendFd = 4,
    /// `recvmsg` of one descriptor, taken from arena offset `aux`.
    RecvFd = 5,
    /// `clone3` with `CLONE_PARENT`: the child goes on, the caller passes the child's pidfd to the host and leaves.
    Respawn = 6,
    /// Compare two arena ranges, or with `aux` only these bits of their first four bytes; a difference is `EBADE`. No system call.
    Compare = 7,
    /// Set every signal to its default action: `rt_sigaction` for 1 to 64 but SIGKILL and SIGSTOP. Those of the mask `aux` (bit 0 is signal 1) end the init.
    ResetSignals = 8,
    /// Run a program in a child of its own and wait for it; a status but 0 is `ECANCELED`, with the status in `aux` of the board.
    Hook = 9,
    /// Be the reaper: never returns.
    Reap = 10,
    /// `openat2`, asked again on `EAGAIN`. `aux` is type and mode of what is made at a path that is missing, with its parents; 0 for nothing.
    Open = 11,
    /// Go on with the part that follows in memory. No system call.
    Next = 12,
    /// Tell the host that the init waits, and go on with the part that it sends; its descriptors get out of the program's way.
    Continue = 13,
    /// `prctl` with two words of 64 bits from the arena, which must be answered with 0: the init waits for that.
    Knock = 14,
    /// One system call of four arguments; the descriptor that is the fifth is first stored at arena offset `aux`.
    CallWithFd = 15,
}

impl Kind {
    const ALL: [Self; 16] = [
        Self::Call,
        Self::Expect,
        Self::Await,
        Self::AwaitAny,
        Self::SendFd,
        Self::RecvFd,
        Self::Respawn,
        Self::Compare,
        Self::ResetSignals,
        Self::Hook,
        Self::Reap,
        Self::Open,
        Self::Next,
        Self::Continue,
        Self::Knock,
        Self::CallWithFd,
    ];

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

/// How the interpreter makes an argument of an encoded word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ArgKind {
    /// The word, sign-extended from 32 bits.
    Signed = 0,
    /// The word, zero-extended.
    Unsigned = 1,
    /// The descriptor in that slot.
    Slot = 2,
    /// The address of that offset in the arena.
    Arena = 3,
}

impl ArgKind {
    fn from_bits(bits: u32) -> Option<Self> {
        Some(match bits {
            0 => Self::Signed,
            1 => Self::Unsigned,
            2 => Self::Slot,
            3 => Self::Arena,
            _ => return None,
        })
    }
}

/// A named outcome of a step: go on with step `to` when the call fails with `errno`, or succeeds if `errno` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Error number; 0 stands for success.
    pub errno: u8,
    /// Index of the step to go on with; 0 marks an unused entry, as no step may be followed by the first.
    pub to: u16,
}

/// A step as it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub kind: Kind,
    /// What it means for the order.
    pub class: Class,
    /// Slot that takes the result, or [`NO_SLOT`].
    pub out: u8,
    /// System call number.
    pub nr: u16,
    /// Slot whose mount log is read when the step fails, or [`NO_SLOT`].
    pub log: u8,
    /// Outcomes that don't end the plan.
    pub outcomes: [Outcome; OUTCOMES],
    /// Meaning depends on the kind.
    pub aux: u32,
    /// Kind and word of each argument.
    pub args: [(ArgKind, u32); 6],
}

/// The same bits as an unsigned number.
#[must_use]
pub const fn unsigned(value: i32) -> u32 {
    u32::from_ne_bytes(value.to_ne_bytes())
}

/// The same bits as a signed number.
#[must_use]
pub const fn signed(value: u32) -> i32 {
    i32::from_ne_bytes(value.to_ne_bytes())
}

/// Reads a `u32` at `at`.
#[must_use]
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    Some(u16::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// The class of the step encoded at `at`.
#[must_use]
pub fn class(bytes: &[u8], at: usize) -> Option<Class> {
    Class::from_u8(*bytes.get(at)? >> CLASS)
}

impl Step {
    /// The encoded form.
    #[must_use]
    pub fn encode(&self) -> [u8; STEP] {
        let mut bytes = [0; STEP];
        let mut kinds = 0;
        let mut words = bytes.chunks_exact_mut(4).skip(6);
        for (index, (kind, value)) in (0_u32..).zip(self.args) {
            kinds |= (kind as u32) << (index * 4);
            if let Some(place) = words.next() {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
        let first = u32::from(self.kind as u8 | (self.class as u8) << CLASS);
        let fixed = [
            first | u32::from(self.out) << 8 | u32::from(self.nr) << 16,
            kinds | u32::from(self.log) << 24,
            self.aux,
        ];
        for (place, value) in bytes.chunks_exact_mut(4).zip(fixed) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        for (index, outcome) in self.outcomes.iter().enumerate() {
            let [t0, t1] = outcome.to.to_le_bytes();
            for (place, value) in [(12 + index, outcome.errno), (16 + index * 2, t0), (17 + index * 2, t1)] {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
        }
        bytes
    }

    /// The step encoded at `at`; `None` if the bytes are no step.
    #[must_use]
    pub fn decode(bytes: &[u8], at: usize) -> Option<Self> {
        let kinds = word(bytes, at + 4)?;
        let mut args = [(ArgKind::Signed, 0); 6];
        for (index, arg) in args.iter_mut().enumerate() {
            let kind = ArgKind::from_bits((kinds >> (index * 4)) & 0xf)?;
            *arg = (kind, word(bytes, at + 24 + 4 * index)?);
        }
        let mut outcomes = [Outcome::default(); OUTCOMES];
        for (index, outcome) in outcomes.iter_mut().enumerate() {
            *outcome = Outcome { errno: *bytes.get(at + 12 + index)?, to: half(bytes, at + 16 + index * 2)? };
        }
        Some(Self {
            kind: Kind::from_u8(*bytes.get(at)? & ((1 << CLASS) - 1))?,
            class: class(bytes, at)?,
            out: *bytes.get(at + 1)?,
            nr: half(bytes, at + 2)?,
            log: *bytes.get(at + 7)?,
            outcomes,
            aux: word(bytes, at + 8)?,
            args,
        })
    }
}

/// The header of an encoded plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Number of presets.
    pub presets: u32,
    /// Number of steps.
    pub steps: u32,
    /// Number of relocations.
    pub relocations: u32,
    /// Length of the arena.
    pub arena: u32,
    /// Step that is not run, counted from 1; 0 for none.
    pub inject_step: u32,
    /// Error number with which that step fails; 0 if it is to succeed with the result 0.
    pub inject_errno: u32,
    /// 1 if the board has room for a time stamp for each step.
    pub trace: u32,
    /// Number of the part's first step: the board counts through all parts.
    pub first: u32,
    /// 1 if presets name descriptors by the order in which they came with the part, not by number.
    pub received: u32,
    /// Highest number that the program's descriptors get.
    pub low: u32,
    /// From this step on, counted from 1, the init stays when its host is gone, as it holds what would be lost with it; 0 for never.
    pub stays: u32,
}

impl Header {
    /// The encoded form.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let words = [
            MAGIC,
            VERSION,
            self.presets,
            self.steps,
            self.relocations,
            self.arena,
            self.inject_step,
            self.inject_errno,
            self.trace,
            self.first,
            self.received,
            self.low,
            self.stays,
        ];
        for (place, value) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// The header at the start of `bytes`, if all that it announces lies within them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if word(bytes, 0)? != MAGIC || word(bytes, 4)? != VERSION {
            return None;
        }
        let header = Self {
            presets: word(bytes, 8)?,
            steps: word(bytes, 12)?,
            relocations: word(bytes, 16)?,
            arena: word(bytes, 20)?,
            inject_step: word(bytes, 24)?,
            inject_errno: word(bytes, 28)?,
            trace: word(bytes, 32)?,
            first: word(bytes, 36)?,
            received: word(bytes, 40)?,
            low: word(bytes, 44)?,
            stays: word(bytes, 48)?,
        };
        let bounded = header.steps as usize <= MAX_STEPS && header.arena as usize <= MAX_ARENA;
        let small = header.presets as usize <= SLOTS && header.relocations <= header.arena;
        let behind = header.first as usize <= MAX_STEPS;
        (bounded && small && behind && header.end() <= bytes.len()).then_some(header)
    }

    /// Length of the part.
    #[must_use]
    pub fn end(&self) -> usize {
        self.arena_at() + self.arena as usize
    }

    /// Offset of the first step.
    #[must_use]
    pub fn steps_at(&self) -> usize {
        HEADER + self.presets as usize * PRESET
    }

    /// Offset of the relocation table.
    #[must_use]
    pub fn relocations_at(&self) -> usize {
        self.steps_at() + self.steps as usize * STEP
    }

    /// Offset of the arena, a multiple of 8.
    #[must_use]
    pub fn arena_at(&self) -> usize {
        (self.relocations_at() + self.relocations as usize * 4).next_multiple_of(8)
    }
}

/// Words (of 8 bytes) of the board. The init writes, the host reads and believes nothing that it hasn't checked.
pub mod board {
    /// Where the init is: one of the `STATE_…` values.
    pub const STATE: usize = 0;
    /// Index of the step that is being run.
    pub const STEP: usize = 1;
    /// Error number of the step that failed, else 0.
    pub const ERRNO: usize = 2;
    /// Detail of the failure: the wait status of a hook, or the unexpected result.
    pub const AUX: usize = 3;
    /// The step of the last candidate for the program that was refused (`EACCES`), counted from 1; else 0.
    pub const REFUSED: usize = 4;
    /// Time stamp of the init's first instruction.
    pub const BORN: usize = 5;
    /// Length of the mount log.
    pub const LOG_LEN: usize = 6;
    /// Number of the child by which the init goes on, else 0: the kernel writes it in the clone itself.
    pub const CHILD: usize = 7;
    /// First word of the mount log.
    pub const LOG: usize = 8;
    /// Length of the mount log's room in bytes.
    pub const LOG_BYTES: usize = 1024;
    /// First of the time stamps, one for each step.
    pub const STAMPS: usize = LOG + LOG_BYTES / 8;

    /// Nothing has run.
    pub const STATE_NEW: u64 = 0;
    /// Steps are being run.
    pub const STATE_STEPS: u64 = 1;
    /// A step failed; the init is about to leave.
    pub const STATE_FAILED: u64 = 2;
    /// The init is the reaper.
    pub const STATE_REAPER: u64 = 3;

    /// Bytes that a board takes, a multiple of the page size given.
    #[must_use]
    pub const fn bytes(steps: usize, trace: bool, page: usize) -> usize {
        let stamps = if trace { steps + 1 } else { 0 };
        ((STAMPS + stamps) * 8).next_multiple_of(page)
    }
}
