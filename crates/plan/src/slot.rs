//! Typed names for descriptors that exist only in the init.

use std::marker::PhantomData;

/// A slot of the interpreter's table, for as long as one descriptor is in it.
///
/// The number of a slot is used again once its descriptor is closed. Two slots that have the number one after the other are
/// different ids, so that the verifier never takes an old name for the new descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    pub(crate) number: u8,
    /// How many descriptors had the number before.
    pub(crate) life: u32,
}

impl SlotId {
    /// The number, as `explain` prints it after an `s`.
    #[must_use]
    pub fn number(self) -> u8 {
        self.number
    }

    pub(crate) fn first(number: u8) -> Self {
        Self { number, life: 0 }
    }

    /// The id of the next descriptor that gets this number.
    pub(crate) fn next_life(self) -> Self {
        Self { life: self.life + 1, ..self }
    }
}

/// What a plan knows of the number that the kernel has for a slot's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// The plan has given it.
    Is(u32),
    /// The lowest that was free from here on.
    From(u32),
    /// Above all that the plan gives: the host sees to that.
    OutOfReach,
}

impl Number {
    /// Whether it may be this one.
    pub(crate) fn may_be(self, number: u32) -> bool {
        match self {
            Self::Is(known) => known == number,
            Self::From(lowest) => lowest <= number,
            Self::OutOfReach => false,
        }
    }
}

/// What a slot holds. Sealed: the kinds are those of this module.
pub trait Kind: sealed::Sealed + Copy {}

/// Kinds that name a place in a file tree, so that `*at` calls and mounts can use them.
pub trait Place: Kind {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl Kind for $name {}
    )*};
}

kinds! {
    /// A directory, usually opened with `O_PATH`.
    Dir,
    /// A file or any other object that is no directory.
    File,
    /// A detached or attached mount: the result of `fsmount` or `open_tree`.
    Mount,
    /// A filesystem context: the result of `fsopen`.
    FsContext,
    /// A namespace, or a pidfd given to `setns`.
    Ns,
    /// A socket or pipe to the host.
    Sock,
    /// A terminal.
    Pty,
    /// Rules of Landlock.
    Rules,
}

impl Place for Dir {}
impl Place for File {}

/// A descriptor in the init, known to the type system by what it is. It is a name, not a descriptor: copying it costs nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot<K> {
    pub(crate) id: SlotId,
    kind: PhantomData<K>,
}

impl<K> Clone for Slot<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Slot<K> {}

impl<K: Kind> Slot<K> {
    pub(crate) fn new(id: SlotId) -> Self {
        Self { id, kind: PhantomData }
    }

    /// The untyped number.
    #[must_use]
    pub fn id(self) -> SlotId {
        self.id
    }
}

impl Slot<Mount> {
    /// The root directory of the mount, for calls that look up names in it.
    ///
    /// This is a statement, not a conversion in the kernel: a mount descriptor can serve as a directory, and each such
    /// use should be visible where it stands.
    #[must_use]
    pub fn root(self) -> Slot<Dir> {
        Slot::new(self.id)
    }
}

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The working directory; absolute paths start at the root of the process.
    Cwd,
    /// The object in this slot.
    Slot(SlotId),
}

impl<K: Place> From<Slot<K>> for At {
    fn from(slot: Slot<K>) -> Self {
        Self::Slot(slot.id)
    }
}
