//! A program written from its end: what a jump leads to is there before the jump.

use super::action::Outcome;
use super::instruction::{AND, Instruction, JUMP, LOAD, RETURN};

/// An instruction that can be jumped to: how many follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Conditional jumps reach this far; one less, as a longer jump for the other way may come between.
const REACH: usize = 254;

/// A program in the making.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    /// The newest place where each outcome is returned.
    returns: Vec<(Outcome, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u16, (jt, jf): (u8, u8), k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions lie between the next one and `label`.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - 1 - label.0
    }

    /// Returns an outcome: where that is done nearby, if it is.
    pub(super) fn ret(&mut self, outcome: Outcome) -> Label {
        let known = self.returns.iter().find(|(other, _)| *other == outcome).map(|(_, label)| *label);
        match known {
            Some(label) if self.reversed.len() - label.0 < REACH / 2 => label,
            _ => self.ret_here(outcome),
        }
    }

    fn ret_here(&mut self, outcome: Outcome) -> Label {
        let label = self.push(RETURN, (0, 0), outcome.code());
        self.returns.retain(|(other, _)| *other != outcome);
        self.returns.push((outcome, label));
        label
    }

    /// A place within reach that leads to `label`; a copy of a return is as short as a jump.
    fn near(&mut self, label: Label) -> Label {
        if self.distance(label) <= REACH { label } else { self.lead(label) }
    }

    fn lead(&mut self, label: Label) -> Label {
        match self.reversed.get(label.0) {
            Some(Instruction { code: RETURN, k, .. }) => self.ret_here(Outcome::from_code(*k)),
            _ => {
                let distance = u32::try_from(self.distance(label)).unwrap_or(u32::MAX);
                self.push(JUMP, (0, 0), distance)
            }
        }
    }

    /// Jumps to `yes` if A compares so with `k`, else to `no`.
    pub(super) fn jump(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let yes = self.near(yes);
        let no = self.near(no);
        // `near` keeps one instruction in reserve.
        let short = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
        let ways = (short(self.distance(yes)), short(self.distance(no)));
        self.push(code, ways, k)
    }

    /// Sees to it that `next` is what comes next.
    fn follow(&mut self, next: Label) {
        if self.distance(next) > 0 {
            self.lead(next);
        }
    }

    /// Loads 32 bits of `seccomp_data`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        self.follow(next);
        self.push(LOAD, (0, 0), offset)
    }

    /// Takes bits away.
    pub(super) fn and(&mut self, mask: u32, next: Label) -> Label {
        self.follow(next);
        self.push(AND, (0, 0), mask)
    }

    /// The program that begins with what was written last.
    pub(super) fn finish(mut self, start: Label) -> Vec<Instruction> {
        self.follow(start);
        self.reversed.reverse();
        self.reversed
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction::JEQ;
    use super::*;

    #[test]
    fn far_places_are_reached() {
        let mut program = Assembler::default();
        let mut last = program.ret(Outcome::ALLOW);
        let first = program.load(0, last);
        // Far more than a conditional jump reaches, both ways.
        for k in 0..if cfg!(miri) { 260 } else { 600 } {
            let no = program.ret(Outcome::from_code(k));
            last = program.jump(JEQ, k, first, no);
        }
        let program = program.finish(last);
        for (place, instruction) in program.iter().enumerate() {
            let reach = usize::from(instruction.jt.max(instruction.jf));
            assert!(instruction.code != JEQ || place + reach + 1 < program.len());
        }
    }
}
