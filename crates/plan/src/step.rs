//! A step as the host keeps it: the encoded words and what they mean.

use crate::arena::Offset;
use crate::slot::{At, Slot, SlotId};
use crate::syscalls::Sys;
use crate::wire;
use crate::wire::unsigned;

/// An argument of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    /// A number, sign-extended by the init.
    Int(i32),
    /// A number, zero-extended by the init.
    Bits(u32),
    Slot(SlotId),
    Memory(Offset, Memory),
}

/// What lies behind a pointer, for rendering.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Memory {
    Text,
    /// `struct open_how`
    How,
    /// `struct mount_attr`
    Attr,
    /// `char *[]`, all of it shown
    Strings,
    /// `char *[]`, only counted: values may be secret
    Environment,
    Ids(u32),
    Bytes(u32),
    /// A number of 64 bits, in hexadecimal.
    Word,
    /// `struct rlimit64`
    Limit,
    /// `struct landlock_ruleset_attr`
    Handled,
    /// `struct landlock_path_beneath_attr`
    PathRule,
    /// `struct landlock_net_port_attr`
    PortRule,
    /// `struct sched_attr`
    Scheduler,
    /// A mask of so many bytes, shown as numbers.
    Numbers(u32),
    /// Named only.
    Opaque(&'static str),
}

impl From<At> for Arg {
    fn from(at: At) -> Self {
        match at {
            At::Cwd => Self::Int(libc::AT_FDCWD),
            At::Slot(slot) => Self::Slot(slot),
        }
    }
}

impl<K: crate::slot::Kind> From<Slot<K>> for Arg {
    fn from(slot: Slot<K>) -> Self {
        Self::Slot(slot.id)
    }
}

impl From<i32> for Arg {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        Self::Bits(value)
    }
}

impl Arg {
    pub(crate) fn encode(self) -> (wire::ArgKind, u32) {
        match self {
            Self::Int(value) => (wire::ArgKind::Signed, unsigned(value)),
            Self::Bits(value) => (wire::ArgKind::Unsigned, value),
            Self::Slot(slot) => (wire::ArgKind::Slot, u32::from(slot.number)),
            Self::Memory(at, _) => (wire::ArgKind::Arena, at),
        }
    }
}

/// The arguments of a step: six at most, kept in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args {
    all: [Arg; 6],
    len: u8,
}

impl<const N: usize> From<[Arg; N]> for Args {
    fn from(some: [Arg; N]) -> Self {
        const { assert!(N <= 6, "a system call takes six arguments") };
        let mut all = [Arg::Int(0); 6];
        for (place, arg) in all.iter_mut().zip(some) {
            *place = arg;
        }
        // A constant of at most 6.
        Self { all, len: u8::try_from(N).unwrap_or(0) }
    }
}

impl std::ops::Deref for Args {
    type Target = [Arg];

    fn deref(&self) -> &[Arg] {
        self.all.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// A place in the child lane that outcomes can name. Bound later than it is used: jumps go forward only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(pub(crate) u32);

/// A meeting point of the two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(pub(crate) u8);

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: wire::Kind,
    pub(crate) sys: &'static Sys,
    pub(crate) args: Args,
    pub(crate) out: Option<SlotId>,
    pub(crate) log: Option<SlotId>,
    pub(crate) outcomes: Vec<(u8, Target)>,
    pub(crate) aux: u32,
    pub(crate) purpose: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// The step that follows.
    Next,
    Label(Label),
}
