//! How structures of the kernel look in `explain`: those that are more than text and flags.

use crate::arena::View;
use crate::flags;
use crate::wire::signed;

/// `struct sched_attr`.
pub(crate) fn scheduler(view: View<'_>, at: u32) -> String {
    let mut parts = vec![format!("size {}", view.half(at)), flags::name(flags::SCHED, view.half(at + 4))];
    let bits = u32::try_from(view.word(at + 8)).unwrap_or(u32::MAX);
    if bits != 0 {
        parts.push(flags::render(flags::SCHED_FLAG, bits));
    }
    let numbers = [("nice", i64::from(signed(view.half(at + 16)))), ("priority", view.half(at + 20).into())];
    parts.extend(
        numbers.iter().filter(|(_, value)| *value != 0).map(|(name, value)| format!("{name} {value}")),
    );
    for (name, place) in [("runtime", 24), ("deadline", 32), ("period", 40)] {
        let time = view.word(at + place);
        if time != 0 {
            parts.push(format!("{name} {time} ns"));
        }
    }
    format!("{{{}}}", parts.join(", "))
}

/// What a ruleset of Landlock handles.
pub(crate) fn handled(view: View<'_>, at: u32) -> String {
    let parts = [(0, flags::LANDLOCK_FS), (8, flags::LANDLOCK_NET), (16, flags::LANDLOCK_SCOPE)];
    format!("{{{}}}", parts.map(|(place, names)| bits(names, view.word(at + place))).join(", "))
}

/// A rule on a path, but for the descriptor.
pub(crate) fn path_rule(view: View<'_>, at: u32) -> String {
    format!("{{{}}}", bits(flags::LANDLOCK_FS, view.word(at)))
}

/// A rule on a port.
pub(crate) fn port_rule(view: View<'_>, at: u32) -> String {
    format!("{{{}, {}}}", bits(flags::LANDLOCK_NET, view.word(at)), view.word(at + 8))
}

fn bits(names: &'static [(u32, &'static str)], value: u64) -> String {
    flags::render(names, u32::try_from(value).unwrap_or(u32::MAX))
}

/// Class and priority of input and output.
pub(crate) fn io(value: u32) -> String {
    format!("IOPRIO_PRIO_VALUE({}, {})", flags::name(flags::IOPRIO_CLASS, value >> 13), value & 0x1fff)
}

/// A mask as the list of its numbers, in the kernel's list format.
pub(crate) fn numbers(mask: &[u8]) -> String {
    let is_set = |number: &usize| mask.get(number / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0);
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in (0..mask.len() * 8).filter(is_set) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |(first, last): (usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    format!("{{{}}}", ranges.into_iter().map(text).collect::<Vec<_>>().join(","))
}
