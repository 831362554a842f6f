//! A compiled profile.

use super::error::Warning;
use super::instruction::Instruction;
use super::profile::{Flag, Profile};

/// A program for seccomp(2) and how to load it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    instructions: Vec<Instruction>,
    flags: u32,
    notifies: bool,
    warnings: Vec<Warning>,
}

/// linux/seccomp.h.
const NEW_LISTENER: u32 = 1 << 3;
const TSYNC: u32 = 1;
const TSYNC_ESRCH: u32 = 1 << 4;

impl Flag {
    /// `SECCOMP_FILTER_FLAG_*` of linux/seccomp.h.
    #[must_use]
    pub fn bit(self) -> u32 {
        match self {
            Self::Tsync => TSYNC,
            Self::Log => 1 << 1,
            Self::SpecAllow => 1 << 2,
            Self::WaitKillableRecv => 1 << 5,
        }
    }
}

impl Filter {
    pub(super) fn new(instructions: Vec<Instruction>, profile: &Profile, mut warnings: Vec<Warning>) -> Self {
        let notifies = profile.notifies();
        Self { instructions, flags: flags(profile, notifies, &mut warnings), notifies, warnings }
    }

    /// One that is loaded without flags and asks nobody.
    pub(super) fn plain(instructions: Vec<Instruction>, warnings: Vec<Warning>) -> Self {
        Self { instructions, flags: 0, notifies: false, warnings }
    }

    /// The program.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The program as an array of `struct sock_filter` of this machine, 8 bytes each.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.instructions.iter().flat_map(|instruction| instruction.bytes()).collect()
    }

    /// `SECCOMP_FILTER_FLAG_*`: those of the profile, and `NEW_LISTENER` if it notifies.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether loading it gives a notification descriptor.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.notifies
    }

    /// What of the profile is taken another way than its writer may think.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

fn flags(profile: &Profile, notifies: bool, warnings: &mut Vec<Warning>) -> u32 {
    let mut bits = 0;
    for (index, flag) in profile.flags.iter().enumerate() {
        if *flag == Flag::WaitKillableRecv && !notifies {
            let text = "no rule has SCMP_ACT_NOTIFY: left out, as the kernel refuses it then";
            warnings.push(Warning::new(format!("/flags/{index}"), text));
        } else {
            bits |= flag.bit();
        }
    }
    if notifies {
        bits |= NEW_LISTENER;
        // The kernel takes both only if the call's value can't be a thread's number.
        if bits & TSYNC != 0 {
            bits |= TSYNC_ESRCH;
        }
    }
    bits
}
