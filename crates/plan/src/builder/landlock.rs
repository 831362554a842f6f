//! Landlock: landlock(7).

use super::Builder;
use crate::slot::{Place, Rules, Slot};
use crate::step::{Arg, Memory};
use crate::syscalls as sys;
use crate::wire::Kind;

const PATH_BENEATH: u32 = 1;
const NET_PORT: u32 = 2;

impl Builder {
    /// `landlock_create_ruleset({files, ports, scopes}, 24, 0)`: what is handled, and denied from then on unless a rule allows it.
    pub fn landlock_ruleset(&mut self, handled: [u64; 3]) -> Slot<Rules> {
        // KERNEL(5.14): the first version has one word; it takes more of them if they are 0.
        let attr = Arg::Memory(self.arena.words(&handled.map(Ok)), Memory::Handled);
        self.out(&sys::LANDLOCK_CREATE_RULESET, [attr, 24_u32.into(), 0_u32.into()], "rules of Landlock")
    }

    /// `landlock_add_rule(rules, LANDLOCK_RULE_PATH_BENEATH, {access, place}, 0)`: `access` are `LANDLOCK_ACCESS_FS_…` bits. `EINVAL` if one is not
    /// handled, or is one of directories and the place is none.
    pub fn landlock_add_path<K: Place>(
        &mut self,
        rules: Slot<Rules>,
        access: u64,
        place: Slot<K>,
    ) -> &mut Self {
        // The structure is packed: the descriptor's number follows, which only the init knows.
        let attr = self.arena.words(&[Ok(access), Ok(0)]);
        let shown = Arg::Memory(attr, Memory::PathRule);
        let args = [rules.into(), PATH_BENEATH.into(), shown, 0_u32.into(), place.into()];
        self.step_of(Kind::CallWithFd, &sys::LANDLOCK_ADD_RULE, args).aux = attr + 8;
        self
    }

    /// `landlock_add_rule(rules, LANDLOCK_RULE_NET_PORT, {access, port}, 0)`: `access` are `LANDLOCK_ACCESS_NET_…` bits.
    pub fn landlock_add_port(&mut self, rules: Slot<Rules>, access: u64, port: u16) -> &mut Self {
        let attr = Arg::Memory(self.arena.words(&[Ok(access), Ok(u64::from(port))]), Memory::PortRule);
        self.step(&sys::LANDLOCK_ADD_RULE, [rules.into(), NET_PORT.into(), attr, 0_u32.into()]);
        self
    }

    /// `landlock_restrict_self(rules, 0)`: needs `no_new_privs` or `CAP_SYS_ADMIN`. Nothing privileged may follow.
    pub fn landlock_restrict_self(&mut self, rules: Slot<Rules>) -> &mut Self {
        self.step(&sys::LANDLOCK_RESTRICT_SELF, [rules.into(), 0_u32.into()]);
        self
    }
}
