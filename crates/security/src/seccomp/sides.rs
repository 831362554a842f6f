//! What happens to each number, by audit value: the profile as a program can go through it.

use super::action::Outcome;
use super::arch::Arch;
use super::error::{CompileError, Warning};
use super::multiplexed::{self, Inner};
use super::options::Options;
use super::rules::{self, ByName, Conditions, Decision};
use super::syscalls::Name;
use super::wanted::Wanted;

/// What tracers set a call's number to that is not to be made: no number of x32.
const SKIPPED: u32 = u32::MAX;

/// Numbers from `start` to the next range's, with one fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) decision: Decision,
    /// Whether only low halves of arguments are compared.
    pub(super) narrow: bool,
    /// How many calls of today's kernels lie in it.
    pub(super) calls: u32,
}

/// All calls with one audit value. The ranges begin at 0, and neighbours differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) token: u32,
    pub(super) ranges: Vec<Range>,
}

/// One side for each audit value that may call; the native one first.
pub(super) fn sides(
    wanted: &Wanted<'_>,
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Side>, CompileError> {
    let conditions = Conditions::of(wanted);
    let names = rules::by_name(wanted, &conditions, warnings);
    let mut sides: Vec<Side> = Vec::new();
    let archs = archs(wanted, options);
    for arch in &archs {
        if sides.iter().all(|side| side.token != arch.token()) {
            let ranges = ranges(*arch, &archs, (wanted.default, options), &names, warnings)?;
            sides.push(Side { token: arch.token(), ranges });
        }
    }
    Ok(sides)
}

/// What comes of the numbers with the audit value of an architecture.
fn ranges(
    arch: Arch,
    archs: &[Arch],
    (default, options): (Outcome, &Options),
    names: &ByName<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Range>, CompileError> {
    let mut runs = Runs { ranges: Vec::with_capacity(MOSTLY) };
    for (start, end, arch) in spaces(arch, archs) {
        match arch {
            Some(arch) => {
                Space::new(arch, default, options, names).write((start, end), &mut runs, warnings)?;
            }
            None => runs.put(start, Decision::always(options.bad_arch), false, 0),
        }
    }
    if arch.token() == Arch::X86_64.token() && !archs.contains(&Arch::X32) {
        runs.put(SKIPPED, Decision::always(default), false, 0);
    }
    Ok(runs.ranges)
}

/// The native architecture, which is always one, and those that the profile names; each once.
pub(super) fn archs(wanted: &Wanted<'_>, options: &Options) -> Vec<Arch> {
    let mut all = vec![options.native];
    for arch in wanted.architectures {
        if !all.contains(arch) {
            all.push(*arch);
        }
    }
    all
}

/// First and last number of each architecture that shares the audit value; none is one that may not call.
fn spaces(arch: Arch, archs: &[Arch]) -> Vec<(u32, u32, Option<Arch>)> {
    if arch.token() != Arch::X86_64.token() {
        return vec![(0, u32::MAX, Some(arch))];
    }
    let space = |arch: Arch| (arch.numbers().0, arch.numbers().1, archs.contains(&arch).then_some(arch));
    vec![space(Arch::X86_64), space(Arch::X32)]
}

/// Ranges in the making, from the lowest number on.
struct Runs {
    ranges: Vec<Range>,
}

/// So many ranges are enough for most profiles.
const MOSTLY: usize = 128;

impl Runs {
    /// From `start` on this is what happens, and happens to so many calls. Neighbours of one fate become one range.
    fn put(&mut self, start: u32, decision: Decision, narrow: bool, calls: u32) {
        match self.ranges.last_mut() {
            Some(last) if last.is_like(&decision, narrow) => last.calls += calls,
            _ => self.ranges.push(Range { start, decision, narrow, calls }),
        }
    }
}

impl Range {
    fn is_like(&self, decision: &Decision, narrow: bool) -> bool {
        self.decision == *decision && (decision.checks.is_empty() || self.narrow == narrow)
    }
}

/// What the numbers of one architecture come to.
struct Space<'a> {
    arch: Arch,
    narrow: bool,
    names: &'a ByName<'a>,
    default: Outcome,
    /// Today's calls, in order of their numbers.
    calls: Vec<(Name, u32)>,
    /// Numbers that the profile can't know, first and last: they fail with ENOSYS.
    unknown: Vec<(u32, u32)>,
}

impl<'a> Space<'a> {
    fn new(arch: Arch, default: Outcome, options: &Options, names: &'a ByName<'a>) -> Self {
        let hides = options.enosys && !default.action().lets_happen() && default != Outcome::ENOSYS;
        let mut calls = Vec::with_capacity(Name::COUNT);
        calls.extend(arch.in_order());
        let unknown = if hides { unknown(arch, &calls, names) } else { Vec::new() };
        Self { arch, narrow: arch.is_narrow(), names, default, calls, unknown }
    }

    /// Goes through the numbers from `start` to `end`, which are all that the architecture has.
    fn write(
        &self,
        (start, end): (u32, u32),
        runs: &mut Runs,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), CompileError> {
        let inner = multiplexed::entries(self.arch, self.names, self.default, warnings)?;
        // The first number that is in no run yet.
        let mut next = Some(start);
        for calls in self.calls.chunk_by(|(_, one), (_, other)| one == other) {
            let [(_, number), ..] = calls else { continue };
            if let Some(gap) = next.filter(|next| next < number) {
                self.gap(gap, number - 1, runs);
            }
            let decision = self.decision(calls, &inner, warnings)?;
            let hidden = self.hidden(*number).is_some();
            let decision = if hidden { Decision::always(Outcome::ENOSYS) } else { decision };
            let count = u32::try_from(calls.len()).unwrap_or(u32::MAX);
            runs.put(*number, decision, self.narrow, count);
            next = number.checked_add(1);
        }
        if let Some(gap) = next.filter(|next| *next <= end) {
            self.gap(gap, end, runs);
        }
        Ok(())
    }

    /// Numbers that are no call.
    fn gap(&self, first: u32, last: u32, runs: &mut Runs) {
        let mut next = Some(first);
        while let Some(start) = next.filter(|start| *start <= last) {
            let (outcome, end) = match self.hidden(start) {
                Some(end) => (Outcome::ENOSYS, end),
                None => {
                    let behind = self.unknown.iter().map(|(first, _)| *first).filter(|first| *first > start);
                    (self.default, behind.min().map_or(last, |first| first - 1))
                }
            };
            runs.put(start, Decision::always(outcome), self.narrow, 0);
            next = end.checked_add(1);
        }
    }

    /// Up to which number nothing is known of the calls from this one on; nothing if it is known.
    fn hidden(&self, number: u32) -> Option<u32> {
        let around = self.unknown.iter().find(|(first, last)| (*first..=*last).contains(&number));
        around.map(|(_, last)| *last)
    }

    /// What the rules say of one number, which may have several names.
    fn decision(
        &self,
        calls: &[(Name, u32)],
        inner: &[Inner],
        warnings: &mut Vec<Warning>,
    ) -> Result<Decision, CompileError> {
        match calls {
            [(name, _)] if inner.iter().all(|inner| inner.outer != *name) => {
                if let Some(outcome) = self.names.plain(*name, self.default) {
                    return Ok(Decision::always(outcome));
                }
            }
            _ => {}
        }
        let own = calls.iter().flat_map(|(name, _)| self.names.get(*name));
        let within = calls.iter().flat_map(|(name, _)| Inner::of(inner, *name));
        match own.chain(within).collect::<Vec<_>>().as_slice() {
            [] => Ok(Decision::always(self.default)),
            entries => rules::decide(entries, (self.narrow, self.default), warnings),
        }
    }
}

/// What is newer than the newest call that the profile names, of those that are numbered in order.
fn unknown(arch: Arch, calls: &[(Name, u32)], names: &ByName<'_>) -> Vec<(u32, u32)> {
    // Those of an architecture's own are not numbered by age.
    let (ordinary, own) = calls.split_at(calls.partition_point(|(_, number)| *number < arch.ordinary_end()));
    let Some((_, newest)) = ordinary.iter().rev().find(|(name, _)| names.has(*name)) else {
        return Vec::new();
    };
    let mut unknown = Vec::new();
    // The kernel leaves 0, the number of setup(2), where it does not know the call that was meant.
    if matches!(arch, Arch::S390 | Arch::S390X) {
        unknown.push((0, 0));
    }
    if let [(_, first), .., (_, last)] = own {
        unknown.push((newest + 1, first - 1));
        unknown.push((last + 1, u32::MAX));
    } else {
        unknown.push((newest + 1, u32::MAX));
    }
    unknown
}
