//! From a profile to a program.

use super::action::Outcome;
use super::arch::LITTLE;
use super::arguments::{self, Layout};
use super::assemble::{Assembler, Label};
use super::default;
use super::docker::Kernel;
use super::error::{CompileError, Warning};
use super::filter::Filter;
use super::instruction::{ARCH, Instruction, JEQ, MOST, NUMBER};
use super::options::Options;
use super::profile::Profile;
use super::ranges;
use super::rules::Decision;
use super::sides::{self, Range, Side};
use super::wanted::Wanted;
use crate::capability::CapSet;

/// Compiles a profile. Nothing of the running system is looked at.
///
/// # Errors
/// See [`CompileError`]; what a profile has that is merely odd is in [`Filter::warnings`].
pub fn compile(profile: &Profile, options: &Options) -> Result<Filter, CompileError> {
    profile.first_problem(options.listener)?;
    let (instructions, warnings) = instructions(&Wanted::of(profile), options)?;
    Ok(Filter::new(instructions, profile, warnings))
}

/// [`default_profile`](super::default_profile) for the native architecture of the options, compiled without being made: its names were looked up when this
/// program was compiled.
///
/// # Errors
/// [`CompileError::TooLong`], which it is on no architecture known here.
pub fn default_filter(caps: &CapSet, kernel: Kernel, options: &Options) -> Result<Filter, CompileError> {
    let (instructions, warnings) =
        default::with_rules((caps, options.native, kernel), |wanted| instructions(wanted, options))?;
    Ok(Filter::plain(instructions, warnings))
}

fn instructions(
    wanted: &Wanted<'_>,
    options: &Options,
) -> Result<(Vec<Instruction>, Vec<Warning>), CompileError> {
    let mut warnings = Vec::new();
    let sides = sides::sides(wanted, options, &mut warnings)?;
    let instructions = program(&sides, options.bad_arch);
    if instructions.len() > MOST {
        return Err(CompileError::TooLong { instructions: instructions.len() });
    }
    Ok((instructions, warnings))
}

/// Which architecture first: numbers mean nothing without it.
fn program(sides: &[Side], bad_arch: Outcome) -> Vec<Instruction> {
    let mut program = Assembler::default();
    let mut start = program.ret(bad_arch);
    for side in sides.iter().rev() {
        let known = numbers(&mut program, side);
        start = program.jump(JEQ, side.token, known, start);
    }
    let start = program.load(ARCH, start);
    program.finish(start)
}

/// The search for a call of one side.
fn numbers(program: &mut Assembler, side: &Side) -> Label {
    let big_endian = side.token & LITTLE == 0;
    // Calls that are checked the same way share the check.
    let mut checked: Vec<((&Decision, bool), Label)> = Vec::new();
    let ranges: Vec<_> = side.ranges.iter().map(weighed).collect();
    let found = ranges::search(program, &ranges, &mut |program, leaf| {
        let (decision, narrow) = *leaf;
        if decision.checks.is_empty() {
            return program.ret(decision.otherwise);
        }
        if let Some((_, label)) = checked.iter().find(|(other, _)| other == leaf) {
            return *label;
        }
        let label = arguments::decide(program, Layout { big_endian, narrow }, decision);
        checked.push((*leaf, label));
        label
    });
    let found = found.unwrap_or_else(|| program.ret(Outcome::from_code(0)));
    program.load(NUMBER, found)
}

fn weighed(range: &Range) -> ranges::Range<(&Decision, bool)> {
    ranges::Range {
        start: range.start,
        leaf: (&range.decision, range.narrow),
        weight: 1 + u64::from(range.calls),
    }
}
