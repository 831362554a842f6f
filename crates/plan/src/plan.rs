//! A sealed plan.

use crate::arena::{Offset, View};
use crate::error::Lane;
use crate::host::HostOp;
use crate::slot::SlotId;
use crate::step::Step;
use crate::wire::{self, Header, NO_SLOT, Outcome};

/// A plan that the verifier has let through: the steps of the init and of the host, and all memory that the init needs.
///
/// It can be looked at ([`Plan::explain`], [`Plan::steps`], [`Plan::counts`]) and launched ([`crate::Launch`]), nothing else. Its
/// form is not stable.
#[derive(Debug)]
pub struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) targets: Vec<Vec<(u8, u16)>>,
    pub(crate) purposes: Vec<String>,
    /// Those of the presets.
    pub(crate) slots: Vec<SlotInfo>,
    /// How many numbers the slots have.
    pub(crate) numbers: usize,
    pub(crate) presets: Vec<SlotId>,
    pub(crate) arena: Vec<u8>,
    pub(crate) relocations: Vec<Offset>,
    pub(crate) host: Vec<HostOp>,
    pub(crate) points: Vec<String>,
    pub(crate) flags: u64,
    pub(crate) low: u32,
}

/// A slot's number and name.
#[derive(Clone, Debug)]
pub(crate) struct SlotInfo {
    pub(crate) slot: SlotId,
    pub(crate) name: String,
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

/// A fault to inject: that step is not run, and answered with that error number, or with success.
///
/// It is for tests: one asks what a failure leaves behind, the other whether a step that did nothing is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The lane of the step.
    pub lane: Lane,
    /// Its index, as in `explain`.
    pub step: usize,
    /// The error number, such as `libc::EIO`, 1 to 4095; 0 leaves the step out and goes on as if it had succeeded with the result 0.
    pub errno: i32,
}

impl Fault {
    /// The fault that leaves a step out, as if the kernel had said yes and done nothing.
    #[must_use]
    pub fn skip(lane: Lane, step: usize) -> Self {
        Self { lane, step, errno: 0 }
    }
}

impl Plan {
    /// The sizes of the plan. The same config and probe always have the same.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            child_steps: self.steps.len(),
            child_syscalls: self.steps.iter().map(calls).sum(),
            host_steps: self.host.len(),
            bytes: self.encode(&[], None, false).len(),
            slots: self.numbers,
        }
    }

    /// Number of steps of a lane.
    #[must_use]
    pub fn len(&self, lane: Lane) -> usize {
        match lane {
            Lane::Child => self.steps.len(),
            Lane::Host => self.host.len(),
        }
    }

    /// The slots that the host fills at launch, by name.
    pub fn presets(&self) -> impl Iterator<Item = (SlotId, &str)> {
        self.presets.iter().map(|slot| (*slot, self.slot_name(*slot)))
    }

    pub(crate) fn slot_name(&self, slot: SlotId) -> &str {
        self.slots.iter().find(|info| info.slot == slot).map_or("", |info| info.name.as_str())
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { bytes: &self.arena }
    }

    /// The bytes that the init reads.
    pub(crate) fn encode(&self, presets: &[(SlotId, i32)], fault: Option<Fault>, trace: bool) -> Vec<u8> {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let (step, errno) = match fault {
            Some(Fault { lane: Lane::Child, step, errno }) => (count(step + 1), errno.unsigned_abs()),
            _ => (0, 0),
        };
        let header = Header {
            presets: count(presets.len()),
            steps: count(self.steps.len()),
            relocations: count(self.relocations.len()),
            arena: count(self.arena.len()),
            inject_step: step,
            inject_errno: errno,
            trace: u32::from(trace),
        };
        let mut bytes = Vec::with_capacity(header.arena_at() + self.arena.len());
        bytes.extend_from_slice(&header.encode());
        for (slot, fd) in presets {
            bytes.extend_from_slice(&u32::from(slot.number()).to_le_bytes());
            bytes.extend_from_slice(&fd.to_le_bytes());
        }
        for (step, targets) in self.steps.iter().zip(&self.targets) {
            bytes.extend_from_slice(&encode_step(step, targets).encode());
        }
        for relocation in &self.relocations {
            bytes.extend_from_slice(&relocation.to_le_bytes());
        }
        bytes.resize(header.arena_at(), 0);
        bytes.extend_from_slice(&self.arena);
        bytes
    }
}

fn encode_step(step: &Step, targets: &[(u8, u16)]) -> wire::Step {
    let mut outcomes = [Outcome::default(); wire::OUTCOMES];
    for (place, (errno, to)) in outcomes.iter_mut().zip(targets) {
        *place = Outcome { errno: *errno, to: *to };
    }
    let mut args = [(wire::ArgKind::Signed, 0); 6];
    for (place, arg) in args.iter_mut().zip(step.args.iter()) {
        *place = arg.encode();
    }
    let slot = |slot: Option<SlotId>| slot.map_or(NO_SLOT, SlotId::number);
    wire::Step {
        kind: step.kind,
        out: slot(step.out),
        nr: u16::try_from(step.sys.nr).unwrap_or(u16::MAX),
        log: slot(step.log),
        outcomes,
        aux: step.aux,
        args,
    }
}

/// System calls of the init for one step.
pub(crate) fn calls(step: &Step) -> usize {
    match step.kind {
        wire::Kind::Compare => 0,
        wire::Kind::ResetSignals => 62,
        wire::Kind::Hook => 2,
        // And a look at what it is.
        wire::Kind::Open if step.aux & libc::S_IFMT == libc::S_IFREG => 2,
        _ => 1,
    }
}
