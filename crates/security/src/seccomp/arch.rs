//! Architectures as the kernel's audit and a filter tell them apart: linux/audit.h.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::syscalls::{self, Name};

/// An architecture, or one of its ways to call the kernel; the names are OCI's. See seccomp(2), "Caveats".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they say what they are")]
pub enum Arch {
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X86_64,
    /// x86_64 with pointers of 32 bits: the same audit value, numbers with bit 30.
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    #[serde(rename = "SCMP_ARCH_MIPS")]
    Mips,
    #[serde(rename = "SCMP_ARCH_MIPS64")]
    Mips64,
    #[serde(rename = "SCMP_ARCH_MIPS64N32")]
    Mips64N32,
    #[serde(rename = "SCMP_ARCH_MIPSEL")]
    Mipsel,
    #[serde(rename = "SCMP_ARCH_MIPSEL64")]
    Mipsel64,
    #[serde(rename = "SCMP_ARCH_MIPSEL64N32")]
    Mipsel64N32,
    #[serde(rename = "SCMP_ARCH_PPC")]
    Ppc,
    #[serde(rename = "SCMP_ARCH_PPC64")]
    Ppc64,
    #[serde(rename = "SCMP_ARCH_PPC64LE")]
    Ppc64Le,
    #[serde(rename = "SCMP_ARCH_S390")]
    S390,
    #[serde(rename = "SCMP_ARCH_S390X")]
    S390X,
    #[serde(rename = "SCMP_ARCH_RISCV64")]
    Riscv64,
    #[serde(rename = "SCMP_ARCH_LOONGARCH64")]
    Loongarch64,
    #[serde(rename = "SCMP_ARCH_PARISC")]
    Parisc,
    #[serde(rename = "SCMP_ARCH_PARISC64")]
    Parisc64,
    #[serde(rename = "SCMP_ARCH_M68K")]
    M68k,
    #[serde(rename = "SCMP_ARCH_SH")]
    Sh,
    #[serde(rename = "SCMP_ARCH_SHEB")]
    Sheb,
}

/// Bits of an audit value.
const WIDE: u32 = 0x8000_0000;
pub(super) const LITTLE: u32 = 0x4000_0000;
const N32: u32 = 0x2000_0000;
/// Marks numbers of x32: asm/unistd.h.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// What is to be known of an architecture.
struct Facts {
    name: &'static str,
    /// As Go calls it, and so Docker's profiles.
    go: &'static str,
    token: u32,
    /// Added to the numbers of the table.
    base: u32,
    /// Whether only the low half of an argument counts.
    narrow: bool,
}

const fn facts(name: &'static str, go: &'static str, token: u32, base: u32, narrow: bool) -> Facts {
    Facts { name, go, token, base, narrow }
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::X86,
        Self::X86_64,
        Self::X32,
        Self::Arm,
        Self::Aarch64,
        Self::Mips,
        Self::Mips64,
        Self::Mips64N32,
        Self::Mipsel,
        Self::Mipsel64,
        Self::Mipsel64N32,
        Self::Ppc,
        Self::Ppc64,
        Self::Ppc64Le,
        Self::S390,
        Self::S390X,
        Self::Riscv64,
        Self::Loongarch64,
        Self::Parisc,
        Self::Parisc64,
        Self::M68k,
        Self::Sh,
        Self::Sheb,
    ];

    /// What this program was built for; `None` for an architecture without a name here.
    #[must_use]
    pub fn native() -> Option<Self> {
        let little = cfg!(target_endian = "little");
        Some(match std::env::consts::ARCH {
            "x86" => Self::X86,
            "x86_64" if cfg!(target_pointer_width = "32") => Self::X32,
            "x86_64" => Self::X86_64,
            "arm" => Self::Arm,
            "aarch64" => Self::Aarch64,
            "mips" => {
                if little {
                    Self::Mipsel
                } else {
                    Self::Mips
                }
            }
            "mips64" => {
                if little {
                    Self::Mipsel64
                } else {
                    Self::Mips64
                }
            }
            "powerpc" => Self::Ppc,
            "powerpc64" => {
                if little {
                    Self::Ppc64Le
                } else {
                    Self::Ppc64
                }
            }
            "s390x" => Self::S390X,
            "riscv64" => Self::Riscv64,
            "loongarch64" => Self::Loongarch64,
            "m68k" => Self::M68k,
            _ => return None,
        })
    }

    fn facts(self) -> Facts {
        match self {
            Self::X86 => facts("SCMP_ARCH_X86", "x86", 3 | LITTLE, 0, true),
            Self::X86_64 => facts("SCMP_ARCH_X86_64", "amd64", 62 | WIDE | LITTLE, 0, false),
            // As libseccomp has it: of a 64-bit register that x32 passes, the low half is compared.
            Self::X32 => facts("SCMP_ARCH_X32", "x32", 62 | WIDE | LITTLE, X32_BIT, true),
            Self::Arm => facts("SCMP_ARCH_ARM", "arm", 40 | LITTLE, 0, true),
            Self::Aarch64 => facts("SCMP_ARCH_AARCH64", "arm64", 183 | WIDE | LITTLE, 0, false),
            Self::Mips => facts("SCMP_ARCH_MIPS", "mips", 8, 4000, true),
            Self::Mips64 => facts("SCMP_ARCH_MIPS64", "mips64", 8 | WIDE, 5000, false),
            Self::Mips64N32 => facts("SCMP_ARCH_MIPS64N32", "mips64n32", 8 | WIDE | N32, 6000, true),
            Self::Mipsel => facts("SCMP_ARCH_MIPSEL", "mipsel", 8 | LITTLE, 4000, true),
            Self::Mipsel64 => facts("SCMP_ARCH_MIPSEL64", "mips64le", 8 | WIDE | LITTLE, 5000, false),
            Self::Mipsel64N32 => {
                facts("SCMP_ARCH_MIPSEL64N32", "mips64len32", 8 | WIDE | LITTLE | N32, 6000, true)
            }
            Self::Ppc => facts("SCMP_ARCH_PPC", "ppc", 20, 0, true),
            Self::Ppc64 => facts("SCMP_ARCH_PPC64", "ppc64", 21 | WIDE, 0, false),
            Self::Ppc64Le => facts("SCMP_ARCH_PPC64LE", "ppc64le", 21 | WIDE | LITTLE, 0, false),
            Self::S390 => facts("SCMP_ARCH_S390", "s390", 22, 0, true),
            Self::S390X => facts("SCMP_ARCH_S390X", "s390x", 22 | WIDE, 0, false),
            Self::Riscv64 => facts("SCMP_ARCH_RISCV64", "riscv64", 243 | WIDE | LITTLE, 0, false),
            Self::Loongarch64 => facts("SCMP_ARCH_LOONGARCH64", "loong64", 258 | WIDE | LITTLE, 0, false),
            Self::Parisc => facts("SCMP_ARCH_PARISC", "parisc", 15, 0, true),
            Self::Parisc64 => facts("SCMP_ARCH_PARISC64", "parisc64", 15 | WIDE, 0, false),
            Self::M68k => facts("SCMP_ARCH_M68K", "m68k", 4, 0, true),
            Self::Sh => facts("SCMP_ARCH_SH", "sh", 42 | LITTLE, 0, true),
            Self::Sheb => facts("SCMP_ARCH_SHEB", "sheb", 42, 0, true),
        }
    }

    /// The column of the table of numbers.
    pub(super) fn column(self) -> usize {
        match self {
            Self::X86 => 0,
            Self::X86_64 => 1,
            Self::X32 => 2,
            Self::Arm => 3,
            Self::Aarch64 => 4,
            Self::Mips | Self::Mipsel => 5,
            Self::Mips64 | Self::Mipsel64 => 6,
            Self::Mips64N32 | Self::Mipsel64N32 => 7,
            Self::Ppc => 8,
            Self::Ppc64 | Self::Ppc64Le => 9,
            Self::S390 => 10,
            Self::S390X => 11,
            Self::Riscv64 => 12,
            Self::Loongarch64 => 13,
            Self::Parisc => 14,
            Self::Parisc64 => 15,
            Self::M68k => 16,
            Self::Sh | Self::Sheb => 17,
        }
    }

    /// OCI's name, such as `SCMP_ARCH_X86_64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The architecture of that OCI name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// Go's name, which the conditions of Docker's profiles have: `amd64`, `arm64`, `ppc64le`.
    #[must_use]
    pub fn go_name(self) -> &'static str {
        self.facts().go
    }

    /// The value of `seccomp_data.arch`: `AUDIT_ARCH_*`. That of x32 is that of x86_64.
    #[must_use]
    pub fn token(self) -> u32 {
        self.facts().token
    }

    /// Whether only the low 32 bits of an argument are compared.
    #[must_use]
    pub fn is_narrow(self) -> bool {
        self.facts().narrow
    }

    /// Whether the high half of an argument comes first in memory.
    #[must_use]
    pub fn is_big_endian(self) -> bool {
        self.token() & LITTLE == 0
    }

    /// The number of a system call by its name in the kernel, as of the newest kernel known here; `None` where there is none.
    #[must_use]
    pub fn number(self, syscall: &str) -> Option<u32> {
        self.number_of(Name::find(syscall)?)
    }

    pub(super) fn number_of(self, name: Name) -> Option<u32> {
        Some(self.facts().base + name.number(self.column())?)
    }

    /// The name of a system call by its number; `None` for a number that is none yet.
    #[must_use]
    pub fn syscall(self, number: u32) -> Option<&'static str> {
        let number = number.checked_sub(self.facts().base)?;
        let found = syscalls::all(self.column()).find(|(_, other)| *other == number);
        found.map(|(name, _)| name.text())
    }

    /// All system calls with their numbers, in order of their names.
    pub fn syscalls(self) -> impl Iterator<Item = (&'static str, u32)> {
        let base = self.facts().base;
        syscalls::all(self.column()).map(move |(name, number)| (name.text(), base + number))
    }

    /// All system calls with their numbers, in order of these; a number may have two names.
    pub(super) fn in_order(self) -> impl Iterator<Item = (Name, u32)> {
        let base = self.facts().base;
        syscalls::in_order(self.column()).map(move |(name, number)| (name, base + number))
    }

    /// First and last number that can be one of its calls.
    pub(super) fn numbers(self) -> (u32, u32) {
        match self {
            Self::X86_64 => (0, X32_BIT - 1),
            Self::X32 => (X32_BIT, u32::MAX),
            _ => (0, u32::MAX),
        }
    }

    /// Numbers that the kernel hands out to new system calls come before this one.
    pub(super) fn ordinary_end(self) -> u32 {
        match self {
            // x32 has its own from 512.
            Self::X32 => X32_BIT + 512,
            Self::Arm => syscalls::ARM_PRIVATE,
            _ => u32::MAX,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_each_architecture() {
        for (arch, name, number) in [
            (Arch::X86_64, "read", 0),
            (Arch::X86, "read", 3),
            (Arch::X32, "read", 0x4000_0000),
            (Arch::X32, "pwritev2", 0x4000_0000 + 547),
            (Arch::Arm, "set_tls", 0xf_0005),
            (Arch::Arm, "sync_file_range2", 341),
            (Arch::Aarch64, "openat", 56),
            (Arch::Mips, "read", 4003),
            (Arch::Mipsel64, "read", 5000),
            (Arch::Mips64N32, "read", 6000),
            (Arch::S390, "getuid32", 199),
            (Arch::S390X, "getuid", 199),
            (Arch::Ppc64Le, "swapcontext", 249),
            (Arch::Riscv64, "riscv_flush_icache", 259),
        ] {
            assert_eq!(arch.number(name), Some(number), "{arch} {name}");
            assert!(arch.syscall(number).is_some());
        }
        assert_eq!(Arch::X86_64.number("socketcall"), None);
        assert_eq!(Arch::X86_64.number("no such call"), None);
        assert_eq!(Arch::X86_64.syscall(9999), None);
    }

    #[test]
    fn the_running_kernel_agrees() {
        let native = Arch::native().unwrap();
        for (name, number) in [
            ("read", libc::SYS_read),
            ("clone3", libc::SYS_clone3),
            ("close_range", libc::SYS_close_range),
            ("seccomp", libc::SYS_seccomp),
            ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
        ] {
            assert_eq!(native.number(name).map(i64::from), Some(number), "{name}");
        }
    }

    #[test]
    fn every_architecture_has_a_table_and_a_name() {
        for arch in Arch::ALL.into_iter().step_by(if cfg!(miri) { 12 } else { 1 }) {
            assert_eq!(Arch::from_name(arch.name()), Some(arch));
            assert_eq!(serde_json::to_value(arch).unwrap(), arch.name());
            let all: Vec<_> = arch.syscalls().collect();
            assert!(all.len() > 290, "{arch}: {}", all.len());
            assert!(all.iter().all(|(name, number)| arch.number(name) == Some(*number)));
            let newest =
                all.iter().filter(|(_, number)| *number < arch.ordinary_end()).map(|(_, number)| number);
            // 31-bit s390 is that of an older kernel.
            assert!(newest.max().unwrap() - arch.facts().base >= 450, "{arch}");
        }
    }
}
