//! The first part of many plans: built and verified once.

use std::sync::Arc;

use crate::builder::Builder;
use crate::error::SealError;
use crate::ground::Ground;
use crate::host::{HostOp, HostStep};
use crate::plan::Plan;
use crate::seal;
use crate::step::{Arg, Memory};
use crate::syscalls as sys;
use crate::wire::Kind;

/// A verified first part, from which any number of plans go on: [`Base::builder`]. Cheap to clone.
///
/// What the verifier knows behind its last step is kept, so that only the rest of each plan is verified. Slots that are open there can be used
/// by the rest. A launch may also stop behind it and take the rest later: [`crate::Launch::stand_by`].
#[derive(Clone, Debug)]
pub struct Base {
    ground: Arc<Ground>,
}

impl Base {
    fn new(mut builder: Builder) -> Result<Self, SealError> {
        if let Some(HostOp::Step(step)) = builder.host.iter().find(|op| op.again().is_none()) {
            return Err(SealError::ForOneLaunch { text: step.text().to_owned() });
        }
        if let Some(HostOp::Send(_, source)) = builder.host.iter().find(|op| op.again().is_none()) {
            return Err(SealError::ForOneLaunch { text: source.text.clone() });
        }
        let control = builder.control();
        let byte = Arg::Memory(builder.arena.bytes(&[STANDS_BY]), Memory::Opaque("ready"));
        builder.purpose("go on with what differs from container to container");
        builder.step_of(Kind::Next, &sys::RECVMSG, [control.into(), byte]);
        let (part, passed) = seal::verify(&mut builder)?;
        let below = builder.ground.take();
        let mut parts: Vec<_> = below.iter().flat_map(|ground| &ground.parts).map(Arc::clone).collect();
        parts.push(Arc::new(part));
        let mut host: Vec<_> =
            below.iter().flat_map(|ground| &ground.host).filter_map(HostOp::again).collect();
        host.append(&mut builder.host);
        let mut slots = below.map(|ground| ground.slots.clone()).unwrap_or_default();
        slots.append(&mut builder.slots);
        let ground = Ground {
            parts,
            passed,
            host,
            slots,
            numbers: builder.numbers,
            free: builder.free,
            points: builder.points,
            control: builder.control,
            numbered: builder.numbered,
            flags: builder.flags,
            low: builder.low,
            stays: builder.stays,
        };
        Ok(Self { ground: Arc::new(ground) })
    }

    /// A builder of what follows.
    #[must_use]
    pub fn builder(&self) -> Builder {
        let ground = &*self.ground;
        Builder {
            numbers: ground.numbers,
            points: ground.points.clone(),
            flags: ground.flags,
            control: ground.control,
            numbered: ground.numbered.clone(),
            low: ground.low,
            stays: ground.stays,
            free: ground.free.clone(),
            ground: Some(Arc::clone(&self.ground)),
            ..Builder::new()
        }
    }

    /// The plan of this part alone, with the steps of one launch in its places: for [`crate::Launch::stand_by`].
    #[must_use]
    pub fn plan(&self, places: Vec<(&'static str, Vec<HostStep>)>) -> Plan {
        let mut builder = Builder { places, ..self.builder() };
        let host = placed(&self.ground, &mut builder);
        Plan {
            parts: self.ground.parts.clone(),
            numbers: builder.numbers,
            base_host: host.len(),
            base_parts: self.ground.parts.len(),
            host,
            points: builder.points,
            flags: builder.flags,
            low: builder.low.max(2),
            stays: builder.stays,
        }
    }
}

/// What an init sends that waits behind a base: no point has that number.
pub(crate) const STANDS_BY: u8 = 0;

impl Builder {
    /// Verifies what there is as the first part of many plans, and closes it. Host steps in it are [`HostStep::shared`]. That of a builder which goes on from a base
    /// is a base too: of plans that have both in common.
    ///
    /// # Errors
    /// As [`Builder::seal`]; [`SealError::ForOneLaunch`].
    pub fn base(self) -> Result<Base, SealError> {
        Base::new(self)
    }

    /// Verifies the plan and closes it.
    ///
    /// # Errors
    /// The first rule of the verifier that the plan breaks; see [`SealError`].
    pub fn seal(self) -> Result<Plan, SealError> {
        seal_plan(self)
    }
}

fn seal_plan(mut builder: Builder) -> Result<Plan, SealError> {
    let (part, _) = seal::verify(&mut builder)?;
    let ground = builder.ground.take();
    let mut parts: Vec<_> = ground.iter().flat_map(|ground| &ground.parts).map(Arc::clone).collect();
    let base_parts = parts.len().max(1);
    parts.push(Arc::new(part));
    let mut host = ground.map(|ground| placed(&ground, &mut builder)).unwrap_or_default();
    let base_host = host.len();
    host.append(&mut builder.host);
    let (numbers, points, flags, low) = (builder.numbers, builder.points, builder.flags, builder.low.max(2));
    let stays = builder.stays;
    Ok(Plan { parts, base_parts, numbers, host, base_host, points, flags, low, stays })
}

/// The host lane of the base, with the steps of this launch in their places.
fn placed(ground: &Ground, builder: &mut Builder) -> Vec<HostOp> {
    let mut all = Vec::with_capacity(ground.host.len() + builder.host.len() + 8);
    for op in &ground.host {
        if let HostOp::Place(name) = op {
            let here = builder.places.iter_mut().filter(|(place, _)| place == name);
            all.extend(here.flat_map(|(_, steps)| steps.drain(..)).map(HostOp::Step));
        } else {
            all.extend(op.again());
        }
    }
    all
}
