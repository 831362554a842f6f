//! The two units that version 1 counts in and that the machine decides: pages and clock ticks.

use nix::unistd::{SysconfVar, sysconf};

/// What one page and one clock tick are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    /// Bytes of a page.
    pub(super) page: u64,
    /// Nanoseconds of a tick of `USER_HZ`.
    pub(super) tick: u64,
}

impl Units {
    /// This machine's, by sysconf(3): the C library knows both without a system call, from the auxiliary vector.
    pub(super) fn of_this_machine() -> Self {
        let known = |name, usual: u64| {
            let value = sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok());
            // POSIX lets neither be unknown.
            value.filter(|value| *value > 0).unwrap_or(usual)
        };
        Self {
            page: known(SysconfVar::PAGE_SIZE, 4096),
            tick: 1_000_000_000 / known(SysconfVar::CLK_TCK, 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn this_machine_has_both() {
        let units = Units::of_this_machine();
        assert!(units.page.is_power_of_two() && units.page >= 4096, "{units:?}");
        assert_eq!(units.tick, 10_000_000, "Linux shows 100 ticks a second to every program");
    }
}
