//! Profiles: the one to observe with, and the one that comes of it.

use std::path::Path;

use super::argument::{Watched, watched};
use super::seen::Observation;
use crate::seccomp::{Action, Arch, Arg, Flag, Operator, Profile, Rule};

/// Most values of an argument that become conditions.
const FEW: usize = 16;
/// Its flags lie in memory, where no filter can look: programs use clone(2) instead.
const UNSEEN: &str = "clone3";

/// A profile that leaves every call to a listener at `path`. Calls of architectures that `native` can run beside its own are left to it too.
#[must_use]
pub fn watching(native: Arch, path: &Path, killable: bool) -> Profile {
    let architectures = beside(native);
    let all = std::iter::once(&native).chain(&architectures);
    let mut names: Vec<&str> = all.flat_map(|arch| arch.syscalls()).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| *name != UNSEEN);
    Profile {
        default_errno_ret: Some(ENOSYS),
        architectures,
        // KERNEL(5.19): without, a signal with a handler makes a call come twice.
        flags: if killable { vec![Flag::WaitKillableRecv] } else { Vec::new() },
        listener_path: Some(path.to_owned()),
        syscalls: vec![Rule::new(&names, Action::Notify)],
        ..Profile::new(Action::Errno)
    }
}

const ENOSYS: u32 = 38;
const EPERM: u32 = 1;

fn beside(native: Arch) -> Vec<Arch> {
    match native {
        Arch::X86_64 => vec![Arch::X86, Arch::X32],
        Arch::Aarch64 => vec![Arch::Arm],
        _ => Vec::new(),
    }
}

impl Observation {
    /// The smallest profile that allows what was seen: names in order, one rule for those whose arguments make no difference or were too many, one for each other call.
    /// What it does not name fails with EPERM, clone3(2), whose flags no filter sees, and what is newer than all of it with ENOSYS.
    #[must_use]
    pub fn profile(&self, native: Arch) -> Profile {
        let mut architectures: Vec<Arch> = self.calls.keys().map(|(arch, _)| *arch).collect();
        architectures.dedup();
        architectures.retain(|arch| *arch != native);
        let mut free: Vec<&str> = Vec::new();
        let mut rules = Vec::new();
        let mut names: Vec<&str> = self.calls.keys().map(|(_, name)| *name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            match self.conditions(name) {
                Some(args) => rules.push(Rule { args, ..Rule::new(&[name], Action::Allow) }),
                None => free.push(name),
            }
        }
        let unseen = Rule { errno_ret: Some(ENOSYS), ..Rule::new(&[UNSEEN], Action::Errno) };
        let all = (!free.is_empty()).then(|| Rule::new(&free, Action::Allow));
        Profile {
            default_errno_ret: Some(EPERM),
            architectures,
            syscalls: all.into_iter().chain(rules).chain([unseen]).collect(),
            ..Profile::new(Action::Errno)
        }
    }

    /// One condition for each value: one of all is enough.
    fn conditions(&self, name: &str) -> Option<Vec<Arg>> {
        let how: Watched = watched(name)?;
        let seen = self.calls.iter().filter(|((_, known), _)| *known == name);
        let values: std::collections::BTreeSet<u64> =
            seen.flat_map(|(_, values)| values.iter().copied()).collect();
        let arg =
            |value_two| Arg { index: how.index(), value: how.mask(), value_two, op: Operator::MaskedEq };
        (values.len() <= FEW).then(|| values.into_iter().map(arg).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;
    use crate::seccomp::{Data, Options, compile, run};

    const NATIVE: Arch = Arch::X86_64;

    fn outcome(profile: &Profile, name: &str, args: [u64; 6]) -> String {
        let options = Options { listener: true, ..Options::new(NATIVE) };
        let filter = compile(profile, &options).unwrap();
        let data = Data::new(NATIVE, NATIVE.number(name).unwrap(), args);
        run(filter.instructions(), &data).unwrap().outcome.to_string()
    }

    fn seen(calls: &[(&'static str, &[u64])]) -> Observation {
        let calls = calls.iter().map(|(name, values)| ((NATIVE, *name), values.iter().copied().collect()));
        Observation { calls: calls.collect(), ..Observation::default() }
    }

    #[test]
    fn everything_is_watched_but_what_no_filter_sees() {
        let profile = watching(NATIVE, Path::new("/x"), true);
        assert!(profile.problems().is_empty());
        let step = if cfg!(miri) { 100 } else { 1 };
        for (name, _) in NATIVE.syscalls().filter(|(name, _)| *name != UNSEEN).step_by(step) {
            assert!(outcome(&profile, name, [0; 6]).contains("listener"), "{name}");
        }
        assert_eq!(outcome(&profile, UNSEEN, [0; 6]), "fails with ENOSYS");
    }

    #[test]
    fn only_what_was_seen_is_allowed() {
        let profile =
            seen(&[("read", &[]), ("socket", &[2, 10]), ("clone", &[0]), ("execve", &[])]).profile(NATIVE);
        assert_eq!(profile.syscalls.first().unwrap().names, ["execve", "read"]);
        let of = |name: &str, first: u64| outcome(&profile, name, [first, 0, 0, 0, 0, 0]);
        for (name, first) in
            [("read", 9), ("socket", 2), ("socket", 10), ("socket", 2 | 1 << 40), ("clone", 17)]
        {
            assert_eq!(of(name, first), "is allowed", "{name} {first}");
        }
        for (name, first) in [("write", 0), ("socket", 16), ("clone", 0x1000_0000), ("mount", 0)] {
            assert_eq!(of(name, first), "fails with EPERM", "{name} {first}");
        }
        assert_eq!(of(UNSEEN, 0), "fails with ENOSYS");
    }

    #[test]
    fn too_many_values_are_no_condition() {
        let few: Vec<u64> = (0..16).collect();
        let many: Vec<u64> = (0..17).collect();
        assert_eq!(
            outcome(&seen(&[("socket", &few)]).profile(NATIVE), "socket", [99; 6]),
            "fails with EPERM"
        );
        assert_eq!(outcome(&seen(&[("socket", &many)]).profile(NATIVE), "socket", [99; 6]), "is allowed");
    }
}
