//! The verifier: what it lets through can't do damage by its order.

use crate::builder::Builder;
use crate::error::SealError;
use crate::host::HostOp;
use crate::plan::{Plan, SlotInfo};
use crate::slot::SlotId;
use crate::step::{Arg, Label, Point, Step, Target};
use crate::syscalls::Class;
use crate::wire::{self, Kind};

/// Verifies what `builder` holds and closes it.
pub(crate) fn seal(builder: Builder) -> Result<Plan, SealError> {
    bounds(&builder)?;
    let targets = targets(&builder)?;
    slots(&builder, &targets)?;
    order(&builder.steps)?;
    ends(&builder, &targets)?;
    lanes(&builder)?;
    Ok(close(builder, targets))
}

/// For each step the outcomes with their step numbers.
type Targets = Vec<Vec<(u8, u16)>>;

fn bounds(builder: &Builder) -> Result<(), SealError> {
    if let Some(text) = builder.arena.inner_nul() {
        return Err(SealError::Nul { text: String::from_utf8_lossy(text).into_owned() });
    }
    if builder.steps.len() > wire::MAX_STEPS {
        return Err(SealError::TooManySteps { steps: builder.steps.len() });
    }
    if builder.arena.is_full() {
        return Err(SealError::TooManyBytes);
    }
    if builder.out_of_slots || builder.points.len() > usize::from(u8::MAX) {
        return Err(SealError::TooManySlots);
    }
    Ok(())
}

fn targets(builder: &Builder) -> Result<Targets, SealError> {
    let mut all = Vec::with_capacity(builder.steps.len());
    for (index, step) in builder.steps.iter().enumerate() {
        if step.outcomes.len() > wire::OUTCOMES {
            return Err(SealError::TooManyOutcomes { step: index });
        }
        let mut found = Vec::new();
        for (errno, target) in &step.outcomes {
            let to = match target {
                Target::Next => index + 1,
                Target::Label(label) => bound(builder, *label).unwrap_or(0),
            };
            if to <= index || to >= builder.steps.len() {
                return Err(SealError::BackwardJump { step: index });
            }
            skips_no_message(&builder.steps, index, to)?;
            found.push((*errno, u16::try_from(to).unwrap_or(u16::MAX)));
        }
        all.push(found);
    }
    Ok(all)
}

fn bound(builder: &Builder, label: Label) -> Option<usize> {
    builder.labels.get(label.0 as usize).copied().flatten().map(|at| at as usize)
}

fn is_message(step: &Step) -> bool {
    matches!(step.kind, Kind::Await | Kind::SendFd | Kind::RecvFd | Kind::Respawn)
        || (step.kind == Kind::Call && step.sys.name == "write")
}

fn skips_no_message(steps: &[Step], from: usize, to: usize) -> Result<(), SealError> {
    let between = steps.iter().enumerate().take(to).skip(from + 1);
    let mut skipped = between.filter(|(_, step)| is_message(step)).map(|(past, _)| past);
    skipped.next().map_or(Ok(()), |past| Err(SealError::SkippedMessage { step: from, past }))
}

/// Which descriptor each number holds: the life of its slot plus one, or 0 for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held(Vec<u32>);

impl Held {
    fn has(&self, slot: SlotId) -> bool {
        self.0.get(usize::from(slot.number)).is_some_and(|held| *held == slot.life + 1)
    }

    /// The number holds one descriptor: what had it before is no longer there.
    fn set(&mut self, slot: SlotId) {
        let number = usize::from(slot.number);
        if self.0.len() <= number {
            self.0.resize(number + 1, 0);
        }
        if let Some(held) = self.0.get_mut(number) {
            *held = slot.life + 1;
        }
    }

    fn clear(&mut self, slot: SlotId) {
        let held = self.0.get_mut(usize::from(slot.number)).filter(|held| **held == slot.life + 1);
        if let Some(held) = held {
            *held = 0;
        }
    }

    /// Keeps what both ways have.
    fn keep_common(&mut self, other: &Self) {
        for (number, held) in self.0.iter_mut().enumerate() {
            if other.0.get(number) != Some(held) {
                *held = 0;
            }
        }
    }
}

/// Definite assignment: one forward pass, as jumps lead forward only. A step sees a slot only if every way to it sets it.
fn slots(builder: &Builder, targets: &Targets) -> Result<(), SealError> {
    let mut incoming: Vec<Option<Held>> = vec![None; builder.steps.len() + 1];
    let mut here = Some(Held::default());
    for slot in &builder.presets {
        here.get_or_insert_default().set(*slot);
    }
    // The lowest number that the real close_range has closed.
    let mut closed = None;
    for (index, step) in builder.steps.iter().enumerate() {
        merge(&mut here, incoming.get_mut(index).and_then(Option::take));
        let Some(mut held) = here.take() else { continue };
        used(builder, index, step, &held, closed)?;
        if let (Class::CloseRange, Some(Arg::Bits(first)), true) =
            (step.sys.class, step.args.first(), is_zero(step.args.get(2)))
        {
            closed = Some(closed.map_or(*first, |closed: u32| closed.min(*first)));
        }
        if let (Class::Close, Some(Arg::Slot(slot))) = (step.sys.class, step.args.first()) {
            held.clear(*slot);
        }
        let named = targets.get(index).map(Vec::as_slice).unwrap_or_default();
        // Not set where the step has failed.
        for (_, to) in named.iter().filter(|(errno, _)| *errno != 0) {
            arrive(&mut incoming, *to, &held);
        }
        if let Some(out) = step.out {
            held.set(out);
        }
        match named.iter().find(|(errno, _)| *errno == 0) {
            Some((_, to)) => arrive(&mut incoming, *to, &held),
            None => here = Some(held),
        }
    }
    Ok(())
}

fn is_zero(arg: Option<&Arg>) -> bool {
    matches!(arg, Some(Arg::Bits(0) | Arg::Int(0)))
}

fn arrive(incoming: &mut [Option<Held>], at: u16, held: &Held) {
    if let Some(place) = incoming.get_mut(usize::from(at)) {
        merge(place, Some(held.clone()));
    }
}

fn merge(place: &mut Option<Held>, other: Option<Held>) {
    match (place.as_mut(), other) {
        (Some(held), Some(other)) => held.keep_common(&other),
        (None, other) => *place = other,
        (Some(_), None) => {}
    }
}

fn used(
    builder: &Builder,
    index: usize,
    step: &Step,
    held: &Held,
    closed: Option<u32>,
) -> Result<(), SealError> {
    let kept = |slot: &SlotId, first: u32| {
        builder.numbered.iter().any(|(known, number)| known == slot && *number < first)
    };
    for arg in step.args.iter() {
        let Arg::Slot(slot) = arg else { continue };
        // ORDER: after the real close_range only those live that were put below it, until exec closes them.
        if closed.is_some_and(|first| !kept(slot, first)) {
            return Err(SealError::AfterCloseRange { step: index, slot: slot.number });
        }
        if !held.has(*slot) {
            let name = builder.slot_name(*slot);
            return Err(SealError::SlotNotSet { step: index, slot: slot.number, name });
        }
    }
    Ok(())
}

/// Privileges before their loss, `no_new_privs` before seccomp, seccomp before nothing but exec.
fn order(steps: &[Step]) -> Result<(), SealError> {
    let (mut dropped, mut filtered, mut no_new_privs) = (None, false, false);
    for (index, step) in steps.iter().enumerate() {
        let (class, call) = (step.sys.class, step.sys.name);
        if filtered && class != Class::Exec {
            return Err(SealError::AfterSeccomp { step: index, call });
        }
        match (class, dropped) {
            (Class::Privileged, Some(dropped)) if step.kind != Kind::Compare => {
                return Err(SealError::Unprivileged { step: index, call, dropped });
            }
            (Class::Drops, _) => dropped = Some(index),
            (Class::NoNewPrivs, _) => no_new_privs = true,
            (Class::Seccomp, Some(_)) if !no_new_privs => {
                return Err(SealError::SeccompUnprivileged { step: index });
            }
            (Class::Seccomp, _) => filtered = true,
            _ => {}
        }
    }
    Ok(())
}

fn is_end(step: &Step) -> bool {
    step.sys.class == Class::Exec || step.kind == Kind::Reap
}

/// The last step ends the plan, and only candidates of the same exec stand before it.
fn ends(builder: &Builder, targets: &Targets) -> Result<(), SealError> {
    let last = builder.steps.len().saturating_sub(1);
    if !builder.steps.last().is_some_and(is_end) {
        return Err(SealError::BadEnd { step: last });
    }
    for (index, step) in builder.steps.iter().enumerate().take(last).filter(|(_, step)| is_end(step)) {
        let goes_on = targets.get(index).is_some_and(|outcomes| !outcomes.is_empty());
        if step.kind == Kind::Reap || !goes_on || !builder.steps.get(index + 1).is_some_and(is_end) {
            return Err(SealError::BadEnd { step: index });
        }
    }
    Ok(())
}

/// Both lanes carry the same messages in the same order, and the init is started before the first of them. As each lane
/// is a straight line, that is enough for no wait to last for ever.
fn lanes(builder: &Builder) -> Result<(), SealError> {
    let deadlock = |reason: String| Err(SealError::Deadlock { reason });
    let name = |point: Point| builder.points.get(usize::from(point.0) - 1).cloned().unwrap_or_default();
    let mut started = 0;
    let mut next = 1;
    for op in &builder.host {
        let point = match op {
            HostOp::Clone => {
                started += 1;
                continue;
            }
            HostOp::Step(_) => continue,
            HostOp::AwaitExec if started == 1 => continue,
            HostOp::AwaitExec => return deadlock("the host waits for an init that was not started".into()),
            HostOp::Await(point) | HostOp::Notify(point) | HostOp::Receive(point) => *point,
            HostOp::Send(point, _) | HostOp::Respawn(point) => *point,
        };
        if started != 1 {
            return deadlock(format!("`{}` stands before the init is started", name(point)));
        }
        if point.0 != next {
            return deadlock(format!("`{}` stands out of order in the host lane", name(point)));
        }
        next += 1;
    }
    if started > 1 || (started == 0 && next > 1) {
        return deadlock("the host lane starts the init once".into());
    }
    Ok(())
}

fn close(builder: Builder, targets: Targets) -> Plan {
    let name = |slot: &SlotId| builder.slot_name(*slot);
    let slots = builder.presets.iter().map(|slot| SlotInfo { slot: *slot, name: name(slot) }).collect();
    let (arena, relocations) = builder.arena.finish();
    Plan {
        steps: builder.steps,
        targets,
        purposes: builder.purposes,
        slots,
        numbers: builder.numbers,
        presets: builder.presets,
        arena,
        relocations,
        host: builder.host,
        points: builder.points,
        flags: builder.flags,
        low: builder.low.max(2),
    }
}
