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

/// What rules for the single calls mean for the one that all go through: its number, and a rule for it.
pub(super) fn entries(
    arch: Arch,
    names: &ByName,
    default: Outcome,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<(u32, Entry)>, CompileError> {
    let mut all = Vec::new();
    // The kernel looks at an int of socketcall, and leaves a version in the high half of ipc's.
    for (outer, calls, mask) in [("socketcall", &SOCKET[..], 0xffff_ffff), ("ipc", &IPC[..], 0xffff)] {
        let Some(outer) = Name::find(outer) else { continue };
        let Some(number) = arch.number_of(outer) else { continue };
        // Named itself and without conditions it is decided.
        if names.get(outer).iter().any(|entry| entry.conditions.is_empty()) {
            continue;
        }
        for (name, call) in calls {
            let Some(name) = Name::find(name) else { continue };
            let found = names.get(name);
            if found.is_empty() {
                continue;
            }
            let outcome = unseen(arch, (outer, name), found, default, warnings)?;
            let op = Operator::MaskedEq;
            let condition = Condition { index: 0, op, value: u64::from(*call), mask };
            let rule = found.first().map_or(0, |entry| entry.rule);
            if outcome != default {
                all.push((number, Entry { name: outer, rule, conditions: vec![condition], outcome }));
            }
        }
    }
    Ok(all)
}

/// What happens to a call whose arguments can't be seen: the strictest of what could.
fn unseen(
    arch: Arch,
    (outer, name): (Name, Name),
    found: &[Entry],
    default: Outcome,
    warnings: &mut Vec<Warning>,
) -> Result<Outcome, CompileError> {
    let entries: Vec<_> = found.iter().collect();
    let decision = rules::decide(name, &entries, (arch.is_narrow(), default), warnings)?;
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
