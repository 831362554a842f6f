//! Building a plan: typed methods, one for each system call.

mod attributes;
mod fs;
mod identity;
mod landlock;
mod mount;
mod process;
mod sync;

pub use attributes::SchedAttr;
pub use fs::{How, Resolve, Seen};
pub use identity::CapMasks;
pub use mount::MountAttr;
pub use process::Hook;
pub use sync::LISTENER;

use std::path::Path;
use std::sync::Arc;

use crate::arena::Arena;
use crate::ground::Ground;
use crate::host::{HostOp, HostStep};
use crate::slot::{Kind, Number, Slot, SlotId};
use crate::step::{Arg, Args, Label, Memory, Step, Target};
use crate::syscalls::Sys;
use crate::wire;

/// Collects steps for the init (the *child lane*) and for the host (the *host lane*), in order.
///
/// A method that is described by a call adds one step to the child lane, and that step is this one system call, described by the man page of the call's
/// name in section 2 (linux/... headers have the constants). Numbers are passed on as they are; ids are those of the init's user namespace
/// at that step; modes are permission bits; sizes are bytes. When the step runs, any error number ends the plan and becomes the error of
/// the launch ([`crate::StepFailure`]), unless [`Builder::tolerate`] or [`Builder::on`] names it.
///
/// Methods never fail: what can't be encoded (a NUL in a path, too many slots) is remembered and reported by
/// [`Builder::seal`], so that fragments stay straight lines.
#[derive(Debug, Default)]
pub struct Builder {
    pub(crate) arena: Arena,
    pub(crate) steps: Vec<Step>,
    pub(crate) purposes: Vec<String>,
    /// Names of all slots, also of those that are closed by now, in the order in which they were made.
    pub(crate) slots: Vec<(SlotId, String)>,
    /// How many numbers they have.
    pub(crate) numbers: usize,
    pub(crate) presets: Vec<SlotId>,
    pub(crate) labels: Vec<Option<u32>>,
    pub(crate) host: Vec<HostOp>,
    pub(crate) points: Vec<String>,
    pub(crate) flags: u64,
    pub(crate) control: Option<SlotId>,
    /// Slots whose descriptor's number is known, or from where on it lies.
    pub(crate) numbered: Vec<(SlotId, Number)>,
    /// Highest number that the program's descriptors get: what the host gives must lie above it.
    pub(crate) low: u32,
    /// From which step on the init stays when its host is gone, counted from 1; 0 for none.
    pub(crate) stays: u32,
    pub(crate) free: Vec<SlotId>,
    pub(crate) out_of_slots: bool,
    /// What this goes on behind.
    pub(crate) ground: Option<Arc<Ground>>,
    /// Steps for the places of the base.
    pub(crate) places: Vec<(&'static str, Vec<HostStep>)>,
}

impl Builder {
    /// An empty plan.
    #[must_use]
    pub fn new() -> Self {
        let mut purposes = Vec::with_capacity(64);
        purposes.push(String::new());
        // Room for a usual container, so that nothing grows step by step.
        Self { arena: Arena::new(), steps: Vec::with_capacity(384), purposes, ..Self::default() }
    }

    /// Says what the following steps are for. The text stands in `explain` and in the error of each of them.
    pub fn purpose(&mut self, text: impl Into<String>) -> &mut Self {
        self.purposes.push(text.into());
        self
    }

    /// Namespaces that `clone3` makes for the init: `CLONE_NEW…` bits of clone(2), added to those given before.
    pub fn namespaces(&mut self, flags: u64) {
        self.flags |= flags;
    }

    /// The init is born in the cgroup that the launch is given: `CLONE_INTO_CGROUP` of clone3(2).
    pub fn into_cgroup(&mut self) {
        self.flags |= crate::wire::CLONE_INTO_CGROUP;
    }

    /// A slot that the host fills at launch with a descriptor of its own: [`crate::Launch::give`]. A launch without it fails.
    pub fn preset<K: Kind>(&mut self, name: impl Into<String>) -> Slot<K> {
        // A number that nothing had before: behind a base it would otherwise stand for two things in the same plan.
        let slot = self.next_slot();
        let slot = match slot {
            Some(slot) => {
                self.slots.push((slot, name.into()));
                slot
            }
            None => self.new_slot(name.into()),
        };
        self.presets.push(slot);
        self.numbered.push((slot, Number::OutOfReach));
        Slot::new(slot)
    }

    pub(crate) fn new_slot(&mut self, name: String) -> SlotId {
        let slot = self.free.pop().or_else(|| self.next_slot()).unwrap_or_else(|| {
            self.out_of_slots = true;
            SlotId::first(0)
        });
        self.slots.push((slot, name));
        slot
    }

    pub(crate) fn slot_name(&self, slot: SlotId) -> String {
        let known = self.ground.iter().flat_map(|ground| &ground.slots).chain(&self.slots);
        known.filter(|(known, _)| *known == slot).map(|(_, name)| name.clone()).next().unwrap_or_default()
    }

    fn next_slot(&mut self) -> Option<SlotId> {
        let next = u8::try_from(self.numbers).ok().filter(|next| usize::from(*next) < wire::SLOTS)?;
        self.numbers += 1;
        Some(SlotId::first(next))
    }

    /// Marks a slot's number as free for a later slot. The verifier still refuses any use of the old name. That of a preset stays
    /// its own: the host fills it by number.
    pub(crate) fn release(&mut self, slot: SlotId) {
        let taken = |free: &SlotId| free.number == slot.number;
        if !self.free.iter().any(taken) && !self.presets.contains(&slot) {
            self.free.push(slot.next_life());
        }
    }

    pub(crate) fn step(&mut self, sys: &'static Sys, args: impl Into<Args>) -> &mut Step {
        self.step_of(wire::Kind::Call, sys, args)
    }

    #[allow(clippy::indexing_slicing, reason = "the step at this index was just pushed")]
    pub(crate) fn step_of(
        &mut self,
        kind: wire::Kind,
        sys: &'static Sys,
        args: impl Into<Args>,
    ) -> &mut Step {
        let purpose = u32::try_from(self.purposes.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let args = args.into();
        let step = Step { kind, sys, args, out: None, log: None, outcomes: Vec::new(), aux: 0, purpose };
        let index = self.steps.len();
        self.steps.push(step);
        &mut self.steps[index]
    }

    pub(crate) fn out<K: Kind>(
        &mut self,
        sys: &'static Sys,
        args: impl Into<Args>,
        name: impl Into<String>,
    ) -> Slot<K> {
        let slot = self.new_slot(name.into());
        self.step(sys, args).out = Some(slot);
        Slot::new(slot)
    }

    pub(crate) fn text(&mut self, text: impl AsRef<[u8]>) -> Arg {
        Arg::Memory(self.arena.text(text.as_ref()), Memory::Text)
    }

    pub(crate) fn path(&mut self, path: impl AsRef<Path>) -> Arg {
        Arg::Memory(self.arena.path(path.as_ref()), Memory::Text)
    }

    /// The last step may fail with `errno` (1 to 255): the plan goes on with the next step. A slot that the step would have set can't be used
    /// from there on.
    pub fn tolerate(&mut self, errno: i32) -> &mut Self {
        self.outcome(errno, Target::Next)
    }

    /// When the last step fails with `errno` (1 to 255), the plan goes on at `label`. A step takes four outcomes at most.
    pub fn on(&mut self, errno: i32, label: Label) -> &mut Self {
        self.outcome(errno, Target::Label(label))
    }

    /// When the last step succeeds, the plan goes on at `label`.
    pub fn on_success(&mut self, label: Label) -> &mut Self {
        self.outcome(0, Target::Label(label))
    }

    fn outcome(&mut self, errno: i32, target: Target) -> &mut Self {
        if let (Some(step), Ok(errno)) = (self.steps.last_mut(), u8::try_from(errno)) {
            step.outcomes.push((errno, target));
        }
        self
    }

    /// A label to be bound further on.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(u32::try_from(self.labels.len().saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// Binds `label` to the step that comes next.
    pub fn bind(&mut self, label: Label) {
        let here = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        if let Some(place) = self.labels.get_mut(label.0 as usize) {
            *place = Some(here);
        }
    }

    /// Adds a step to the host lane; before [`Builder::start_init`] it runs while there is no child.
    pub fn host(&mut self, step: HostStep) {
        self.host.push(HostOp::Step(step));
    }

    /// Adds a place to the host lane, where each launch of a base has steps of its own: [`Builder::put`].
    pub fn place(&mut self, name: &'static str) {
        self.host.push(HostOp::Place(name));
    }

    /// The steps of this launch at that place of the base.
    pub fn put(&mut self, place: &'static str, steps: Vec<HostStep>) {
        self.places.push((place, steps));
    }

    /// Adds the start of the init to the host lane. Steps before it run while there is no child.
    pub fn start_init(&mut self) {
        // ORDER: the socket must exist even if no message crosses it: its end tells the host of exec or death.
        self.control();
        self.host.push(HostOp::Clone);
    }

    /// Adds to the host lane: wait until the init has replaced itself by the program.
    pub fn await_exec(&mut self) {
        self.host.push(HostOp::AwaitExec);
    }
}
