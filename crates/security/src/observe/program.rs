//! What the kernel opens of its own when a program is executed: elf(5), execve(2), "Interpreter scripts".

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The interpreter that the beginning of a program names.
pub(super) fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let text = match head.strip_prefix(b"#!") {
        Some(line) => script(line)?,
        None => linker(head)?,
    };
    Some(PathBuf::from(OsStr::from_bytes(text))).filter(|path| path.is_absolute())
}

fn script(line: &[u8]) -> Option<&[u8]> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    line.split(|byte| [b' ', b'\t'].contains(byte)).find(|word| !word.is_empty())
}

/// `PT_INTERP` of a program of 64 bits of this machine's byte order.
fn linker(head: &[u8]) -> Option<&[u8]> {
    const INTERPRETER: u32 = 3;
    head.strip_prefix(b"\x7fELF\x02")?;
    let (table, size, count) = (long(head, 32)?, half(head, 54)?, half(head, 56)?);
    for index in 0..count {
        let at = table.checked_add(index.checked_mul(size)?)?;
        let kind = u32::from_ne_bytes(*head.get(at..)?.first_chunk()?);
        if kind == INTERPRETER {
            let (from, len) = (long(head, at.checked_add(8)?)?, long(head, at.checked_add(32)?)?);
            let text = head.get(from..from.checked_add(len)?)?;
            return text.split(|byte| *byte == 0).next();
        }
    }
    None
}

fn long(head: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_ne_bytes(*head.get(at..)?.first_chunk()?)).ok()
}

fn half(head: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_ne_bytes(*head.get(at..)?.first_chunk()?)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_programs_name_their_interpreters() {
        let of = |head: &[u8]| interpreter(head).map(|path| path.display().to_string());
        assert_eq!(of(b"#!/bin/sh\necho"), Some("/bin/sh".to_owned()));
        assert_eq!(of(b"#! \t/usr/bin/env python3\n"), Some("/usr/bin/env".to_owned()));
        for none in [&b""[..], b"#!", b"#! \n", b"#!sh\n", b"\x7fELF", b"\x7fELF\x02\x01", b"\x7fELF\x01rest"]
        {
            assert_eq!(of(none), None);
        }
        let mut program = std::fs::read("/proc/self/exe").unwrap();
        program.truncate(8192);
        let found = of(&program);
        assert!(found.is_none_or(|path| path.contains("ld-") || path.contains("ld.")));
        // Offsets that lead nowhere.
        for at in 0..64.min(program.len()) {
            let mut damaged = program.clone();
            if let Some(byte) = damaged.get_mut(at) {
                *byte = 0xff;
            }
            let _ = interpreter(&damaged);
        }
    }
}
