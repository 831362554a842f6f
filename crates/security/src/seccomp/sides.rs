//! What happens to each number, by audit value: the profile as a program can go through it.

use super::action::Outcome;
use super::arch::Arch;
use super::error::{CompileError, Warning};
use super::multiplexed;
use super::options::Options;
use super::profile::Profile;
use super::rules::{self, ByName, Decision, Entry};
use super::syscalls::Name;

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
    /// By number.
    decisions: Vec<(u32, Decision)>,
    default: Outcome,
    /// Numbers that the profile can't know, first and last.
    unknown: Vec<(u32, u32)>,
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
    let mut unknown = Vec::new();
    if let Some(newest) = newest {
        // The kernel leaves 0, the number of setup(2), where it does not know the call that was meant.
        if matches!(arch, Arch::S390 | Arch::S390X) {
            unknown.push((0, 0));
        }
        // Those of an architecture's own are not numbered by age.
        let sorted = arch.sorted();
        let own = sorted.get(sorted.partition_point(|number| *number < arch.ordinary_end())..);
        if let Some([first, .., last]) = own {
            unknown.push((newest + 1, first - 1));
            unknown.push((last + 1, u32::MAX));
        } else {
            unknown.push((newest + 1, u32::MAX));
        }
    }
    Ok(Space { arch, decisions, default, unknown })
}

impl Space {
    /// Its ranges from `start` to `end`, both included.
    fn between(&self, start: u32, end: u32) -> Vec<Range> {
        let mut starts: Vec<u32> = vec![start];
        let edge = |(first, last): (u32, u32)| [Some(first), last.checked_add(1)];
        starts.extend(self.decisions.iter().flat_map(|(number, _)| edge((*number, *number))).flatten());
        starts.extend(self.unknown.iter().flat_map(|range| edge(*range)).flatten());
        starts.retain(|number| (start..=end).contains(number));
        starts.sort_unstable();
        starts.dedup();
        let calls = self.arch.sorted();
        let below = |number: u32| calls.partition_point(|call| *call < number);
        let next = |place: usize| starts.get(place + 1).copied();
        let range = |(place, start): (usize, &u32)| Range {
            start: *start,
            decision: self.decision(*start),
            narrow: self.arch.is_narrow(),
            calls: u32::try_from(next(place).map_or(calls.len(), below).saturating_sub(below(*start)))
                .unwrap_or(u32::MAX),
        };
        starts.iter().enumerate().map(range).collect()
    }

    fn decision(&self, number: u32) -> Decision {
        if self.unknown.iter().any(|(first, last)| (*first..=*last).contains(&number)) {
            return Decision::always(Outcome::ENOSYS);
        }
        let place = self.decisions.binary_search_by_key(&number, |(number, _)| *number);
        let found = place.ok().and_then(|place| self.decisions.get(place));
        found.map_or(Decision::always(self.default), |(_, decision)| decision.clone())
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
    let numbered = |(name, entries)| Some((arch.number_of(name)?, name, entries));
    let mut parts: Vec<(u32, Name, &[Entry])> = names.iter().filter_map(numbered).collect();
    parts.extend(inner.iter().map(|(number, name, entry)| (*number, *name, std::slice::from_ref(entry))));
    parts.sort_by_key(|(number, ..)| *number);
    let mut all = Vec::with_capacity(parts.len());
    for parts in parts.chunk_by(|(one, ..), (other, ..)| one == other) {
        let Some((number, name, _)) = parts.first() else { continue };
        let entries: Vec<&Entry> = parts.iter().flat_map(|(_, _, entries)| *entries).collect();
        all.push((*number, rules::decide(*name, &entries, (arch.is_narrow(), default), warnings)?));
    }
    Ok(all)
}

/// The newest call that the profile names, of those that are numbered in order: what comes behind is newer than the profile.
fn newest(arch: Arch, names: &ByName) -> Option<u32> {
    let numbers = names.named.iter().filter_map(|name| arch.number_of(*name));
    numbers.filter(|number| *number < arch.ordinary_end()).max()
}
