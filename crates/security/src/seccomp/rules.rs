//! What the rules of a profile say about each system call by its name.

use std::ops::Deref;

use super::action::Outcome;
use super::error::{CompileError, Warning};
use super::profile::{Arg, Operator};
use super::syscalls::Name;
use super::wanted::{Clause, Wanted};

/// One condition, as the program checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Condition {
    pub(super) index: u32,
    pub(super) op: Operator,
    /// What is compared; for a masked comparison never a bit that the mask lacks.
    pub(super) value: u64,
    /// All bits, but for a masked comparison.
    pub(super) mask: u64,
}

/// What happens if all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// In order of the arguments; never empty.
    pub(super) conditions: AllOf,
    pub(super) outcome: Outcome,
}

/// Conditions that have to hold together. Most checks have one, which takes no allocation.
#[derive(Clone, Debug)]
pub(super) enum AllOf {
    One(Condition),
    Many(Vec<Condition>),
}

impl Deref for AllOf {
    type Target = [Condition];

    fn deref(&self) -> &[Condition] {
        match self {
            Self::One(condition) => std::slice::from_ref(condition),
            Self::Many(conditions) => conditions,
        }
    }
}

impl PartialEq for AllOf {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for AllOf {}

/// What happens to one system call: the first check that holds decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) checks: Vec<Check>,
    pub(super) otherwise: Outcome,
}

impl Decision {
    /// The same whatever the arguments.
    pub(super) fn always(outcome: Outcome) -> Self {
        Self { checks: Vec::new(), otherwise: outcome }
    }

    /// What happens with these arguments.
    pub(super) fn outcome(&self, args: &[u64; 6]) -> Outcome {
        let holds = |condition: &Condition| {
            let index = usize::try_from(condition.index).unwrap_or(usize::MAX);
            args.get(index).is_some_and(|argument| condition.holds(*argument))
        };
        let first = self.checks.iter().find(|check| check.conditions.iter().all(holds));
        first.map_or(self.otherwise, |check| check.outcome)
    }
}

/// A rule for one system call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: Name,
    /// The rule's place in the profile.
    pub(super) rule: usize,
    pub(super) conditions: &'a [Condition],
    pub(super) outcome: Outcome,
}

/// The conditions of all rules.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    all: Vec<Condition>,
    /// By rule, for those that have any: its place, and where the conditions of one alternative end.
    ends: Vec<(usize, usize)>,
}

/// The rules of a profile by the names of the system calls.
#[derive(Debug)]
pub(super) struct ByName<'a> {
    /// In the order of the profile.
    entries: Vec<Entry<'a>>,
    /// Their places in order of the names, those of one name in the order of the profile.
    order: Vec<usize>,
    /// By name: where its places end in `order`. They begin where those of the name before end.
    ends: Vec<usize>,
    /// By name: whether the profile has it, be it in a rule that says nothing.
    named: Vec<bool>,
}

impl<'a> ByName<'a> {
    /// Sorts by counting: it is known where the place of each entry goes before any goes there.
    fn new(entries: Vec<Entry<'a>>, named: Vec<bool>) -> Self {
        let (mut ends, mut order) = (vec![0; Name::COUNT], vec![0; entries.len()]);
        for entry in &entries {
            ends.get_mut(entry.name.place()).into_iter().for_each(|count| *count += 1);
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        for (place, entry) in entries.iter().enumerate() {
            let Some(end) = ends.get_mut(entry.name.place()) else { continue };
            order.get_mut(*end).into_iter().for_each(|at| *at = place);
            *end += 1;
        }
        Self { entries, order, ends, named }
    }

    fn places(&self, name: Name) -> &[usize] {
        let before = name.place().checked_sub(1).and_then(|name| self.ends.get(name));
        let (start, end) = (before.copied().unwrap_or(0), self.ends.get(name.place()).copied().unwrap_or(0));
        self.order.get(start..end).unwrap_or_default()
    }

    /// The rules for one call.
    pub(super) fn get(&self, name: Name) -> impl Iterator<Item = Entry<'a>> {
        self.places(name).iter().filter_map(|place| self.entries.get(*place)).copied()
    }

    /// What happens to a call if nothing has to be weighed, as for most.
    pub(super) fn plain(&self, name: Name, default: Outcome) -> Option<Outcome> {
        match self.places(name) {
            [] => Some(default),
            [only] => {
                self.entries.get(*only).filter(|entry| entry.conditions.is_empty()).map(|entry| entry.outcome)
            }
            _ => None,
        }
    }

    /// Whether the profile names the call.
    pub(super) fn has(&self, name: Name) -> bool {
        self.named.get(name.place()).copied().unwrap_or(false)
    }
}

impl Condition {
    fn new(arg: &Arg) -> Self {
        match arg.op {
            // As libseccomp has it: what the mask hides is not compared.
            Operator::MaskedEq if arg.value != u64::MAX => {
                Self { index: arg.index, op: arg.op, value: arg.value_two & arg.value, mask: arg.value }
            }
            Operator::MaskedEq => {
                Self { index: arg.index, op: Operator::Eq, value: arg.value_two, mask: u64::MAX }
            }
            op => Self { index: arg.index, op, value: arg.value, mask: u64::MAX },
        }
    }

    /// Whether every argument is so.
    fn is_idle(&self) -> bool {
        self.op == Operator::MaskedEq && self.mask == 0
    }

    /// As an architecture checks it: of narrow arguments the low half.
    fn fit(self, narrow: bool) -> Self {
        if !narrow {
            return self;
        }
        let low = u64::from(u32::MAX);
        let (op, mask) = match self.op {
            Operator::MaskedEq if self.mask & low != low => (self.op, self.mask & low),
            Operator::MaskedEq => (Operator::Eq, u64::MAX),
            op => (op, self.mask),
        };
        Self { index: self.index, op, value: self.value & low, mask }
    }

    /// Whether an argument is so.
    pub(super) fn holds(&self, argument: u64) -> bool {
        match self.op {
            Operator::Ne => argument != self.value,
            Operator::Lt => argument < self.value,
            Operator::Le => argument <= self.value,
            Operator::Eq => argument == self.value,
            Operator::Ge => argument >= self.value,
            Operator::Gt => argument > self.value,
            Operator::MaskedEq => argument & self.mask == self.value,
        }
    }
}

impl Conditions {
    /// Those of all rules, each as one list or as several of which one is enough.
    pub(super) fn of(wanted: &Wanted<'_>) -> Self {
        let mut found = Self::default();
        for (index, clause) in wanted.rules.iter().enumerate().filter(|(_, clause)| !clause.args.is_empty()) {
            found.add(index, clause);
        }
        found
    }

    fn add(&mut self, index: usize, clause: &Clause<'_>) {
        let start = self.all.len();
        self.all.extend(clause.args.iter().map(Condition::new));
        let own = self.all.get_mut(start..).unwrap_or_default();
        own.sort_unstable();
        if own.windows(2).any(|pair| matches!(pair, [one, other] if one.index == other.index)) {
            self.ends.extend((start..self.all.len()).map(|condition| (index, condition + 1)));
        } else {
            self.ends.push((index, self.all.len()));
        }
    }

    /// The alternatives by rule, in their order.
    fn each(&self) -> impl Iterator<Item = (usize, &[Condition])> {
        let mut start = 0;
        self.ends.iter().map(move |(rule, end)| {
            let conditions = self.all.get(start..*end).unwrap_or_default();
            start = *end;
            (*rule, conditions)
        })
    }
}

/// Sorts the rules by names. Rules with the outcome of the default say nothing, as in runc.
pub(super) fn by_name<'a>(
    wanted: &Wanted<'_>,
    conditions: &'a Conditions,
    warnings: &mut Vec<Warning>,
) -> ByName<'a> {
    let mut entries = Vec::with_capacity(wanted.rules.iter().map(|clause| clause.names.len()).sum());
    let mut named = vec![false; Name::COUNT];
    let alternatives: Vec<_> = conditions.each().collect();
    let mut rest = alternatives.as_slice();
    for (rule, clause) in wanted.rules.iter().enumerate() {
        let (own, behind) = rest.split_at(rest.iter().take_while(|(other, _)| *other == rule).count());
        rest = behind;
        warn_of_args(rule, clause, own.len() > 1, warnings);
        let whole: [(usize, &[Condition]); 1] = [(rule, &[])];
        let own = if clause.args.is_empty() { &whole } else { own };
        let own = if clause.outcome == wanted.default { &[] } else { own };
        for (place, name) in clause.names.each().enumerate() {
            let name = match name {
                Ok(name) => name,
                Err(text) => {
                    warnings.push(unknown(rule, place, text));
                    continue;
                }
            };
            named.get_mut(name.place()).into_iter().for_each(|named| *named = true);
            let entry = Entry { name, rule, conditions: &[], outcome: clause.outcome };
            entries.extend(own.iter().map(|(_, conditions)| Entry { conditions, ..entry }));
        }
    }
    ByName::new(entries, named)
}

fn unknown(rule: usize, place: usize, name: &str) -> Warning {
    let text = format!("{name}: no kernel known here has this system call; left out");
    Warning::new(format!("/syscalls/{rule}/names/{place}"), text)
}

fn warn_of_args(rule: usize, clause: &Clause<'_>, alternatives: bool, warnings: &mut Vec<Warning>) {
    for (place, arg) in clause.args.iter().enumerate() {
        let at = || format!("/syscalls/{rule}/args/{place}/valueTwo");
        if arg.op == Operator::MaskedEq && arg.value_two & !arg.value != 0 {
            warnings.push(Warning::new(at(), "has bits that the mask hides: they are not compared"));
        }
        if arg.op != Operator::MaskedEq && arg.value_two != 0 {
            warnings.push(Warning::new(at(), "of no meaning for this operator"));
        }
    }
    if alternatives {
        let text = "two conditions on one argument: one of all is enough for the rule to count";
        warnings.push(Warning::new(format!("/syscalls/{rule}/args"), text));
    }
}

/// The conditions as an architecture checks them; those that always hold are none.
fn fitted(conditions: &[Condition], narrow: bool) -> AllOf {
    match conditions {
        [only] => AllOf::One(only.fit(narrow)),
        _ => {
            let fit = conditions.iter().map(|condition| condition.fit(narrow));
            AllOf::Many(fit.filter(|condition| !condition.is_idle()).collect())
        }
    }
}

/// Puts the rules of one call together. A rule without conditions decides alone, wherever it stands, as in libseccomp.
pub(super) fn decide(
    entries: &[Entry<'_>],
    (narrow, default): (bool, Outcome),
    warnings: &mut Vec<Warning>,
) -> Result<Decision, CompileError> {
    let always =
        |entry: &&Entry<'_>| entry.conditions.iter().all(|condition| condition.fit(narrow).is_idle());
    if let Some(whole) = entries.iter().find(always) {
        warn_of_idle(entries, whole, warnings);
        return Ok(Decision::always(whole.outcome));
    }
    let mut checks: Vec<Check> = Vec::with_capacity(entries.len());
    let mut rules = Vec::with_capacity(entries.len());
    for Entry { name, rule, conditions, outcome } in entries {
        let conditions = fitted(conditions, narrow);
        match checks.iter().position(|check| check.conditions == conditions) {
            Some(first) if checks.get(first).is_some_and(|check| check.outcome != *outcome) => {
                let (syscall, first) = (name_of(entries, *name), rules.get(first).copied().unwrap_or(0));
                return Err(CompileError::Conflict { syscall, first, second: *rule });
            }
            Some(_) => {}
            None => {
                checks.push(Check { conditions, outcome: *outcome });
                rules.push(*rule);
            }
        }
    }
    Ok(Decision { checks, otherwise: default })
}

/// The name that stands for all that share a number.
fn name_of(entries: &[Entry<'_>], otherwise: Name) -> String {
    entries.first().map_or(otherwise, |entry| entry.name).text().to_owned()
}

/// Tells of rules that come to nothing beside one without conditions.
fn warn_of_idle(entries: &[Entry<'_>], whole: &Entry<'_>, warnings: &mut Vec<Warning>) {
    for entry in entries.iter().filter(|entry| entry.outcome != whole.outcome) {
        let (name, first) = (name_of(entries, entry.name), whole.rule);
        let text = format!("{name}: without effect: /syscalls/{first} says what happens to all such calls");
        warn_once(warnings, Warning::new(format!("/syscalls/{}", entry.rule), text));
    }
}

pub(super) fn warn_once(warnings: &mut Vec<Warning>, warning: Warning) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}
