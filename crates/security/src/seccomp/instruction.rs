//! Classic BPF as seccomp(2) takes it: linux/filter.h, linux/bpf_common.h.

/// One `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions a jump skips if its condition holds.
    pub jt: u8,
    /// And if it doesn't.
    pub jf: u8,
    /// A constant, an offset or the length of a jump.
    pub k: u32,
}

/// `A = the 32 bits of seccomp_data at k`
pub(super) const LOAD: u16 = 0x20;
/// `A &= k`
pub(super) const AND: u16 = 0x54;
/// Skips k instructions.
pub(super) const JUMP: u16 = 0x05;
pub(super) const JEQ: u16 = 0x15;
pub(super) const JGT: u16 = 0x25;
pub(super) const JGE: u16 = 0x35;
/// Returns k.
pub(super) const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`: linux/seccomp.h.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCH: u32 = 4;
pub(super) const ARGUMENTS: u32 = 16;
pub(super) const DATA_SIZE: u32 = 64;

/// Most that the kernel takes: `BPF_MAXINSNS`.
pub(super) const MOST: usize = 4096;

impl Instruction {
    /// The 8 bytes that the kernel of this machine reads.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        let ([c0, c1], [k0, k1, k2, k3]) = (self.code.to_ne_bytes(), self.k.to_ne_bytes());
        [c0, c1, self.jt, self.jf, k0, k1, k2, k3]
    }

    /// What 8 bytes say.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = bytes;
        Self { code: u16::from_ne_bytes([c0, c1]), jt, jf, k: u32::from_ne_bytes([k0, k1, k2, k3]) }
    }
}
