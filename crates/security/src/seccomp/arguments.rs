//! The part of a program that looks at a call's arguments.
//!
//! An argument has 64 bits and a program compares 32: the high half comes first, and the low one where that leaves it open.

use super::action::Outcome;
use super::assemble::{Assembler, Label};
use super::instruction::{ARGUMENTS, JEQ, JGE, JGT};
use super::profile::Operator;
use super::ranges::{self, Range};
use super::rules::{Check, Condition, Decision};

/// How arguments lie in memory, and how much of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layout {
    pub(super) big_endian: bool,
    pub(super) narrow: bool,
}

impl Layout {
    fn high(self, index: u32) -> u32 {
        ARGUMENTS + 8 * index + if self.big_endian { 0 } else { 4 }
    }

    fn low(self, index: u32) -> u32 {
        ARGUMENTS + 8 * index + if self.big_endian { 4 } else { 0 }
    }
}

/// Checks that are done in one go.
pub(super) enum Group<'a> {
    /// All about the size of one argument: a search.
    Sizes(u32, Vec<(Condition, Outcome)>),
    One(&'a Check),
}

/// What a value of an argument leads to; nothing here is the next group's.
pub(super) type Leaf = Option<Outcome>;

/// Writes all checks of a call; the first one that holds decides.
pub(super) fn decide(program: &mut Assembler, layout: Layout, decision: &Decision) -> Label {
    let mut next = program.ret(decision.otherwise);
    for group in groups(decision).iter().rev() {
        next = match group {
            Group::One(check) => all_of(program, layout, check, next),
            Group::Sizes(index, checks) => sizes(program, layout, *index, checks, next),
        };
    }
    next
}

/// Neighbours about the size of one argument are done together.
pub(super) fn groups(decision: &Decision) -> Vec<Group<'_>> {
    let mut all: Vec<Group<'_>> = Vec::new();
    for check in &decision.checks {
        let size = match &*check.conditions {
            [only] if only.op != Operator::MaskedEq => Some(*only),
            _ => None,
        };
        match (size, all.last_mut()) {
            (Some(condition), Some(Group::Sizes(index, checks))) if *index == condition.index => {
                checks.push((condition, check.outcome));
            }
            (Some(condition), _) => all.push(Group::Sizes(condition.index, vec![(condition, check.outcome)])),
            (None, _) => all.push(Group::One(check)),
        }
    }
    all
}

/// What each value leads to, by the first condition that holds: where it begins to, and its leaf. The first begins at 0.
pub(super) fn leaves(checks: &[(Condition, Outcome)]) -> Vec<(u64, Leaf)> {
    let edges = |condition: &Condition| match condition.op {
        Operator::Lt | Operator::Ge => [Some(condition.value), None],
        Operator::Le | Operator::Gt => [condition.value.checked_add(1), None],
        _ => [Some(condition.value), condition.value.checked_add(1)],
    };
    let mut starts: Vec<u64> = checks.iter().flat_map(|(condition, _)| edges(condition)).flatten().collect();
    starts.push(0);
    starts.sort_unstable();
    starts.dedup();
    let first = |value: u64| checks.iter().find(|(condition, _)| condition.holds(value));
    starts.into_iter().map(|start| (start, first(start).map(|(_, outcome)| *outcome))).collect()
}

fn halves(value: u64) -> (u32, u32) {
    let low = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
    (u32::try_from(value >> 32).unwrap_or(0), low)
}

/// The fate of all arguments with one high half: one for all, or by the low half.
#[derive(Clone, Debug, PartialEq)]
enum High {
    All(Leaf),
    Low(Vec<Range<Leaf>>),
}

fn range<L>(start: u32, leaf: L) -> Range<L> {
    Range { start, leaf, weight: 1 }
}

/// The leaves of one high half.
fn lows(leaves: &[(u64, Leaf)], high: u32) -> Vec<Range<Leaf>> {
    let start = u64::from(high) << 32;
    let at_start = leaves.iter().rev().find(|(value, _)| *value <= start).and_then(|(_, leaf)| *leaf);
    let within = leaves.iter().filter(|(value, _)| *value > start && halves(*value).0 == high);
    [range(0, at_start)]
        .into_iter()
        .chain(within.map(|(value, leaf)| range(halves(*value).1, *leaf)))
        .collect()
}

/// The leaves by high halves.
fn highs(leaves: &[(u64, Leaf)]) -> Vec<Range<High>> {
    let mut starts: Vec<u32> = Vec::new();
    for (high, low) in leaves.iter().map(|(value, _)| halves(*value)) {
        starts.push(high);
        // The half behind one that is parted is of one piece again.
        starts.extend(high.checked_add(1).filter(|_| low > 0));
    }
    starts.sort_unstable();
    starts.dedup();
    let fate = |high: u32| match lows(leaves, high).as_slice() {
        [only] => High::All(only.leaf),
        parted => High::Low(parted.to_vec()),
    };
    starts.into_iter().map(|start| range(start, fate(start))).collect()
}

fn sizes(
    program: &mut Assembler,
    layout: Layout,
    index: u32,
    checks: &[(Condition, Outcome)],
    next: Label,
) -> Label {
    let leaves = leaves(checks);
    if layout.narrow {
        return search_low(program, layout.low(index), lows(&leaves, 0), next);
    }
    let highs = ranges::joined(highs(&leaves));
    let found = ranges::search(program, &highs, &mut |program, high| match high {
        High::All(leaf) => go(program, *leaf, next),
        High::Low(lows) => search_low(program, layout.low(index), lows.clone(), next),
    });
    found.map_or(next, |found| if highs.len() == 1 { found } else { program.load(layout.high(index), found) })
}

fn search_low(program: &mut Assembler, offset: u32, lows: Vec<Range<Leaf>>, next: Label) -> Label {
    let lows = ranges::joined(lows);
    let found = ranges::search(program, &lows, &mut |program, leaf| go(program, *leaf, next));
    found.map_or(next, |found| if lows.len() == 1 { found } else { program.load(offset, found) })
}

fn go(program: &mut Assembler, leaf: Leaf, next: Label) -> Label {
    leaf.map_or(next, |outcome| program.ret(outcome))
}

/// Writes one check: on to `next` as soon as a condition does not hold.
fn all_of(program: &mut Assembler, layout: Layout, check: &Check, next: Label) -> Label {
    let held = program.ret(check.outcome);
    check.conditions.iter().rev().fold(held, |held, condition| {
        if layout.narrow {
            low(program, layout, condition, held, next)
        } else {
            both(program, layout, condition, held, next)
        }
    })
}

/// Compares the low half.
fn low(program: &mut Assembler, layout: Layout, condition: &Condition, yes: Label, no: Label) -> Label {
    let value = halves(condition.value).1;
    let (code, yes, no) = match condition.op {
        Operator::Eq | Operator::MaskedEq => (JEQ, yes, no),
        Operator::Ne => (JEQ, no, yes),
        Operator::Gt => (JGT, yes, no),
        Operator::Le => (JGT, no, yes),
        Operator::Ge => (JGE, yes, no),
        Operator::Lt => (JGE, no, yes),
    };
    let mask = halves(condition.mask).1;
    masked(program, layout.low(condition.index), mask, (code, value), yes, no)
}

/// Compares the high half, then the low one.
fn both(program: &mut Assembler, layout: Layout, condition: &Condition, yes: Label, no: Label) -> Label {
    let low = low(program, layout, condition, yes, no);
    let (value, _) = halves(condition.value);
    let (mask, _) = halves(condition.mask);
    let offset = layout.high(condition.index);
    match condition.op {
        Operator::Eq | Operator::MaskedEq => masked(program, offset, mask, (JEQ, value), low, no),
        Operator::Ne => masked(program, offset, mask, (JEQ, value), low, yes),
        Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => {
            let (greater, less) =
                if matches!(condition.op, Operator::Gt | Operator::Ge) { (yes, no) } else { (no, yes) };
            let equal = program.jump(JEQ, value, low, less);
            let greater = program.jump(JGT, value, greater, equal);
            program.load(offset, greater)
        }
    }
}

/// One comparison of what a mask leaves; none where it leaves nothing.
fn masked(
    program: &mut Assembler,
    offset: u32,
    mask: u32,
    (code, value): (u16, u32),
    yes: Label,
    no: Label,
) -> Label {
    if mask == 0 {
        return yes;
    }
    let test = program.jump(code, value, yes, no);
    let test = if mask == u32::MAX { test } else { program.and(mask, test) };
    program.load(offset, test)
}
