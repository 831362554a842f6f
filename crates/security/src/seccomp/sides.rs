//! What happens to each number, by audit value: the profile as a program can go through it.

use super::action::Outcome;
use super::arch::Arch;
use super::error::{CompileError, Warning};
use super::multiplexed;
use super::options::Options;
use super::profile::Profile;
use super::rules::{self, ByName, Decision, Entry};

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
    profile: &Profile,
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Side>, CompileError> {
    let names = rules::by_name(profile, warnings);
    let mut sides: Vec<Side> = Vec::new();
    let archs = archs(profile, options);
    for arch in &archs {
        if sides.iter().any(|side| side.token == arch.token()) {
            continue;
        }
        let mut ranges = Vec::new();
        for (start, end, arch) in spaces(*arch, &archs) {
            match arch {
                Some(arch) => {
                    ranges.extend(space(arch, profile, options, &names, warnings)?.between(start, end));
                }
                None => ranges.push(Range::whole(start, options.bad_arch)),
            }
        }
        if arch.token() == Arch::X86_64.token() && !archs.contains(&Arch::X32) {
            ranges.push(Range::whole(SKIPPED, profile.default_outcome()));
        }
        sides.push(Side { token: arch.token(), ranges: merged(ranges) });
    }
    Ok(sides)
}

/// The native architecture, which is always one, and those that the profile names; each once.
pub(super) fn archs(profile: &Profile, options: &Options) -> Vec<Arch> {
    let mut all = vec![options.native];
    for arch in &profile.architectures {
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

/// What the numbers of one architecture come to.
struct Space {
    arch: Arch,
    /// The numbers of today's calls, in order.
    calls: Vec<u32>,
    /// By number.
    decisions: Vec<(u32, Decision)>,
    default: Decision,
    /// Numbers that the profile can't know, first and last, and what is said of them.
    unknown: Vec<(u32, u32)>,
    missing: Decision,
}

fn space(
    arch: Arch,
    profile: &Profile,
    options: &Options,
    names: &ByName,
    warnings: &mut Vec<Warning>,
) -> Result<Space, CompileError> {
    let default = profile.default_outcome();
    let decisions = decisions(arch, names, default, warnings)?;
    let hides = options.enosys && !default.action().lets_happen() && default != Outcome::ENOSYS;
    let newest = newest(arch, names).filter(|_| hides);
    let calls = arch.sorted();
    let mut unknown = Vec::new();
    if let Some(newest) = newest {
        // The kernel leaves 0, the number of setup(2), where it does not know the call that was meant.
        if matches!(arch, Arch::S390 | Arch::S390X) {
            unknown.push((0, 0));
        }
        // Those of an architecture's own are not numbered by age.
        let own = calls.get(calls.partition_point(|number| *number < arch.ordinary_end())..);
        if let Some([first, .., last]) = own {
            unknown.push((newest + 1, first - 1));
            unknown.push((last + 1, u32::MAX));
        } else {
            unknown.push((newest + 1, u32::MAX));
        }
    }
    let (default, missing) = (Decision::always(default), Decision::always(Outcome::ENOSYS));
    Ok(Space { arch, calls, decisions, default, unknown, missing })
}

impl Space {
    /// Its ranges from `start` to `end`, both included; neighbours differ.
    fn between(&self, start: u32, end: u32) -> Vec<Range> {
        let mut runs: Vec<(u32, &Decision)> = Vec::new();
        let mut run = |first: u32, decision| match runs.last() {
            Some((_, last)) if *last == decision => {}
            _ => runs.push((first, decision)),
        };
        // The first number that is in no run yet.
        let mut next = Some(start);
        for (first, last, decision) in self.pieces(start, end) {
            if let Some(gap) = next.filter(|next| *next < first) {
                run(gap, &self.default);
            }
            run(first, decision);
            next = last.checked_add(1);
        }
        if let Some(gap) = next.filter(|next| *next <= end) {
            run(gap, &self.default);
        }
        self.ranges(&runs)
    }

    /// First and last of the numbers that have a fate of their own, in order, and cut to what lies between.
    fn pieces(&self, start: u32, end: u32) -> Vec<(u32, u32, &Decision)> {
        let hidden =
            |number: u32| self.unknown.iter().any(|(first, last)| (*first..=*last).contains(&number));
        let known = self.decisions.iter().filter(|(number, _)| !hidden(*number));
        let known = known.map(|(number, decision)| (*number, *number, decision));
        let unknown = self.unknown.iter().map(|(first, last)| (*first, *last, &self.missing));
        let mut all: Vec<_> = known
            .chain(unknown)
            .map(|(first, last, decision)| (first.max(start), last.min(end), decision))
            .filter(|(first, last, _)| first <= last)
            .collect();
        all.sort_by_key(|(first, ..)| *first);
        all
    }

    fn ranges(&self, runs: &[(u32, &Decision)]) -> Vec<Range> {
        let below = |number: u32| self.calls.partition_point(|call| *call < number);
        let end = |place: usize| runs.get(place + 1).map_or(self.calls.len(), |(next, _)| below(*next));
        let range = |(place, (start, decision)): (usize, &(u32, &Decision))| Range {
            start: *start,
            decision: (*decision).clone(),
            narrow: self.arch.is_narrow(),
            calls: u32::try_from(end(place).saturating_sub(below(*start))).unwrap_or(u32::MAX),
        };
        runs.iter().enumerate().map(range).collect()
    }
}

impl Range {
    fn whole(start: u32, outcome: Outcome) -> Self {
        Self { start, decision: Decision::always(outcome), narrow: false, calls: 0 }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.decision == other.decision && (self.decision.checks.is_empty() || self.narrow == other.narrow)
    }
}

/// Neighbours of one fate become one range.
fn merged(ranges: Vec<Range>) -> Vec<Range> {
    let mut all: Vec<Range> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if last.is_like(&range) => last.calls += range.calls,
            _ => all.push(range),
        }
    }
    all
}

/// What an architecture's calls come to, in order of their numbers; calls that are not here get the default.
fn decisions(
    arch: Arch,
    names: &ByName,
    default: Outcome,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<(u32, Decision)>, CompileError> {
    let inner = multiplexed::entries(arch, names, default, warnings)?;
    let mut parts: Vec<(u32, &[Entry])> =
        names.iter().filter_map(|(name, entries)| Some((arch.number_of(name)?, entries))).collect();
    parts.extend(inner.iter().map(|(number, entry)| (*number, std::slice::from_ref(entry))));
    parts.sort_by_key(|(number, _)| *number);
    let mut all = Vec::with_capacity(parts.len());
    for parts in parts.chunk_by(|(one, _), (other, _)| one == other) {
        let [(number, first), ..] = parts else { continue };
        let decision = match rules::alone(first).filter(|_| parts.len() == 1) {
            Some(decision) => decision,
            None => {
                let entries: Vec<&Entry> = parts.iter().flat_map(|(_, entries)| *entries).collect();
                let Some(name) = entries.first().map(|entry| entry.name) else { continue };
                rules::decide(name, &entries, (arch.is_narrow(), default), warnings)?
            }
        };
        all.push((*number, decision));
    }
    Ok(all)
}

/// The newest call that the profile names, of those that are numbered in order: what comes behind is newer than the profile.
fn newest(arch: Arch, names: &ByName) -> Option<u32> {
    let numbers = names.named.iter().filter_map(|name| arch.number_of(*name));
    numbers.filter(|number| *number < arch.ordinary_end()).max()
}
