//! System calls that older architectures make through one number: socketcall(2), ipc(2).
//!
//! The first argument says which call is meant; the call's own arguments lie in memory, where a filter can't look.

use super::action::{Action, Outcome};
use super::arch::Arch;
use super::error::{CompileError, Warning};
use super::profile::Operator;
use super::rules::{self, ByName, Condition, Entry};
use super::syscalls::Name;

/// linux/net.h.
const SOCKET: [(&str, u32); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// linux/ipc.h.
const IPC: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// A rule for a call that many go through.
pub(super) struct Inner {
    pub(super) outer: Name,
    rule: usize,
    condition: Condition,
    outcome: Outcome,
}

impl Inner {
    /// The rules for one such call.
    pub(super) fn of(all: &[Self], outer: Name) -> impl Iterator<Item = Entry<'_>> {
        all.iter().filter(move |inner| inner.outer == outer).map(|inner| Entry {
            name: inner.outer,
            rule: inner.rule,
            conditions: std::slice::from_ref(&inner.condition),
            outcome: inner.outcome,
        })
    }
}

/// What rules for the single calls mean for the one that all go through.
pub(super) fn entries(
    arch: Arch,
    names: &ByName<'_>,
    default: Outcome,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Inner>, CompileError> {
    let mut all = Vec::new();
    // The kernel looks at an int of socketcall, and leaves a version in the high half of ipc's.
    for (outer, calls, mask) in [(SOCKETCALL, &SOCKET[..], 0xffff_ffff), (IPC_CALL, &IPC[..], 0xffff)] {
        // Named itself and without conditions it is decided.
        let decided = || names.get(outer).any(|entry| entry.conditions.is_empty());
        if arch.number_of(outer).is_none() || decided() {
            continue;
        }
        for (name, call) in calls {
            let Some(name) = Name::find(name) else { continue };
            let found: Vec<_> = names.get(name).collect();
            if found.is_empty() {
                continue;
            }
            let outcome = unseen(arch, (outer, name), &found, default, warnings)?;
            let op = Operator::MaskedEq;
            let condition = Condition { index: 0, op, value: u64::from(*call), mask };
            let rule = found.first().map_or(0, |entry| entry.rule);
            if outcome != default {
                all.push(Inner { outer, rule, condition, outcome });
            }
        }
    }
    Ok(all)
}

const SOCKETCALL: Name = Name::known(b"socketcall");
const IPC_CALL: Name = Name::known(b"ipc");

/// What happens to a call whose arguments can't be seen: the strictest of what could.
fn unseen(
    arch: Arch,
    (outer, name): (Name, Name),
    found: &[Entry<'_>],
    default: Outcome,
    warnings: &mut Vec<Warning>,
) -> Result<Outcome, CompileError> {
    let decision = rules::decide(found, (arch.is_narrow(), default), warnings)?;
    let strictness = |outcome: &Outcome| Action::ALL.iter().position(|action| *action == outcome.action());
    let outcomes = decision.checks.iter().map(|check| check.outcome).chain([decision.otherwise]);
    let strictest = outcomes.min_by_key(strictness).unwrap_or(default);
    if !decision.checks.is_empty() {
        let rule = found.first().map_or(0, |entry| entry.rule);
        let (name, outer) = (name.text(), outer.text());
        let text = format!(
            "{name}: on {arch} {outer} {strictest} where it means {name}, as its arguments can't be seen"
        );
        warnings.push(Warning::new(format!("/syscalls/{rule}/args"), text));
    }
    Ok(strictest)
}
