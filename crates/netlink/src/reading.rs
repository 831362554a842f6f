//! Everything that reads what comes from the kernel, in one function, for tests and fuzzers.
use crate::attribute::Attributes;
use crate::events::{Event, event};
use crate::frame::{Frame, Frames, acknowledgement};
use crate::{LinkView, RouteView};

/// Reads a datagram as each part of the crate would; returns how much of it made sense.
pub fn all(bytes: &[u8]) -> usize {
    let mut seen = 0;
    for frame in Frames::new(bytes).flatten() {
        seen += one(&frame, bytes);
        // The type decides what reads a payload; here each reads it.
        for kind in [16, 20, 24, 28, 32] {
            seen += event(&Frame { kind, ..frame }).map_or(0, |found| found.as_ref().map_or(0, unknown));
        }
    }
    seen
}

fn one(frame: &Frame<'_>, bytes: &[u8]) -> usize {
    let refusal = acknowledgement(frame, bytes).ok().flatten();
    let text = refusal.map_or(0, |refusal| refusal.into_error(String::new(), None).to_string().len());
    text + usize::from(event(frame).is_ok())
        + usize::from(crate::nsid::decode(frame.payload).is_some())
        + crate::names::at(bytes, frame.sequence % 256).len()
        + attributes(frame.payload, 4)
        + LinkView::parse(frame.payload).map_or(0, |link| link.attributes().count())
        + RouteView::parse(frame.payload).ok().flatten().map_or(0, |route| route.attributes().count())
}

/// Attributes within attributes, whatever they are.
pub fn attributes(bytes: &[u8], depth: usize) -> usize {
    let within = |value| if depth == 0 { 0 } else { attributes(value, depth - 1) };
    Attributes::new(bytes)
        .map(|attribute| {
            let scalars = [
                attribute.u8().is_some(),
                attribute.u16_be() == attribute.u16().map(u16::swap_bytes),
                attribute.u64().is_none_or(|_| attribute.u32().is_some() && attribute.i32().is_some()),
                attribute.text().len() <= attribute.value.len(),
                attribute.ip().is_some(),
            ];
            scalars.into_iter().filter(|it| *it).count() + within(attribute.value)
        })
        .sum()
}

/// Attributes that were kept.
fn unknown(event: &Event) -> usize {
    match event {
        Event::Link(it) | Event::LinkGone(it) => it.unknown().count(),
        Event::Address(it) | Event::AddressGone(it) => it.unknown().count(),
        Event::Route(it) | Event::RouteGone(it) => it.unknown().count(),
        Event::Neighbour(it) | Event::NeighbourGone(it) => it.unknown().count(),
        Event::Rule(it) | Event::RuleGone(it) => it.unknown().count(),
        Event::Lost => 0,
    }
}
