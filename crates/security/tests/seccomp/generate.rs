//! Random profiles, and calls that lie where their rules begin and end.

use libcontainer_security::seccomp::{Action, Arch, Arg, Operator, Profile, Rule};
use proptest::prelude::*;

pub(crate) const OPERATORS: [Operator; 7] =
    [Operator::Ne, Operator::Lt, Operator::Le, Operator::Eq, Operator::Ge, Operator::Gt, Operator::MaskedEq];

/// Calls of many architectures that none of them multiplexes.
pub(crate) const NAMES: [&str; 14] = [
    "read",
    "write",
    "openat",
    "close",
    "ioctl",
    "fcntl",
    "clone",
    "mmap",
    "personality",
    "prctl",
    "futex",
    "ptrace",
    "mount",
    "keyctl",
];

/// Numbers of 64 bits, most of them near the edges of a half.
pub(crate) fn word() -> impl Strategy<Value = u64> {
    let half = prop_oneof![
        Just(0_u32),
        Just(1),
        Just(2),
        Just(u32::MAX),
        Just(u32::MAX - 1),
        Just(0x8000_0000),
        Just(0x7e02_0000),
        0..40_u32,
        any::<u32>()
    ];
    let high = prop_oneof![3 => Just(0_u32), 1 => Just(1), 1 => Just(u32::MAX), 1 => any::<u32>()];
    (high, half).prop_map(|(high, low)| u64::from(high) << 32 | u64::from(low))
}

pub(crate) fn arg() -> impl Strategy<Value = Arg> {
    (0..6_u32, word(), word(), prop::sample::select(&OPERATORS[..])).prop_map(|(index, value, two, op)| Arg {
        index,
        value,
        value_two: if op == Operator::MaskedEq { two } else { 0 },
        op,
    })
}

pub(crate) fn action() -> impl Strategy<Value = (Action, Option<u32>)> {
    let others = [Action::KillProcess, Action::KillThread, Action::Trap, Action::Log, Action::Allow];
    prop_oneof![
        prop::sample::select(others.to_vec()).prop_map(|action| (action, None)),
        (0..=4095_u32).prop_map(|errno| (Action::Errno, Some(errno))),
        (0..=0xffff_u32).prop_map(|errno| (Action::Trace, Some(errno))),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let names = prop::sample::subsequence(&NAMES[..], 1..4);
    (names, action(), prop::collection::vec(arg(), 0..4)).prop_map(|(names, (action, errno_ret), args)| {
        Rule { names: names.into_iter().map(str::to_owned).collect(), action, errno_ret, args }
    })
}

/// A profile for any architecture, of up to `rules` rules.
pub(crate) fn profile(rules: usize) -> impl Strategy<Value = Profile> {
    let archs = prop::sample::subsequence(Arch::ALL.to_vec(), 0..4);
    (action(), archs, prop::collection::vec(rule(), 0..rules)).prop_map(|((action, errno), archs, rules)| {
        Profile { default_errno_ret: errno, architectures: archs, syscalls: rules, ..Profile::new(action) }
    })
}

/// Arguments at the edges of what rules compare with.
pub(crate) fn edges(profile: &Profile, seed: &[u64; 6], pick: usize) -> [u64; 6] {
    let mut args = *seed;
    let conditions: Vec<_> = profile.syscalls.iter().flat_map(|rule| &rule.args).collect();
    for (place, arg) in conditions.iter().enumerate() {
        let near =
            [arg.value, arg.value.wrapping_add(1), arg.value.wrapping_sub(1), arg.value_two | !arg.value];
        let chosen = pick.wrapping_mul(31).wrapping_add(place * 7);
        if chosen % 3 != 0 {
            args[arg.index as usize] = near[chosen / 3 % 4];
        }
    }
    args
}
