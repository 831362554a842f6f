//! What is compiled: a profile, or rules whose names the compiler of this program has looked up.

use super::action::Outcome;
use super::arch::Arch;
use super::profile::{Arg, Profile, Rule};
use super::syscalls::Name;

/// A default and rules, borrowed from where they stand.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) default: Outcome,
    /// Those that may call beside the native one.
    pub(super) architectures: &'a [Arch],
    pub(super) rules: Vec<Clause<'a>>,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clause<'a> {
    pub(super) names: Names<'a>,
    pub(super) args: &'a [Arg],
    pub(super) outcome: Outcome,
}

/// The system calls of a rule.
#[derive(Clone, Copy, Debug)]
pub(super) enum Names<'a> {
    Texts(&'a [String]),
    Known(&'static [Name]),
}

impl<'a> Wanted<'a> {
    pub(super) fn of(profile: &'a Profile) -> Self {
        let clause = |rule: &'a Rule| Clause {
            names: Names::Texts(&rule.names),
            args: &rule.args,
            outcome: rule.outcome(),
        };
        Self {
            default: profile.default_outcome(),
            architectures: &profile.architectures,
            rules: profile.syscalls.iter().map(clause).collect(),
        }
    }
}

impl<'a> Names<'a> {
    /// Each with the text of one that no kernel has.
    pub(super) fn each(self) -> impl Iterator<Item = Result<Name, &'a str>> {
        let (texts, known): (&[String], &[Name]) = match self {
            Self::Texts(texts) => (texts, &[]),
            Self::Known(known) => (&[], known),
        };
        let found = texts.iter().map(|text| Name::find(text).ok_or(text.as_str()));
        found.chain(known.iter().copied().map(Ok))
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Known(known) => known.len(),
        }
    }
}
