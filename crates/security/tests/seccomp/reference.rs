//! What a profile means for one call, rule by rule.

use libcontainer_security::seccomp::{Arch, Arg, Operator, Options, Outcome, Profile, Rule};

/// The outcomes of all rules that hold, and whether one of them has no conditions.
pub(crate) fn holding(
    profile: &Profile,
    arch: Arch,
    name: &str,
    args: &[u64; 6],
) -> (Vec<Outcome>, Option<Outcome>) {
    let relevant = |rule: &&Rule| {
        rule.names.iter().any(|other| other == name) && rule.outcome() != profile.default_outcome()
    };
    let rules: Vec<_> = profile.syscalls.iter().filter(relevant).collect();
    let whole = rules.iter().find(|rule| always_holds(arch, rule)).map(|rule| rule.outcome());
    let holds = |rule: &&&Rule| rule_holds(arch, rule, args);
    (rules.iter().filter(holds).map(|rule| rule.outcome()).collect(), whole)
}

/// How many rules there are for a call, each alternative counted.
#[allow(dead_code, reason = "for the comparison with libseccomp")]
pub(crate) fn alternatives(profile: &Profile, name: &str) -> usize {
    let rules = profile.syscalls.iter().filter(|rule| rule.names.iter().any(|other| other == name));
    rules.map(|rule| if twice(rule) { rule.args.len() } else { 1 }).sum()
}

/// What happens to a call that is not multiplexed.
pub(crate) fn outcome(profile: &Profile, arch: Arch, name: &str, args: &[u64; 6]) -> Outcome {
    let (holding, whole) = holding(profile, arch, name, args);
    whole.or(holding.first().copied()).unwrap_or(profile.default_outcome())
}

/// Whether there is nothing to compare.
fn always_holds(arch: Arch, rule: &Rule) -> bool {
    let counts = if arch.is_narrow() { 0xffff_ffff } else { u64::MAX };
    let mut idle = rule.args.iter().map(|arg| arg.op == Operator::MaskedEq && arg.value & counts == 0);
    if twice(rule) { idle.any(|idle| idle) } else { idle.all(|idle| idle) }
}

pub(crate) fn twice(rule: &Rule) -> bool {
    (0..6).any(|index| rule.args.iter().filter(|arg| arg.index == index).count() > 1)
}

fn rule_holds(arch: Arch, rule: &Rule, args: &[u64; 6]) -> bool {
    let mut each = rule.args.iter().map(|arg| arg_holds(arch, arg, args[arg.index as usize]));
    if twice(rule) { each.any(|holds| holds) } else { each.all(|holds| holds) }
}

pub(crate) fn arg_holds(arch: Arch, arg: &Arg, actual: u64) -> bool {
    let counts = if arch.is_narrow() { 0xffff_ffff } else { u64::MAX };
    let (actual, value) = (actual & counts, arg.value & counts);
    match arg.op {
        Operator::Ne => actual != value,
        Operator::Lt => actual < value,
        Operator::Le => actual <= value,
        Operator::Eq => actual == value,
        Operator::Ge => actual >= value,
        Operator::Gt => actual > value,
        Operator::MaskedEq => (actual ^ arg.value_two) & value == 0,
    }
}

/// The same for any audit value and number.
pub(crate) fn by_number(
    profile: &Profile,
    options: &Options,
    token: u32,
    number: u32,
    args: &[u64; 6],
) -> Outcome {
    let archs = || profile.architectures.iter().copied().chain([options.native]);
    let x32 = token == Arch::X32.token() && number & 0x4000_0000 != 0;
    let mine = |arch: &Arch| arch.token() == token && (*arch == Arch::X32) == x32;
    let Some(arch) = archs().find(mine) else {
        let known = archs().any(|arch| arch.token() == token);
        return if known && number == u32::MAX { profile.default_outcome() } else { options.bad_arch };
    };
    match arch.syscall(number) {
        Some(name) => outcome(profile, arch, name, args),
        None => profile.default_outcome(),
    }
}
