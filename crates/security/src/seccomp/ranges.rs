//! Search by value: the part of a program that finds which of many ranges A lies in.

use super::assemble::{Assembler, Label};
use super::instruction::{JEQ, JGE};

/// Values from `start` to the next one's; what they lead to, and how much a short way to there is worth.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range<L> {
    pub(super) start: u32,
    pub(super) leaf: L,
    pub(super) weight: u64,
}

/// Joins neighbours that lead to the same.
pub(super) fn joined<L: PartialEq>(ranges: Vec<Range<L>>) -> Vec<Range<L>> {
    let mut all: Vec<Range<L>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if last.leaf == range.leaf => last.weight += range.weight,
            _ => all.push(range),
        }
    }
    all
}

/// Writes the search; `emit` writes what a leaf leads to, or finds it. The ranges begin at 0; none at all is `None`.
pub(super) fn search<L: PartialEq>(
    program: &mut Assembler,
    ranges: &[Range<L>],
    emit: &mut dyn FnMut(&mut Assembler, &L) -> Label,
) -> Option<Label> {
    match ranges {
        [] => None,
        [only] => Some(emit(program, &only.leaf)),
        // One value among others: one comparison instead of two.
        [below, one, above] if below.leaf == above.leaf && above.start - one.start == 1 => {
            let others = emit(program, &below.leaf);
            let leaf = emit(program, &one.leaf);
            Some(program.jump(JEQ, one.start, leaf, others))
        }
        _ => {
            let (below, above) = ranges.split_at(middle(ranges));
            let pivot = above.first()?.start;
            let above = search(program, above, emit)?;
            let below = search(program, below, emit)?;
            Some(program.jump(JGE, pivot, above, below))
        }
    }
}

/// Where to part ranges so that both sides weigh about the same.
fn middle<L>(ranges: &[Range<L>]) -> usize {
    let total: u64 = ranges.iter().map(|range| range.weight).sum();
    let mut below = 0;
    let mut best = (u64::MAX, 1);
    // Behind the last there is nothing to part.
    for (place, range) in ranges.iter().enumerate().take(ranges.len() - 1) {
        below += range.weight;
        let off = below.abs_diff(total - below);
        if off < best.0 {
            best = (off, place + 1);
        }
    }
    best.1
}
