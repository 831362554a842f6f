//! What the rules of a profile say about each system call by its name.

use super::action::Outcome;
use super::error::{CompileError, Warning};
use super::profile::{Arg, Operator, Profile, Rule};
use super::syscalls::Name;

/// One condition, as the program checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Condition {
    pub(super) index: u32,
    pub(super) op: Operator,
    /// What is compared; for a masked comparison never a bit that the mask lacks.
    pub(super) value: u64,
    /// All bits, but for a masked comparison.
    pub(super) mask: u64,
}

/// What happens if all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Check {
    /// In order of the arguments; never empty.
    pub(super) conditions: Vec<Condition>,
    pub(super) outcome: Outcome,
}

/// What happens to one system call: the first check that holds decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// The rule's place in the profile.
    pub(super) rule: usize,
    pub(super) conditions: Vec<Condition>,
    pub(super) outcome: Outcome,
}

/// The rules of a profile by the names of the system calls.
#[derive(Debug, Default)]
pub(super) struct ByName {
    /// In order of the names, those of one name in the order of the profile.
    entries: Vec<Entry>,
    /// All that the profile names, also in rules that say nothing.
    pub(super) named: Vec<Name>,
}

impl ByName {
    pub(super) fn iter(&self) -> impl Iterator<Item = (Name, &[Entry])> {
        let of_one = self.entries.chunk_by(|one, other| one.name == other.name);
        of_one.filter_map(|entries| Some((entries.first()?.name, entries)))
    }

    /// The rules for one call.
    pub(super) fn get(&self, name: Name) -> &[Entry] {
        let (_, from) = self.entries.split_at(self.entries.partition_point(|entry| entry.name < name));
        from.split_at(from.partition_point(|entry| entry.name == name)).0
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

    /// The same for the low half of an argument.
    fn narrow(self) -> Self {
        let low = u64::from(u32::MAX);
        let op = if self.mask & low == low && self.op == Operator::MaskedEq { Operator::Eq } else { self.op };
        Self { op, value: self.value & low, mask: self.mask & low, ..self }
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

/// Sorts the rules by names. Rules with the outcome of the default say nothing, as in runc.
pub(super) fn by_name(profile: &Profile, warnings: &mut Vec<Warning>) -> ByName {
    let mut all = ByName::default();
    for (index, rule) in profile.syscalls.iter().enumerate() {
        let outcome = rule.outcome();
        let alternatives = alternatives(index, rule, warnings);
        let says = outcome != profile.default_outcome();
        for (place, text) in rule.names.iter().enumerate() {
            let Some(name) = Name::find(text) else {
                let text = format!("{text}: no kernel known here has this system call; left out");
                warnings.push(Warning::new(format!("/syscalls/{index}/names/{place}"), text));
                continue;
            };
            all.named.push(name);
            let entry =
                |conditions: &Vec<_>| Entry { name, rule: index, conditions: conditions.clone(), outcome };
            all.entries.extend(alternatives.iter().filter(|_| says).map(entry));
        }
    }
    all.entries.sort_by_key(|entry| entry.name);
    all
}

/// The conditions of a rule: one list of them, or several of which one is enough.
fn alternatives(index: usize, rule: &Rule, warnings: &mut Vec<Warning>) -> Vec<Vec<Condition>> {
    for (place, arg) in rule.args.iter().enumerate() {
        let at = || format!("/syscalls/{index}/args/{place}/valueTwo");
        if arg.op == Operator::MaskedEq && arg.value_two & !arg.value != 0 {
            warnings.push(Warning::new(at(), "has bits that the mask hides: they are not compared"));
        }
        if arg.op != Operator::MaskedEq && arg.value_two != 0 {
            warnings.push(Warning::new(at(), "of no meaning for this operator"));
        }
    }
    let mut conditions: Vec<_> = rule.args.iter().map(Condition::new).collect();
    conditions.sort_unstable();
    let twice = conditions.windows(2).any(|pair| matches!(pair, [one, other] if one.index == other.index));
    if !twice {
        return vec![conditions];
    }
    let text = "two conditions on one argument: one of all is enough for the rule to count";
    warnings.push(Warning::new(format!("/syscalls/{index}/args"), text));
    conditions.into_iter().map(|condition| vec![condition]).collect()
}

/// The conditions as an architecture checks them; those that always hold are none.
fn fitted(conditions: &[Condition], narrow: bool) -> Vec<Condition> {
    let fit = |condition: &Condition| if narrow { condition.narrow() } else { *condition };
    conditions.iter().map(fit).filter(|condition| !condition.is_idle()).collect()
}

/// What comes of a single rule without conditions, as for most calls.
pub(super) fn alone(entries: &[Entry]) -> Option<Decision> {
    match entries {
        [only] if only.conditions.is_empty() => Some(Decision::always(only.outcome)),
        _ => None,
    }
}

/// Puts the rules of one call together. A rule without conditions decides alone, wherever it stands, as in libseccomp.
pub(super) fn decide(
    name: Name,
    entries: &[&Entry],
    (narrow, default): (bool, Outcome),
    warnings: &mut Vec<Warning>,
) -> Result<Decision, CompileError> {
    let name = name.text();
    let fit = |entry: &&Entry| Entry { conditions: fitted(&entry.conditions, narrow), ..(*entry).clone() };
    let entries: Vec<Entry> = entries.iter().map(fit).collect();
    if let Some(whole) = entries.iter().find(|entry| entry.conditions.is_empty()) {
        let first = whole.rule;
        for entry in entries.iter().filter(|entry| entry.outcome != whole.outcome) {
            let text =
                format!("{name}: without effect: /syscalls/{first} says what happens to all such calls");
            warn_once(warnings, Warning::new(format!("/syscalls/{}", entry.rule), text));
        }
        return Ok(Decision::always(whole.outcome));
    }
    let mut checks: Vec<(usize, Check)> = Vec::new();
    for Entry { rule, conditions, outcome, .. } in entries {
        match checks.iter().find(|(_, check)| check.conditions == conditions) {
            Some((first, check)) if check.outcome != outcome => {
                return Err(CompileError::Conflict { syscall: name.to_owned(), first: *first, second: rule });
            }
            Some(_) => {}
            None => checks.push((rule, Check { conditions, outcome })),
        }
    }
    Ok(Decision { checks: checks.into_iter().map(|(_, check)| check).collect(), otherwise: default })
}

pub(super) fn warn_once(warnings: &mut Vec<Warning>, warning: Warning) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}
