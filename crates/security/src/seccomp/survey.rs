//! What a program can do with each call, whoever wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::action::Outcome;
use super::arch::Arch;
use super::instruction::{ARCH, ARGUMENTS, DATA_SIZE, Instruction, NUMBER};
use super::interpret::{self, ProgramError};

/// What can happen to a call, as far as number and architecture say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fate {
    /// One, or those among which the arguments choose, by their codes; `None` is a code that the program computes.
    outcomes: BTreeSet<Option<u32>>,
    /// What is looked at on the way: arguments by index, 6 for the place of the call.
    by: BTreeSet<u32>,
}

/// What a program can do with each call of the architectures that it knows: those that it treats otherwise than what is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    archs: BTreeMap<Arch, BTreeMap<&'static str, Fate>>,
    others: Fate,
}

/// Looks through a program, such as one by another compiler. Where arguments choose, all outcomes are told that any way through the program
/// leads to, also a way that no argument takes.
///
/// # Errors
/// As [`check`](super::check()).
pub fn survey(program: &[Instruction]) -> Result<Survey, ProgramError> {
    interpret::check(program)?;
    // No architecture has this value.
    let others = fate(program, u32::MAX, 0);
    let calls = |arch: Arch| -> BTreeMap<_, _> {
        arch.syscalls().map(|(name, number)| (name, fate(program, arch.token(), number))).collect()
    };
    let archs = Arch::ALL.into_iter().map(|arch| (arch, calls(arch)));
    let archs = archs.filter(|(_, calls)| calls.values().any(|fate| *fate != others)).collect();
    Ok(Survey { archs, others })
}

/// What happens to a call whatever its arguments; `None` if they are looked at, or that is no call of the architecture.
#[must_use]
pub fn always(program: &[Instruction], arch: Arch, name: &str) -> Option<Outcome> {
    let fate = fate(program, arch.token(), arch.number(name)?);
    match fate.outcomes.into_iter().collect::<Vec<_>>().as_slice() {
        [Some(code)] => Some(Outcome::from_code(*code)),
        _ => None,
    }
}

/// What of a machine is known whatever the arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    a: Option<u32>,
    x: Option<u32>,
}

/// Walks all ways that a call can take. Jumps lead forward only, so each place is met with few values.
fn fate(program: &[Instruction], token: u32, number: u32) -> Fate {
    let mut fate = Fate { outcomes: BTreeSet::new(), by: BTreeSet::new() };
    let mut seen = BTreeSet::new();
    let mut open = vec![(0_usize, Known { a: Some(0), x: Some(0) })];
    while let Some((place, mut known)) = open.pop() {
        let Some(instruction) = program.get(place).filter(|_| seen.insert((place, known))) else { continue };
        match instruction.code {
            interpret::RET_K => _ = fate.outcomes.insert(Some(instruction.k)),
            interpret::RET_A => _ = fate.outcomes.insert(known.a),
            interpret::LD_ABS => {
                known.a = loaded(instruction.k, token, number);
                if known.a.is_none() {
                    fate.by.insert(instruction.k.checked_sub(ARGUMENTS).map_or(6, |offset| offset / 8));
                }
                open.push((place + 1, known));
            }
            code if code & interpret::CLASS == interpret::JMP => {
                open.extend(
                    known.jumps(instruction).into_iter().flatten().map(|skip| (place + 1 + skip, known)),
                );
            }
            _ => {
                known.step(instruction);
                open.push((place + 1, known));
            }
        }
    }
    fate
}

fn loaded(offset: u32, token: u32, number: u32) -> Option<u32> {
    match offset {
        NUMBER => Some(number),
        ARCH => Some(token),
        _ => None,
    }
}

impl Known {
    fn operand(self, instruction: &Instruction) -> Option<u32> {
        if instruction.code & interpret::X == 0 { Some(instruction.k) } else { self.x }
    }

    /// How many instructions a jump may skip.
    fn jumps(self, instruction: &Instruction) -> [Option<usize>; 2] {
        if instruction.code == interpret::JA {
            return [usize::try_from(instruction.k).ok(), None];
        }
        let (yes, no) = (usize::from(instruction.jt), usize::from(instruction.jf));
        match (self.a, self.operand(instruction)) {
            (Some(a), Some(other)) if interpret::compare(instruction.code, a, other) => [Some(yes), None],
            (Some(_), Some(_)) => [Some(no), None],
            _ => [Some(yes), Some(no)],
        }
    }

    /// What is left of what is known; nothing of what comes back from memory.
    fn step(&mut self, instruction: &Instruction) {
        match instruction.code {
            interpret::LD_IMM => self.a = Some(instruction.k),
            interpret::LDX_IMM => self.x = Some(instruction.k),
            interpret::LD_LEN => self.a = Some(DATA_SIZE),
            interpret::LDX_LEN => self.x = Some(DATA_SIZE),
            interpret::LD_MEM => self.a = None,
            interpret::LDX_MEM => self.x = None,
            interpret::TAX => self.x = self.a,
            interpret::TXA => self.a = self.x,
            interpret::ST | interpret::STX => {}
            code => {
                let both = self.a.zip(self.operand(instruction));
                self.a = both.map(|(a, other)| interpret::compute(code, a, other));
            }
        }
    }
}

impl Survey {
    /// What another program can do otherwise; one line for all calls that changed in the same way.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (arch, calls) in &self.archs {
            let mut changes = BTreeMap::<String, Vec<&str>>::new();
            for (name, old) in calls {
                let new = other.archs.get(arch).and_then(|calls| calls.get(name)).unwrap_or(&other.others);
                if old.outcomes != new.outcomes {
                    changes.entry(format!("{old} -> {new}")).or_default().push(name);
                }
            }
            lines.extend(
                changes.iter().map(|(change, names)| format!("{arch}: {}: {change}", names.join(" "))),
            );
        }
        let new = other.archs.keys().filter(|arch| !self.archs.contains_key(arch));
        lines.extend(new.map(|arch| format!("{arch}: can call now")));
        lines
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (arch, calls) in &self.archs {
            writeln!(f, "{arch}")?;
            let mut groups = BTreeMap::<String, Vec<&str>>::new();
            for (name, fate) in calls {
                groups.entry(fate.to_string()).or_default().push(name);
            }
            for (fate, names) in groups {
                writeln!(f, "  {fate} ({}): {}", names.len(), names.join(" "))?;
            }
        }
        writeln!(f, "calls of other architectures: each {}", self.others)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes: Vec<_> = self.outcomes.iter().map(told).collect();
        f.write_str(&outcomes.join(" or "))?;
        if self.outcomes.len() < 2 {
            return Ok(());
        }
        let by = |index: &u32| if *index == 6 { "its place".to_owned() } else { format!("argument {index}") };
        write!(f, ", by {}", self.by.iter().map(by).collect::<Vec<_>>().join(", "))
    }
}

fn told(code: &Option<u32>) -> String {
    code.map_or_else(
        || "whatever the program computes".to_owned(),
        |code| Outcome::from_code(code).to_string(),
    )
}
