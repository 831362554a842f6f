//! Scheduling, input and output, memory placement, execution domain; and what is read back of a process's own settings.

use std::sync::OnceLock;

use nix::sched::sched_getaffinity;

use super::Builder;
use crate::step::{Arg, Memory};
use crate::syscalls as sys;
use crate::wire::Kind;

const PR_GET_PDEATHSIG: i32 = 2;
const PR_GET_SECUREBITS: i32 = 27;
const PR_SET_SECUREBITS: i32 = 28;
/// `IOPRIO_WHO_PROCESS`: with the id 0, the thread that asks.
const WHO_PROCESS: u32 = 1;
/// Bytes of a mask of CPUs: as many as Linux can be built for.
const CPUS: usize = 1024;
/// Bytes of one that most kernels are content with: sched_getaffinity(2) fails on those that are not.
const USUAL: usize = 128;
/// Bytes of a mask of memory nodes, likewise.
const NODES: usize = 128;
/// The kernel takes one off before it counts bits.
const MAX_NODE: u32 = 1025;
/// "Tell, don't set": personality(2).
const ASK: u32 = u32::MAX;

/// `struct sched_attr` of the first version: sched_setattr(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedAttr {
    /// `SCHED_…` number of the policy.
    pub policy: u32,
    /// `SCHED_FLAG_…` bits.
    pub flags: u64,
    /// Niceness of a time-sharing policy.
    pub nice: i32,
    /// Priority of a real-time policy.
    pub priority: u32,
    /// Nanoseconds, of the deadline policy.
    pub runtime: u64,
    /// Nanoseconds, likewise.
    pub deadline: u64,
    /// Nanoseconds, likewise.
    pub period: u64,
}

impl SchedAttr {
    const SIZE: u32 = 48;
    const IDLE: u32 = 5;
    const DEADLINE: u32 = 6;

    fn bytes(self) -> Vec<u8> {
        let Self { policy, flags, nice, priority, runtime, deadline, period } = self;
        let mut all = Vec::with_capacity(48);
        for word in [Self::SIZE, policy] {
            all.extend(word.to_le_bytes());
        }
        all.extend(flags.to_le_bytes());
        all.extend(nice.to_le_bytes());
        all.extend(priority.to_le_bytes());
        for time in [runtime, deadline, period] {
            all.extend(time.to_le_bytes());
        }
        all
    }

    /// Bytes that the kernel tells back as they were set: the times of other policies are its own, and with the idle one niceness stays as it was.
    fn told(self) -> u32 {
        match (self.policy, self.nice) {
            (Self::DEADLINE, _) => Self::SIZE,
            (Self::IDLE, 0) => 16,
            _ => 24,
        }
    }
}

impl Builder {
    /// `sched_setattr(0, attr, 0)`.
    pub fn sched_setattr(&mut self, attr: SchedAttr) -> &mut Self {
        let attr = Arg::Memory(self.arena.bytes(&attr.bytes()), Memory::Scheduler);
        self.step(&sys::SCHED_SETATTR, [0_u32.into(), attr, 0_u32.into()]);
        self
    }

    /// `sched_getattr`, compared with what is expected.
    pub fn expect_scheduler(&mut self, attr: SchedAttr) -> &mut Self {
        let (got, wanted) = (self.arena.room(48), self.arena.bytes(&attr.bytes()));
        let buffer = Arg::Memory(got, Memory::Opaque("buffer"));
        self.step(&sys::SCHED_GETATTR, [0_u32.into(), buffer, SchedAttr::SIZE.into(), 0_u32.into()]);
        self.compare(&sys::SCHED_GETATTR, got, wanted, attr.told(), Memory::Scheduler)
    }

    /// `ioprio_set(IOPRIO_WHO_PROCESS, 0, value)`.
    pub fn ioprio_set(&mut self, value: u32) -> &mut Self {
        self.step(&sys::IOPRIO_SET, [WHO_PROCESS.into(), 0_u32.into(), value.into()]);
        self
    }

    /// `ioprio_get(IOPRIO_WHO_PROCESS, 0)` must return `value`.
    pub fn expect_ioprio(&mut self, value: u32) -> &mut Self {
        self.step_of(Kind::Expect, &sys::IOPRIO_GET, [Arg::from(WHO_PROCESS), 0_u32.into()]).aux = value;
        self
    }

    /// `sched_setaffinity(0, mask)`: bit *n* of byte *n* / 8 is CPU *n*; 1024 bytes at most.
    pub fn sched_setaffinity(&mut self, mask: &[u8]) -> &mut Self {
        let mask = self.mask::<CPUS>(mask);
        self.step(&sys::SCHED_SETAFFINITY, [0_u32.into(), len::<CPUS>(), mask]);
        self
    }

    /// `sched_setaffinity(0, …)` with all CPUs that the kernel can have. It leaves out those that the control group forbids.
    pub fn run_on_all_cpus(&mut self) -> &mut Self {
        // The kernel takes what is missing for forbidden.
        if has_more_than_usual() {
            return self.sched_setaffinity(&[0xff; CPUS]);
        }
        let mask = self.mask::<USUAL>(&[0xff; USUAL]);
        self.step(&sys::SCHED_SETAFFINITY, [0_u32.into(), len::<USUAL>(), mask]);
        self
    }

    /// `sched_getaffinity`, compared with what is expected. The kernel leaves out CPUs that it has not, or that the control group forbids.
    pub fn expect_affinity(&mut self, mask: &[u8]) -> &mut Self {
        let got = self.arena.room(CPUS);
        let wanted = self.padded::<CPUS>(mask);
        let buffer = Arg::Memory(got, Memory::Opaque("buffer"));
        self.step(&sys::SCHED_GETAFFINITY, [0_u32.into(), len::<CPUS>(), buffer]);
        self.compare(&sys::SCHED_GETAFFINITY, got, wanted, 1024, Memory::Numbers(1024))
    }

    /// `personality(value)`.
    pub fn personality(&mut self, value: u32) -> &mut Self {
        self.step(&sys::PERSONALITY, [value.into()]);
        self
    }

    /// `personality(0xffffffff)` must return `value`.
    pub fn expect_personality(&mut self, value: u32) -> &mut Self {
        self.step_of(Kind::Expect, &sys::PERSONALITY_ASKED, [ASK.into()]).aux = value;
        self
    }

    /// `set_mempolicy(mode, nodes)`: bit *n* of byte *n* / 8 is node *n*; 128 bytes at most.
    pub fn set_mempolicy(&mut self, mode: u32, nodes: &[u8]) -> &mut Self {
        let mask = self.mask::<NODES>(nodes);
        self.step(&sys::SET_MEMPOLICY, [mode.into(), mask, MAX_NODE.into()]);
        self
    }

    /// `get_mempolicy`, compared with what is expected. The kernel leaves out nodes that it has not, or that the control group forbids.
    pub fn expect_mempolicy(&mut self, mode: u32, nodes: &[u8]) -> &mut Self {
        let got = self.arena.room(8 + NODES);
        let wanted = self.arena.bytes(&[&mode.to_le_bytes()[..], &[0; 4]].concat());
        let wanted_nodes = self.padded::<NODES>(nodes);
        let [told, told_nodes] = [got, got + 8].map(|at| Arg::Memory(at, Memory::Opaque("buffer")));
        let none = Arg::Bits(0);
        self.step(&sys::GET_MEMPOLICY, [told, told_nodes, MAX_NODE.into(), none, none]);
        self.compare(&sys::GET_MEMPOLICY, got, wanted, 4, Memory::Ids(1));
        self.compare(&sys::GET_MEMPOLICY, got + 8, wanted_nodes, 128, Memory::Numbers(128))
    }

    fn mask<const N: usize>(&mut self, mask: &[u8]) -> Arg {
        Arg::Memory(self.padded::<N>(mask), Memory::Numbers(u32::try_from(N).unwrap_or(0)))
    }

    fn padded<const N: usize>(&mut self, mask: &[u8]) -> u32 {
        let mut bytes = [0; N];
        bytes.iter_mut().zip(mask).for_each(|(place, byte)| *place = *byte);
        self.arena.bytes(&bytes)
    }

    /// `prlimit64(0, resource, NULL, buffer)`, compared with what is expected.
    pub fn expect_rlimit(&mut self, resource: u32, soft: u64, hard: u64) -> &mut Self {
        let (got, wanted) = (self.arena.room(16), self.arena.words(&[Ok(soft), Ok(hard)]));
        let buffer = Arg::Memory(got, Memory::Opaque("buffer"));
        self.step(&sys::PRLIMIT64, [0_u32.into(), resource.into(), 0_u32.into(), buffer]);
        self.compare(&sys::PRLIMIT64, got, wanted, 16, Memory::Limit)
    }

    /// `umask(mask)` must return `mask`: it tells what was set before.
    pub fn expect_umask(&mut self, mask: u32) -> &mut Self {
        self.step_of(Kind::Expect, &sys::UMASK, [mask.into()]).aux = mask;
        self
    }

    /// `prctl(PR_GET_PDEATHSIG)`, compared with what is expected.
    pub fn expect_parent_death_signal(&mut self, signal: u32) -> &mut Self {
        let (got, wanted) = (self.arena.room(8), self.arena.ids(&[signal]));
        let (zero, buffer) = (Arg::Bits(0), Arg::Memory(got, Memory::Opaque("buffer")));
        self.step(&sys::PRCTL_TELLS, [PR_GET_PDEATHSIG.into(), buffer, zero, zero, zero]);
        self.compare(&sys::PRCTL_TELLS, got, wanted, 4, Memory::Ids(1))
    }

    /// `prctl(PR_SET_SECUREBITS, bits)`: needs `CAP_SETPCAP`, which a change of ids may have left in the permitted set only.
    pub fn securebits(&mut self, bits: u32) -> &mut Self {
        let zero = Arg::Bits(0);
        self.step(&sys::PRCTL_SECUREBITS, [PR_SET_SECUREBITS.into(), bits.into(), zero, zero, zero]);
        self
    }

    /// `prctl(PR_GET_SECUREBITS)` must return `bits`.
    pub fn expect_securebits(&mut self, bits: u32) -> &mut Self {
        self.expect_prctl(PR_GET_SECUREBITS, 0, 0, bits)
    }
}

/// Whether this kernel can have more CPUs than [`USUAL`] bytes have bits, which a boot decides. If it does not say, it might.
fn has_more_than_usual() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| sched_getaffinity(nix::unistd::Pid::from_raw(0)).is_err())
}

fn len<const N: usize>() -> Arg {
    Arg::Bits(u32::try_from(N).unwrap_or(0))
}
