//! The verifier: what it lets through can't do damage by its order.

use crate::builder::Builder;
use crate::error::SealError;
use crate::host::HostOp;
use crate::order::{Breach, Class as OrderClass};
use crate::part::{Part, SlotInfo};
use crate::passed::{Held, Passed};
use crate::slot::{Number, SlotId};
use crate::step::{Arg, Label, Point, Step, Target};
use crate::syscalls::Class;
use crate::wire::{self, Kind};

/// Verifies what `builder` holds, from what its base has passed on.
pub(crate) fn verify(builder: &mut Builder) -> Result<(Part, Passed), SealError> {
    let (mut passed, first) = match &builder.ground {
        Some(ground) => (ground.passed.clone(), ground.end()),
        None => (Passed { next: 1, ..Passed::default() }, 0),
    };
    bounds(builder, first)?;
    let targets = targets(builder, first)?;
    slots(builder, &targets, first, &mut passed)?;
    order(&builder.steps, first, &mut passed)?;
    ends(builder, &targets, first)?;
    lanes(builder, &mut passed)?;
    Ok((close(builder, targets, first), passed))
}

/// For each step the outcomes with their step numbers.
type Targets = Vec<Vec<(u8, u16)>>;

fn bounds(builder: &Builder, first: usize) -> Result<(), SealError> {
    if let Some(text) = builder.arena.inner_nul() {
        return Err(SealError::Nul { text: String::from_utf8_lossy(text).into_owned() });
    }
    let steps = first + builder.steps.len();
    if steps > wire::MAX_STEPS {
        return Err(SealError::TooManySteps { steps });
    }
    if builder.arena.is_full() {
        return Err(SealError::TooManyBytes);
    }
    if builder.out_of_slots || builder.points.len() > usize::from(u8::MAX) {
        return Err(SealError::TooManySlots);
    }
    Ok(())
}

fn targets(builder: &Builder, first: usize) -> Result<Targets, SealError> {
    let mut all = Vec::with_capacity(builder.steps.len());
    for (index, step) in builder.steps.iter().enumerate() {
        if step.outcomes.len() > wire::OUTCOMES {
            return Err(SealError::TooManyOutcomes { step: first + index });
        }
        let mut found = Vec::new();
        for (errno, target) in &step.outcomes {
            let to = match target {
                Target::Next => index + 1,
                Target::Label(label) => bound(builder, *label).unwrap_or(0),
            };
            if to <= index || to >= builder.steps.len() {
                return Err(SealError::BackwardJump { step: first + index });
            }
            skips_no_message(&builder.steps, index, to, first)?;
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

fn skips_no_message(steps: &[Step], from: usize, to: usize, first: usize) -> Result<(), SealError> {
    let between = steps.iter().enumerate().take(to).skip(from + 1);
    let mut skipped = between.filter(|(_, step)| is_message(step)).map(|(past, _)| past);
    let (step, at) = (first + from, |past: usize| first + past);
    skipped.next().map_or(Ok(()), |past| Err(SealError::SkippedMessage { step, past: at(past) }))
}

/// Definite assignment: one forward pass, as jumps lead forward only. A step sees a slot only if every way to it sets it.
fn slots(builder: &Builder, targets: &Targets, first: usize, passed: &mut Passed) -> Result<(), SealError> {
    let mut incoming: Vec<Option<Held>> = vec![None; builder.steps.len() + 1];
    let mut held = std::mem::take(&mut passed.held);
    for slot in &builder.presets {
        held.set(*slot);
    }
    let mut here = Some(held);
    for (index, step) in builder.steps.iter().enumerate() {
        merge(&mut here, incoming.get_mut(index).and_then(Option::take));
        let Some(mut held) = here.take() else { continue };
        used(builder, first + index, step, &held, passed.closed)?;
        if let (Class::CloseRange, Some(Arg::Bits(low)), true) =
            (step.sys.class, step.args.first(), is_zero(step.args.get(2)))
        {
            passed.closed = Some(passed.closed.map_or(*low, |closed| closed.min(*low)));
        }
        if let (Class::Close, Some(Arg::Slot(slot))) = (step.sys.class, step.args.first()) {
            held.clear(*slot);
        }
        let named = targets.get(index).map(Vec::as_slice).unwrap_or_default();
        // Not set where the step has failed.
        for (_, to) in named.iter().filter(|(errno, _)| *errno != 0) {
            arrive(&mut incoming, *to, &held);
        }
        if let Some(number) = given(step) {
            held.forget(|slot| may_have(builder, slot, number));
        }
        if let Some(out) = step.out {
            held.set(out);
        }
        match named.iter().find(|(errno, _)| *errno == 0) {
            Some((_, to)) => arrive(&mut incoming, *to, &held),
            None => here = Some(held),
        }
    }
    passed.held = here.unwrap_or_default();
    Ok(())
}

/// The number that this step gives to a descriptor, whatever had it before.
fn given(step: &Step) -> Option<u32> {
    match (step.sys.class, step.args.get(1)) {
        (Class::Dup, Some(Arg::Bits(number))) => Some(*number),
        _ => None,
    }
}

/// Whether a slot's descriptor may have that number: where the plan knows nothing, the kernel took the lowest that was free.
fn may_have(builder: &Builder, slot: SlotId, number: u32) -> bool {
    let known = builder.numbered.iter().find(|(known, _)| *known == slot);
    known.is_none_or(|(_, known)| known.may_be(number))
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
        builder
            .numbered
            .iter()
            .any(|(known, number)| known == slot && matches!(number, Number::Is(number) if *number < first))
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
fn order(steps: &[Step], first: usize, passed: &mut Passed) -> Result<(), SealError> {
    for (index, step) in (first..).zip(steps) {
        let (class, call) = (step.order(), step.sys.name);
        passed.order.pass(class).map_err(|breach| match breach {
            Breach::AfterSeccomp => SealError::AfterSeccomp { step: index, call },
            Breach::NoListener => SealError::NoListener { step: index },
            Breach::Unprivileged => {
                SealError::Unprivileged { step: index, call, dropped: passed.dropped.unwrap_or(0) }
            }
            Breach::AfterLandlock => SealError::AfterLandlock { step: index, call },
            Breach::LandlockUnprivileged => SealError::LandlockUnprivileged { step: index },
            Breach::SeccompUnprivileged => SealError::SeccompUnprivileged { step: index },
        })?;
        if matches!(class, OrderClass::Drops | OrderClass::DropsToAdmin) {
            passed.dropped = Some(index);
        }
    }
    Ok(())
}

fn is_end(step: &Step) -> bool {
    step.sys.class == Class::Exec || matches!(step.kind, Kind::Reap | Kind::Next)
}

/// The last step ends the plan, and only candidates of the same exec stand before it.
fn ends(builder: &Builder, targets: &Targets, first: usize) -> Result<(), SealError> {
    let last = builder.steps.len().saturating_sub(1);
    if !builder.steps.last().is_some_and(is_end) {
        return Err(SealError::BadEnd { step: first + last });
    }
    for (index, step) in builder.steps.iter().enumerate().take(last).filter(|(_, step)| is_end(step)) {
        let goes_on = targets.get(index).is_some_and(|outcomes| !outcomes.is_empty());
        if step.sys.class != Class::Exec || !goes_on || !builder.steps.get(index + 1).is_some_and(is_end) {
            return Err(SealError::BadEnd { step: first + index });
        }
    }
    Ok(())
}

/// Both lanes carry the same messages in the same order, and the init is started before the first of them. As each lane
/// is a straight line, that is enough for no wait to last for ever.
fn lanes(builder: &Builder, passed: &mut Passed) -> Result<(), SealError> {
    let deadlock = |reason: String| Err(SealError::Deadlock { reason });
    let name = |point: Point| builder.points.get(usize::from(point.0) - 1).cloned().unwrap_or_default();
    let Passed { started, next, .. } = passed;
    for op in &builder.host {
        let point = match op {
            HostOp::Clone => {
                *started += 1;
                continue;
            }
            HostOp::Step(_) | HostOp::Place(_) => continue,
            HostOp::AwaitExec if *started == 1 => continue,
            HostOp::AwaitExec => return deadlock("the host waits for an init that was not started".into()),
            HostOp::Await(point) | HostOp::Notify(point) | HostOp::Receive(point) => *point,
            HostOp::Send(point, _) | HostOp::Respawn(point) => *point,
        };
        if *started != 1 {
            return deadlock(format!("`{}` stands before the init is started", name(point)));
        }
        if point.0 != *next {
            return deadlock(format!("`{}` stands out of order in the host lane", name(point)));
        }
        *next += 1;
    }
    if *started > 1 || (*started == 0 && *next > 1) {
        return deadlock("the host lane starts the init once".into());
    }
    Ok(())
}

fn close(builder: &mut Builder, targets: Targets, first: usize) -> Part {
    let name = |slot: &SlotId| SlotInfo { slot: *slot, name: builder.slot_name(*slot) };
    let presets = builder.presets.iter().map(name).collect();
    let memory = std::mem::take(&mut builder.arena).finish();
    let steps = std::mem::take(&mut builder.steps);
    Part::new(first, (steps, targets), std::mem::take(&mut builder.purposes), presets, memory)
}
