//! Users, groups, capabilities, limits, names.

use super::Builder;
use crate::step::{Arg, Memory};
use crate::syscalls as sys;
use crate::wire::Kind;

const PR_SET_PDEATHSIG: i32 = 1;
const PR_SET_DUMPABLE: i32 = 4;
const PR_SET_KEEPCAPS: i32 = 8;
const PR_CAPBSET_DROP: i32 = 24;
const PR_SET_NO_NEW_PRIVS: i32 = 38;
const PR_GET_NO_NEW_PRIVS: i32 = 39;
const PR_CAP_AMBIENT: i32 = 47;
const PR_CAP_AMBIENT_RAISE: u32 = 2;
const PR_CAP_AMBIENT_CLEAR_ALL: u32 = 4;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// The three sets of capget(2) and capset(2), as bit masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapMasks {
    /// Effective set.
    pub effective: u64,
    /// Permitted set.
    pub permitted: u64,
    /// Inheritable set.
    pub inheritable: u64,
}

impl CapMasks {
    fn data(self) -> [u32; 6] {
        let low = |mask: u64| u32::try_from(mask & u64::from(u32::MAX)).unwrap_or(0);
        let high = |mask: u64| u32::try_from(mask >> 32).unwrap_or(0);
        let Self { effective, permitted, inheritable } = self;
        [
            low(effective),
            low(permitted),
            low(inheritable),
            high(effective),
            high(permitted),
            high(inheritable),
        ]
    }
}

impl Builder {
    fn prctl(&mut self, option: i32, value: u32) -> &mut Self {
        let zero = Arg::Bits(0);
        self.step(&sys::PRCTL, [option.into(), value.into(), zero, zero, zero]);
        self
    }

    /// `prctl(PR_SET_PDEATHSIG, signal)`.
    pub fn parent_death_signal(&mut self, signal: u32) -> &mut Self {
        self.prctl(PR_SET_PDEATHSIG, signal)
    }

    /// `prctl(PR_SET_DUMPABLE, yes)`.
    pub fn dumpable(&mut self, yes: bool) -> &mut Self {
        self.prctl(PR_SET_DUMPABLE, u32::from(yes))
    }

    /// `prctl(PR_SET_KEEPCAPS, yes)`.
    pub fn keep_capabilities(&mut self, yes: bool) -> &mut Self {
        self.prctl(PR_SET_KEEPCAPS, u32::from(yes))
    }

    /// `prctl(PR_CAPBSET_DROP, capability)`; `EINVAL` (a capability that the kernel doesn't know) ends the plan.
    pub fn drop_bounding(&mut self, capability: u32) -> &mut Self {
        let zero = Arg::Bits(0);
        self.step(&sys::PRCTL_BOUNDING, [PR_CAPBSET_DROP.into(), capability.into(), zero, zero, zero]);
        self
    }

    /// `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)`.
    pub fn clear_ambient(&mut self) -> &mut Self {
        self.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    }

    /// `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)`.
    pub fn raise_ambient(&mut self, capability: u32) -> &mut Self {
        let zero = Arg::Bits(0);
        let args = [PR_CAP_AMBIENT.into(), PR_CAP_AMBIENT_RAISE.into(), capability.into(), zero, zero];
        self.step(&sys::PRCTL, args);
        self
    }

    /// `prctl(option, argument)` must return `wanted`: a read-back, such as of `PR_CAPBSET_READ`.
    pub fn expect_prctl(&mut self, option: i32, argument: u32, second: u32, wanted: u32) -> &mut Self {
        let zero = Arg::Bits(0);
        let args = [option.into(), argument.into(), second.into(), zero, zero];
        self.step_of(Kind::Expect, &sys::PRCTL, args).aux = wanted;
        self
    }

    /// `prctl(PR_SET_NO_NEW_PRIVS, 1)`.
    pub fn no_new_privs(&mut self) -> &mut Self {
        let zero = Arg::Bits(0);
        self.step(&sys::PRCTL_NO_NEW_PRIVS, [PR_SET_NO_NEW_PRIVS.into(), 1_u32.into(), zero, zero, zero]);
        self
    }

    /// `prctl(PR_GET_NO_NEW_PRIVS)` must return `wanted`.
    pub fn expect_no_new_privs(&mut self, wanted: bool) -> &mut Self {
        self.expect_prctl(PR_GET_NO_NEW_PRIVS, 0, 0, u32::from(wanted))
    }

    /// `setgroups(groups)`.
    pub fn setgroups(&mut self, groups: &[u32]) -> &mut Self {
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let at = self.arena.ids(groups);
        self.step(&sys::SETGROUPS, [count.into(), Arg::Memory(at, Memory::Ids(count))]);
        self
    }

    /// `setresgid(gid, gid, gid)`.
    pub fn setresgid(&mut self, gid: u32) -> &mut Self {
        self.step(&sys::SETRESGID, [gid.into(), gid.into(), gid.into()]);
        self
    }

    /// `setresuid(uid, uid, uid)`.
    pub fn setresuid(&mut self, uid: u32) -> &mut Self {
        // Root of a user namespace keeps what it may; any other user has given it up, but for what was kept on purpose.
        let call = if uid == 0 { &sys::SETRESUID } else { &sys::SETRESUID_DROPPING };
        self.step(call, [uid.into(), uid.into(), uid.into()]);
        self
    }

    fn capability_header(&mut self) -> Arg {
        Arg::Memory(self.arena.ids(&[CAPABILITY_VERSION_3, 0]), Memory::Opaque("v3, self"))
    }

    /// `capset(effective, permitted, inheritable)`. With `CAP_SYS_ADMIN` in the effective set a filter may follow without `no_new_privs`.
    pub fn capset(&mut self, masks: CapMasks) -> &mut Self {
        let header = self.capability_header();
        let data = self.arena.ids(&masks.data());
        let call = if masks.effective & CAP_SYS_ADMIN == 0 { &sys::CAPSET } else { &sys::CAPSET_ADMIN };
        self.step(call, [header, Arg::Memory(data, Memory::Ids(6))]);
        self
    }

    /// `capget`, compared with what is expected.
    pub fn expect_capabilities(&mut self, masks: CapMasks) -> &mut Self {
        let header = self.capability_header();
        let (got, wanted) = (self.arena.room(24), self.arena.ids(&masks.data()));
        self.step(&sys::CAPGET, [header, Arg::Memory(got, Memory::Opaque("buffer"))]);
        self.compare(&sys::CAPGET, got, wanted, 24, Memory::Ids(6))
    }

    /// `getresuid` and `getresgid`, compared with what is expected.
    pub fn expect_ids(&mut self, uid: u32, gid: u32) -> &mut Self {
        for (call, id) in [(&sys::GETRESUID, uid), (&sys::GETRESGID, gid)] {
            let (got, wanted) = (self.arena.room(12), self.arena.ids(&[id; 3]));
            let part = |index: u32| Arg::Memory(got + 4 * index, Memory::Opaque("buffer"));
            self.step(call, [part(0), part(1), part(2)]);
            self.compare(call, got, wanted, 12, Memory::Ids(3));
        }
        self
    }

    /// `getgroups`, compared with what is expected. The kernel sorts groups, so the list must be sorted.
    pub fn expect_groups(&mut self, groups: &[u32]) -> &mut Self {
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        let (got, wanted) = (self.arena.room(groups.len() * 4), self.arena.ids(groups));
        let args = [65536_u32.min(count).into(), Arg::Memory(got, Memory::Opaque("buffer"))];
        self.step_of(Kind::Expect, &sys::GETGROUPS, args).aux = count;
        self.compare(&sys::GETGROUPS, got, wanted, count.saturating_mul(4), Memory::Ids(count))
    }

    pub(super) fn compare(
        &mut self,
        call: &'static sys::Sys,
        got: u32,
        wanted: u32,
        len: u32,
        shown: Memory,
    ) -> &mut Self {
        let args = [Arg::Memory(got, Memory::Opaque("result")), Arg::Memory(wanted, shown), len.into()];
        self.step_of(Kind::Compare, call, args);
        self
    }

    /// The comparison just made is of these bits alone.
    pub(super) fn only_bits(&mut self, mask: u32) -> &mut Self {
        if let Some(step) = self.steps.last_mut() {
            step.aux = mask;
        }
        self
    }

    /// `prlimit64(0, resource, {soft, hard})`.
    pub fn setrlimit(&mut self, resource: u32, soft: u64, hard: u64) -> &mut Self {
        let limit = Arg::Memory(self.arena.words(&[Ok(soft), Ok(hard)]), Memory::Limit);
        self.step(&sys::PRLIMIT64, [0_u32.into(), resource.into(), limit, 0_u32.into()]);
        self
    }

    /// `keyctl(KEYCTL_JOIN_SESSION_KEYRING, name)`.
    pub fn join_session_keyring(&mut self, name: &str) -> &mut Self {
        let name = self.text(name);
        self.step(&sys::KEYCTL, [1_u32.into(), name]);
        self
    }

    /// `sethostname(name)`.
    pub fn sethostname(&mut self, name: &str) -> &mut Self {
        let len = u32::try_from(name.len()).unwrap_or(u32::MAX);
        let name = self.text(name);
        self.step(&sys::SETHOSTNAME, [name, len.into()]);
        self
    }

    /// `setdomainname(name)`.
    pub fn setdomainname(&mut self, name: &str) -> &mut Self {
        let len = u32::try_from(name.len()).unwrap_or(u32::MAX);
        let name = self.text(name);
        self.step(&sys::SETDOMAINNAME, [name, len.into()]);
        self
    }
}
