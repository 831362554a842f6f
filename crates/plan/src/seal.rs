//! The verifier: what it lets through can't do damage by its order.

use std::collections::BTreeSet;

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

/// Definite assignment: one forward pass, as jumps lead forward only. A step sees a slot only if every way to it sets it.
fn slots(builder: &Builder, targets: &Targets) -> Result<(), SealError> {
    let mut incoming: Vec<Option<BTreeSet<SlotId>>> = vec![None; builder.steps.len() + 1];
    merge(&mut incoming, 0, &builder.presets.iter().copied().collect());
    let mut closed_all = false;
    for (index, step) in builder.steps.iter().enumerate() {
        let Some(before) = incoming.get_mut(index).and_then(Option::take) else { continue };
        used(builder, index, step, &before, closed_all)?;
        closed_all |= step.sys.class == Class::CloseRange && is_zero(step.args.get(2));
        let mut after = before.clone();
        if let (Class::Close, Some(Arg::Slot(slot))) = (step.sys.class, step.args.first()) {
            after.remove(slot);
        }
        let failed = after.clone();
        if let Some(out) = step.out {
            // The number holds one descriptor: what had it before is no longer there.
            after.retain(|slot| slot.number != out.number);
            after.insert(out);
        }
        let named = targets.get(index).map(Vec::as_slice).unwrap_or_default();
        if !named.iter().any(|(errno, _)| *errno == 0) {
            merge(&mut incoming, index + 1, &after);
        }
        for (errno, to) in named {
            merge(&mut incoming, usize::from(*to), if *errno == 0 { &after } else { &failed });
        }
    }
    Ok(())
}

fn is_zero(arg: Option<&Arg>) -> bool {
    matches!(arg, Some(Arg::Bits(0) | Arg::Int(0)))
}

fn merge(incoming: &mut [Option<BTreeSet<SlotId>>], at: usize, state: &BTreeSet<SlotId>) {
    if let Some(place) = incoming.get_mut(at) {
        *place = Some(match place.take() {
            Some(other) => other.intersection(state).copied().collect(),
            None => state.clone(),
        });
    }
}

fn used(
    builder: &Builder,
    index: usize,
    step: &Step,
    set: &BTreeSet<SlotId>,
    closed: bool,
) -> Result<(), SealError> {
    for arg in &step.args {
        let Arg::Slot(slot) = arg else { continue };
        // ORDER: after the real close_range only the control socket lives, until exec closes it.
        if closed && builder.control != Some(*slot) {
            return Err(SealError::AfterCloseRange { step: index, slot: slot.number });
        }
        if !set.contains(slot) {
            let name = builder.slots.get(slot).cloned().unwrap_or_default();
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
    let name = |slot: &SlotId| builder.slots.get(slot).cloned().unwrap_or_default();
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
