//! Arguments by which one call is many.

/// How the values of an argument become a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// The low 32 bits of this argument, which are all that the kernel looks at.
    Number(u32),
    /// Bits of this argument, which are noted together.
    Bits(u32, u64),
}

/// `CLONE_NEW…` of clone(2) and unshare(2), CLONE_NEWTIME included.
const NAMESPACES: u64 = 0x7e02_0080;
/// Without `CLONE_NEWTIME`, whose bit is one of the signal's in clone(2).
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// What is to be noted of a call; `None` if its arguments make no difference here.
pub(super) fn watched(name: &str) -> Option<Watched> {
    Some(match name {
        "socket" | "socketpair" | "personality" | "prctl" | "arch_prctl" | "keyctl" | "bpf" | "ptrace" => {
            Watched::Number(0)
        }
        "ioctl" | "setns" => Watched::Number(1),
        "clone" => Watched::Bits(0, CLONE_NAMESPACES),
        "unshare" => Watched::Bits(0, NAMESPACES),
        _ => return None,
    })
}

impl Watched {
    pub(super) fn index(self) -> u32 {
        match self {
            Self::Number(index) | Self::Bits(index, _) => index,
        }
    }

    pub(super) fn mask(self) -> u64 {
        match self {
            Self::Number(_) => 0xffff_ffff,
            Self::Bits(_, mask) => mask,
        }
    }

    /// What is noted of the arguments.
    pub(super) fn of(self, args: &[u64; 6]) -> u64 {
        let at = usize::try_from(self.index()).unwrap_or(0);
        args.get(at).copied().unwrap_or(0) & self.mask()
    }
}
