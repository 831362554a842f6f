//! As much of elf(5) as tells why a program can't be executed: its machine and its dynamic linker.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// `e_machine` of what runs here.
pub(super) const NATIVE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
/// `PT_INTERP`.
const INTERPRETER: u64 = 3;
/// Bytes of a path that are read.
const PATH: usize = 256;
/// Headers that are looked at; programs have about a dozen.
const HEADERS: u64 = 64;

const MACHINES: [(u16, &str); 9] = [
    (3, "i386"),
    (8, "MIPS"),
    (20, "PowerPC"),
    (21, "PowerPC 64"),
    (22, "s390"),
    (40, "32-bit Arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "RISC-V"),
];

/// The head of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elf<'h> {
    head: &'h [u8],
    wide: bool,
    little: bool,
    pub(super) machine: u16,
}

impl<'h> Elf<'h> {
    pub(super) fn of(head: &'h [u8]) -> Option<Self> {
        let ident = head.strip_prefix(b"\x7fELF")?;
        let (wide, little) = (*ident.first()? == 2, *ident.get(1)? == 1);
        let elf = Self { head, wide, little, machine: 0 };
        let machine = u16::try_from(elf.number(18, 2)?).ok()?;
        Some(Self { machine, ..elf })
    }

    pub(super) fn machine_name(&self) -> String {
        let known = MACHINES.iter().find(|(number, _)| *number == self.machine);
        known.map_or_else(|| format!("the machine {} of elf.h", self.machine), |(_, name)| (*name).to_owned())
    }

    /// The path of the dynamic linker. Nothing of a program without one, or of a file that says nonsense.
    pub(super) fn interpreter(&self, file: &File) -> Option<Vec<u8>> {
        let (start, size, count) =
            if self.wide { (self.number(32, 8)?, 54, 56) } else { (self.number(28, 4)?, 42, 44) };
        let (size, count) = (self.number(size, 2)?, self.number(count, 2)?);
        let mut places = (0..count.min(HEADERS)).filter_map(|index| start.checked_add(index * size));
        let header = places.find(|at| self.number(*at, 4) == Some(INTERPRETER))?;
        let offset = if self.wide { self.number(header + 8, 8)? } else { self.number(header + 4, 4)? };
        let mut path = vec![0; PATH];
        let read = file.read_at(&mut path, offset).ok()?;
        path.truncate(read);
        let end = path.iter().position(|byte| *byte == 0)?;
        path.truncate(end);
        (!path.is_empty()).then_some(path)
    }

    /// The number of so many bytes there, if the head reaches that far.
    fn number(&self, at: u64, bytes: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let part = self.head.get(at..at.checked_add(bytes)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.little { part.iter().rev().fold(0, add) } else { part.iter().fold(0, add) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_of_this_machine_and_names_its_linker() {
        let file = File::open("/proc/self/exe").unwrap();
        let mut head = vec![0; 4096];
        file.read_exact_at(&mut head, 0).unwrap();
        let elf = Elf::of(&head).unwrap();
        assert_eq!(elf.machine, NATIVE);
        let linker = elf.interpreter(&file).unwrap();
        assert!(
            linker.starts_with(b"/lib")
                && std::path::Path::new(std::str::from_utf8(&linker).unwrap()).exists()
        );
    }

    #[test]
    fn a_head_of_nonsense_says_nothing() {
        let file = File::open("/proc/self/exe").unwrap();
        for head in [&b"\x7fELF"[..], b"\x7fELF\x02\x01", b"text", b""] {
            assert!(Elf::of(head).is_none(), "{head:?}");
        }
        let mut head = vec![0xff; 4096];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let elf = Elf::of(&head).unwrap();
        assert_eq!((elf.machine, elf.interpreter(&file)), (0xffff, None));
        assert_eq!(elf.machine_name(), "the machine 65535 of elf.h");
        let big = [&b"\x7fELF\x02\x02"[..], &[0; 12], b"\0\x16"].concat();
        assert_eq!(Elf::of(&big).unwrap().machine_name(), "s390");
    }
}
