//! What the verifier knows at one place of a plan.

use crate::order::Order;
use crate::slot::SlotId;

/// What holds behind the last step of a part: verification is one forward pass, so it can go on from there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passed {
    pub(crate) held: Held,
    /// The lowest number that the real close_range has closed.
    pub(crate) closed: Option<u32>,
    pub(crate) order: Order,
    /// The step that gave up privileges.
    pub(crate) dropped: Option<usize>,
    /// How often the host lane has started the init.
    pub(crate) started: usize,
    /// The message that comes next.
    pub(crate) next: u8,
}

/// Which descriptor each number holds: the life of its slot plus one, or 0 for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held(Vec<u32>);

impl Held {
    pub(crate) fn has(&self, slot: SlotId) -> bool {
        self.0.get(usize::from(slot.number)).is_some_and(|held| *held == slot.life + 1)
    }

    /// The number holds one descriptor: what had it before is no longer there.
    pub(crate) fn set(&mut self, slot: SlotId) {
        let number = usize::from(slot.number);
        if self.0.len() <= number {
            self.0.resize(number + 1, 0);
        }
        if let Some(held) = self.0.get_mut(number) {
            *held = slot.life + 1;
        }
    }

    pub(crate) fn clear(&mut self, slot: SlotId) {
        let held = self.0.get_mut(usize::from(slot.number)).filter(|held| **held == slot.life + 1);
        if let Some(held) = held {
            *held = 0;
        }
    }

    /// Forgets all that `taken` says it of.
    pub(crate) fn forget(&mut self, taken: impl Fn(SlotId) -> bool) {
        for (number, held) in (0_u8..).zip(&mut self.0) {
            if held.checked_sub(1).is_some_and(|life| taken(SlotId { number, life })) {
                *held = 0;
            }
        }
    }

    /// Keeps what both ways have.
    pub(crate) fn keep_common(&mut self, other: &Self) {
        for (number, held) in self.0.iter_mut().enumerate() {
            if other.0.get(number) != Some(held) {
                *held = 0;
            }
        }
    }
}
