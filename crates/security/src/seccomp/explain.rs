//! What a profile comes to, in words: per system call, and against another profile.

use std::collections::BTreeMap;
use std::fmt;

use super::action::Outcome;
use super::arch::Arch;
use super::arguments::{self, Group, Leaf};
use super::error::CompileError;
use super::options::Options;
use super::profile::{Operator, Profile};
use super::rules::{Condition, Decision};
use super::sides::{self, Range};
use super::wanted::Wanted;

/// What happens to each system call, for all architectures that may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    archs: Vec<Part>,
    bad_arch: Outcome,
}

/// One architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    arch: Arch,
    /// By name.
    calls: BTreeMap<&'static str, Decision>,
    /// Numbers without a name, first and last.
    unnamed: Vec<(u32, u32, Decision)>,
}

/// Explains a profile as it would be compiled.
///
/// # Errors
/// As [`compile`](super::compile()), but for the length of the program.
pub fn explain(profile: &Profile, options: &Options) -> Result<Explanation, CompileError> {
    profile.first_problem(options.listener)?;
    let wanted = Wanted::of(profile);
    let sides = sides::sides(&wanted, options, &mut Vec::new())?;
    let part = |arch: Arch| {
        let side = sides.iter().find(|side| side.token == arch.token())?;
        Some(Part::new(arch, &side.ranges))
    };
    let archs = sides::archs(&wanted, options).into_iter().filter_map(part).collect();
    Ok(Explanation { archs, bad_arch: options.bad_arch })
}

impl Part {
    fn new(arch: Arch, ranges: &[Range]) -> Self {
        let at = |number: u32| {
            ranges.iter().rev().find(|range| range.start <= number).map(|range| &range.decision)
        };
        let calls = arch.syscalls().filter_map(|(name, number)| Some((name, at(number)?.clone()))).collect();
        Self { arch, calls, unnamed: unnamed(arch, ranges) }
    }

    /// Names of the calls whose arguments don't count, by what happens to them.
    fn groups(&self) -> BTreeMap<String, Vec<&'static str>> {
        let mut groups = BTreeMap::<String, Vec<_>>::new();
        for (name, decision) in self.calls.iter().filter(|(_, decision)| decision.checks.is_empty()) {
            groups.entry(decision.otherwise.to_string()).or_default().push(*name);
        }
        groups
    }
}

/// What happens to numbers that have no name yet: behind those that are handed out in order, but for an architecture's own.
fn unnamed(arch: Arch, ranges: &[Range]) -> Vec<(u32, u32, Decision)> {
    let (first, last) = arch.numbers();
    let sorted: Vec<u32> = arch.in_order().map(|(_, number)| number).collect();
    let (ordinary, own) = sorted.split_at(sorted.partition_point(|number| *number < arch.ordinary_end()));
    let behind = ordinary.last().map_or(first, |newest| newest + 1);
    let own = (own.first().copied(), own.last().copied());
    let mut all = Vec::new();
    for (place, range) in ranges.iter().enumerate() {
        let end = ranges.get(place + 1).map_or(u32::MAX, |next| next.start - 1).min(last);
        let start = range.start.max(behind);
        let is_own = own.0.is_some_and(|own| start >= own) && own.1.is_some_and(|own| end <= own);
        if start <= end && !is_own {
            all.push((start, end, range.decision.clone()));
        }
    }
    all
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.archs {
            write!(f, "{part}")?;
        }
        writeln!(f, "calls of other architectures: each {}", self.bad_arch)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.arch)?;
        for (outcome, names) in self.groups() {
            writeln!(f, "  {outcome} ({}): {}", names.len(), names.join(" "))?;
        }
        for (name, decision) in self.calls.iter().filter(|(_, decision)| !decision.checks.is_empty()) {
            writeln!(f, "  {name}: {decision}")?;
        }
        for (first, last, decision) in &self.unnamed {
            writeln!(f, "  numbers {first} to {last}: {decision}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in arguments::groups(self) {
            match group {
                Group::Sizes(index, checks) if checks.len() > 2 => {
                    sizes(f, index, &arguments::leaves(&checks))?;
                }
                Group::Sizes(_, checks) => {
                    for (condition, outcome) in checks {
                        write!(f, "{outcome} if {condition}; ")?;
                    }
                }
                Group::One(check) => {
                    let conditions: Vec<_> = check.conditions.iter().map(ToString::to_string).collect();
                    write!(f, "{} if {}; ", check.outcome, conditions.join(" and "))?;
                }
            }
        }
        if !self.checks.is_empty() {
            f.write_str("else ")?;
        }
        write!(f, "{}", self.otherwise)
    }
}

/// Many conditions on one argument, as the values that they leave for each outcome.
fn sizes(f: &mut fmt::Formatter<'_>, index: u32, leaves: &[(u64, Leaf)]) -> fmt::Result {
    let mut outcomes: Vec<(Outcome, Vec<(u64, u64)>)> = Vec::new();
    for (place, (start, leaf)) in leaves.iter().enumerate() {
        let Some(outcome) = leaf else { continue };
        let end = leaves.get(place + 1).map_or(u64::MAX, |(next, _)| next - 1);
        match outcomes.iter_mut().find(|(other, _)| other == outcome) {
            Some((_, values)) => match values.last_mut() {
                Some((_, last)) if last.wrapping_add(1) == *start => *last = end,
                _ => values.push((*start, end)),
            },
            None => outcomes.push((*outcome, vec![(*start, end)])),
        }
    }
    for (outcome, values) in outcomes {
        let text = |(start, end): &(u64, u64)| {
            if start == end { format!("{start:#x}") } else { format!("{start:#x} to {end:#x}") }
        };
        let values: Vec<_> = values.iter().map(text).collect();
        write!(f, "{outcome} if argument {index} is {}; ", values.join(", "))?;
    }
    Ok(())
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.op {
            Operator::Ne => "!=",
            Operator::Lt => "<",
            Operator::Le => "<=",
            Operator::Eq => "==",
            Operator::Ge => ">=",
            Operator::Gt => ">",
            Operator::MaskedEq => {
                return write!(f, "argument {} & {:#x} == {:#x}", self.index, self.mask, self.value);
            }
        };
        write!(f, "argument {} {sign} {:#x}", self.index, self.value)
    }
}

/// What two profiles do differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    lines: Vec<String>,
}

impl Explanation {
    /// What `other` does differently. Calls with conditions are compared at the edges of both sides' conditions.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Difference {
        let mut lines = Vec::new();
        for part in &self.archs {
            match other.archs.iter().find(|other| other.arch == part.arch) {
                Some(other) => lines.extend(part.difference(other)),
                None => lines.push(format!("{}: could call, now each call {}", part.arch, other.bad_arch)),
            }
        }
        let new = other.archs.iter().filter(|part| self.archs.iter().all(|old| old.arch != part.arch));
        lines
            .extend(new.map(|part| format!("{}: can call now, was: each call {}", part.arch, self.bad_arch)));
        if self.bad_arch != other.bad_arch {
            let was = self.bad_arch;
            lines.push(format!("other architectures: each call {was}, now each {}", other.bad_arch));
        }
        Difference { lines }
    }
}

impl Part {
    /// One line for all calls that changed in the same way.
    fn difference(&self, other: &Self) -> Vec<String> {
        let mut changes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, old) in &self.calls {
            let Some(new) = other.calls.get(name).filter(|new| !is_same(old, new)) else { continue };
            changes.entry(format!("{old} -> {new}")).or_default().push(name);
        }
        let mut lines: Vec<_> = changes
            .iter()
            .map(|(change, names)| format!("{}: {}: {change}", self.arch, names.join(" ")))
            .collect();
        if self.unnamed != other.unnamed {
            let text = |part: &Self| {
                let each =
                    |(first, last, decision): &(u32, u32, Decision)| format!("{first} to {last} {decision}");
                part.unnamed.iter().map(each).collect::<Vec<_>>().join(", ")
            };
            lines.push(format!("{}: numbers without a name: {} -> {}", self.arch, text(self), text(other)));
        }
        lines
    }
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// One line for each change.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Beyond so many combinations of arguments, decisions that are written differently count as different.
const MOST_COMBINATIONS: usize = 20_000;

/// Whether two decisions are the same at the edges of all conditions of both.
fn is_same(one: &Decision, other: &Decision) -> bool {
    if one == other {
        return true;
    }
    let edges: Vec<Vec<u64>> = (0..6).map(|index| edges(one, other, index)).collect();
    let combinations = edges.iter().try_fold(1_usize, |all, edges| all.checked_mul(edges.len()));
    let Some(combinations) = combinations.filter(|number| *number <= MOST_COMBINATIONS) else { return false };
    (0..combinations).all(|number| {
        let mut rest = number;
        let mut args = [0; 6];
        for (arg, edges) in args.iter_mut().zip(&edges) {
            *arg = edges.get(rest % edges.len()).copied().unwrap_or(0);
            rest /= edges.len();
        }
        one.outcome(&args) == other.outcome(&args)
    })
}

/// Values of an argument on both sides of everything that is compared with it.
fn edges(one: &Decision, other: &Decision, index: u32) -> Vec<u64> {
    let mut all = vec![0];
    let conditions = [one, other]
        .into_iter()
        .flat_map(|decision| &decision.checks)
        .flat_map(|check| check.conditions.iter());
    for condition in conditions.filter(|condition| condition.index == index) {
        let value = condition.value;
        all.extend([value, value.wrapping_add(1), value.wrapping_sub(1)]);
        if condition.op == Operator::MaskedEq {
            let lowest = condition.mask & condition.mask.wrapping_neg();
            all.extend([value | !condition.mask, value ^ lowest, value ^ condition.mask]);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}
