//! A sealed plan.

use std::sync::Arc;

use crate::error::Lane;
use crate::fault::Fault;
use crate::host::HostOp;
use crate::part::{Mode, Part, Way};
use crate::slot::SlotId;
use crate::step::Step;
use crate::syscalls::Class;
use crate::wire;

/// A plan that the verifier has let through: the steps of the init and of the host, and all memory that the init needs.
///
/// It can be looked at ([`Plan::explain`], [`Plan::steps`], [`Plan::counts`]) and launched ([`crate::Launch`]), nothing else. Its
/// form is not stable. It has one part, or two if it was built on a [`crate::Base`].
#[derive(Debug)]
pub struct Plan {
    pub(crate) parts: Vec<Arc<Part>>,
    /// How many numbers the slots have.
    pub(crate) numbers: usize,
    pub(crate) host: Vec<HostOp>,
    /// How many of the host's steps are those of the base.
    pub(crate) base_host: usize,
    /// Number of parts of the base.
    pub(crate) base_parts: usize,
    pub(crate) points: Vec<String>,
    pub(crate) flags: u64,
    pub(crate) low: u32,
    /// From which step on the init stays when its host is gone, counted from 1; 0 for none.
    pub(crate) stays: u32,
}

/// Sizes of a plan that don't depend on the clock: budgets for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Steps of the init.
    pub child_steps: usize,
    /// System calls of the init if each step succeeds; a composite counts each of its calls.
    pub child_syscalls: usize,
    /// Steps of the host, waits included.
    pub host_steps: usize,
    /// Length of the encoded plan in bytes.
    pub bytes: usize,
    /// Most slots in use at once, presets included.
    pub slots: usize,
}

impl Plan {
    /// The sizes of the plan. The same config and probe always have the same.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let steps = || self.parts.iter().flat_map(|part| &part.steps);
        Counts {
            child_steps: steps().count(),
            child_syscalls: steps().map(calls).sum(),
            host_steps: self.host.len(),
            bytes: self.encode(&[], None, false).len(),
            slots: self.numbers,
        }
    }

    /// Number of steps of a lane.
    #[must_use]
    pub fn len(&self, lane: Lane) -> usize {
        match lane {
            Lane::Child => self.parts.last().map_or(0, |part| part.end()),
            Lane::Host => self.host.len(),
        }
    }

    /// Index of the first step that executes a program in the init's place; `None` if that stays.
    #[must_use]
    pub fn first_exec(&self) -> Option<usize> {
        (0..self.len(Lane::Child)).rev().take_while(|index| self.is_exec(*index)).last()
    }

    /// Whether that step of the init executes a program in its place.
    pub(crate) fn is_exec(&self, index: usize) -> bool {
        self.step(index).is_some_and(|(_, step)| step.sys.class == Class::Exec)
    }

    /// The slots that the host fills at launch, by name.
    pub fn presets(&self) -> impl Iterator<Item = (SlotId, &str)> {
        let all = self.parts.iter().flat_map(|part| &part.presets);
        all.map(|preset| (preset.slot, preset.name.as_str()))
    }

    /// The step with that number, and the part that it is in.
    pub(crate) fn step(&self, number: usize) -> Option<(&Part, &Step)> {
        let part = self.parts.iter().find(|part| number < part.end())?;
        Some((part, part.steps.get(number.checked_sub(part.first)?)?))
    }

    /// The bytes that the init reads.
    pub(crate) fn encode(&self, presets: &[(SlotId, i32)], fault: Option<Fault>, trace: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mode = Mode { fault, trace, low: self.low, stays: self.stays };
        for part in &self.parts {
            part.encode(&mut bytes, Way::Inherited(presets), mode);
        }
        bytes
    }

    /// As [`Plan::encode`], of the base alone: the init waits for what follows. One that stands by leaves with its host.
    pub(crate) fn encode_base(
        &self,
        presets: &[(SlotId, i32)],
        fault: Option<Fault>,
        trace: bool,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mode = Mode { fault, trace, low: self.low, stays: 0 };
        if let Some((last, before)) = self.halves().0.split_last() {
            for part in before {
                part.encode(&mut bytes, Way::Inherited(presets), mode);
            }
            last.encode(&mut bytes, Way::Alone(presets), mode);
        }
        bytes
    }

    /// The parts of the base, and what goes on from there.
    pub(crate) fn halves(&self) -> (&[Arc<Part>], &[Arc<Part>]) {
        self.parts.split_at(self.base_parts.min(self.parts.len()))
    }

    /// The last part, as an init takes it that waits behind the base.
    pub(crate) fn encode_rest(&self, fault: Option<Fault>, trace: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in self.halves().1 {
            part.encode(&mut bytes, Way::Received, Mode { fault, trace, low: self.low, stays: 0 });
        }
        bytes
    }
}

/// System calls of the init for one step.
pub(crate) fn calls(step: &Step) -> usize {
    match step.kind {
        wire::Kind::Compare | wire::Kind::Next => 0,
        wire::Kind::Continue => 4,
        wire::Kind::ResetSignals if step.aux == 0 => 62,
        wire::Kind::ResetSignals => step.aux.count_ones() as usize,
        wire::Kind::Hook => 2,
        wire::Kind::SendFd if step.sys.class == Class::Seccomp => 2,
        // And a look at what it is.
        wire::Kind::Open if step.aux & libc::S_IFMT == libc::S_IFREG => 2,
        _ => 1,
    }
}
