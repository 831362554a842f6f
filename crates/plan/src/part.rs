//! One part of a plan: steps, and all memory that they need.

use crate::arena::{Offset, View};
use crate::error::Lane;
use crate::fault::Fault;
use crate::order;
use crate::slot::SlotId;
use crate::step::Step;
use crate::syscalls::Class;
use crate::wire::{self, Header, Kind, NO_SLOT, Outcome};

/// A part that the verifier has let through. It does not change any more, so its encoded form is made once.
#[derive(Debug)]
pub(crate) struct Part {
    /// Number of its first step.
    pub(crate) first: usize,
    pub(crate) steps: Vec<Step>,
    /// For each step the outcomes, with the index in this part to go on with.
    pub(crate) targets: Vec<Vec<(u8, u16)>>,
    pub(crate) purposes: Vec<String>,
    pub(crate) presets: Vec<SlotInfo>,
    pub(crate) arena: Vec<u8>,
    pub(crate) relocations: Vec<Offset>,
    /// Steps, relocations and arena as the init reads them.
    body: Vec<u8>,
}

/// A slot's number and name.
#[derive(Clone, Debug)]
pub(crate) struct SlotInfo {
    pub(crate) slot: SlotId,
    pub(crate) name: String,
}

/// How the init gets a part.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    /// In the memory file, with its descriptors inherited under these numbers.
    Inherited(&'a [(SlotId, i32)]),
    /// The same, and what follows comes later.
    Alone(&'a [(SlotId, i32)]),
    /// By a message, with its descriptors in the order of the presets.
    Received,
}

/// What is the same for all parts of a launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) fault: Option<Fault>,
    pub(crate) trace: bool,
    pub(crate) low: u32,
    pub(crate) stays: u32,
}

impl Part {
    pub(crate) fn new(
        first: usize,
        (steps, targets): (Vec<Step>, Vec<Vec<(u8, u16)>>),
        purposes: Vec<String>,
        presets: Vec<SlotInfo>,
        (arena, relocations): (Vec<u8>, Vec<Offset>),
    ) -> Self {
        let mut body = Vec::with_capacity(steps.len() * wire::STEP + relocations.len() * 4 + arena.len() + 8);
        for (step, targets) in steps.iter().zip(&targets) {
            body.extend_from_slice(&encode_step(step, targets).encode());
        }
        for relocation in &relocations {
            body.extend_from_slice(&relocation.to_le_bytes());
        }
        // What stands before it is a multiple of 8 already.
        body.resize(body.len().next_multiple_of(8), 0);
        body.extend_from_slice(&arena);
        Self { first, steps, targets, purposes, presets, arena, relocations, body }
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { bytes: &self.arena }
    }

    /// Number behind its last step.
    pub(crate) fn end(&self) -> usize {
        self.first + self.steps.len()
    }

    /// Appends the bytes that the init reads.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>, way: Way<'_>, mode: Mode) {
        let header = self.header(way, mode);
        bytes.reserve(header.end());
        let start = bytes.len();
        bytes.extend_from_slice(&header.encode());
        for (index, preset) in (0..).zip(&self.presets) {
            let given = match way {
                Way::Inherited(all) | Way::Alone(all) => {
                    all.iter().find(|(slot, _)| *slot == preset.slot).map_or(-1, |(_, fd)| *fd)
                }
                Way::Received => index,
            };
            bytes.extend_from_slice(&u32::from(preset.slot.number()).to_le_bytes());
            bytes.extend_from_slice(&given.to_le_bytes());
        }
        bytes.extend_from_slice(&self.body);
        if let Way::Alone(_) = way {
            let at = start + header.steps_at() + self.steps.len().saturating_sub(1) * wire::STEP;
            if let Some(kind) = bytes.get_mut(at).filter(|kind| **kind == Kind::Next as u8) {
                *kind = Kind::Continue as u8;
            }
        }
    }

    fn header(&self, way: Way<'_>, mode: Mode) -> Header {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let (step, errno) = match mode.fault {
            Some(Fault { lane: Lane::Child, step, errno }) => (count(step + 1), errno.unsigned_abs()),
            _ => (0, 0),
        };
        Header {
            presets: count(self.presets.len()),
            steps: count(self.steps.len()),
            relocations: count(self.relocations.len()),
            arena: count(self.arena.len()),
            inject_step: step,
            inject_errno: errno,
            trace: u32::from(mode.trace),
            first: count(self.first),
            received: u32::from(matches!(way, Way::Received)),
            low: mode.low,
            stays: mode.stays,
        }
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
        class: step.order(),
        out: slot(step.out),
        nr: u16::try_from(step.sys.nr).unwrap_or(u16::MAX),
        log: slot(step.log),
        outcomes,
        aux: step.aux,
        args,
    }
}

impl Step {
    /// What it means for the order. A comparison makes no call.
    pub(crate) fn order(&self) -> order::Class {
        if self.kind == Kind::Compare {
            return order::Class::Plain;
        }
        match self.sys.class {
            Class::Plain | Class::Close | Class::CloseRange | Class::Dup => order::Class::Plain,
            Class::Privileged => order::Class::Privileged,
            Class::Drops => order::Class::Drops,
            Class::DropsToAdmin => order::Class::DropsToAdmin,
            Class::NoNewPrivs => order::Class::NoNewPrivs,
            Class::Seccomp => order::Class::Seccomp,
            Class::Knock => order::Class::Knock,
            Class::Landlock => order::Class::Landlock,
            Class::Exec => order::Class::Exec,
        }
    }
}
