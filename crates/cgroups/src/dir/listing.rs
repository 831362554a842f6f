//! The names in a directory, by getdents64(2): closing what the C library or std makes of a directory panics when close(2) fails.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use crate::syscall;

/// A directory in a directory, as the kernel says it (`DT_DIR`).
const DIRECTORY: u8 = 4;
/// What stands before the name in `struct linux_dirent64`: inode, offset, length, type.
const HEAD: usize = 19;

/// One entry.
pub(crate) struct Entry {
    pub(crate) name: OsString,
    /// KERNEL: control group file systems always tell the type.
    pub(crate) is_dir: bool,
}

/// All entries but `.` and `..`, from where the descriptor stands.
pub(super) fn entries(directory: impl AsFd) -> nix::Result<Vec<Entry>> {
    let mut buffer = vec![0; 32 * 1024];
    let mut all = Vec::new();
    loop {
        let count = syscall::directory_entries(directory.as_fd(), &mut buffer)?;
        if count == 0 {
            return Ok(all);
        }
        all.extend(parse(buffer.get(..count).unwrap_or_default()));
    }
}

/// The records of one answer. Ends at the first that is cut off.
fn parse(mut rest: &[u8]) -> Vec<Entry> {
    let mut all = Vec::new();
    while let Some((entry, others)) = first(rest) {
        all.extend(entry);
        rest = others;
    }
    all
}

/// The first record, None in it for `.` and `..`, and what comes after it.
fn first(bytes: &[u8]) -> Option<(Option<Entry>, &[u8])> {
    let (length, kind) = (bytes.get(16..18)?, *bytes.get(18)?);
    let length = usize::from(u16::from_ne_bytes(length.try_into().ok()?));
    let name = bytes.get(HEAD..length)?.split(|byte| *byte == 0).next()?;
    let entry = Entry { name: OsStr::from_bytes(name).to_owned(), is_dir: kind == DIRECTORY };
    let shown = !name.is_empty() && name != b"." && name != b"..";
    Some((shown.then_some(entry), bytes.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &[u8], kind: u8) -> Vec<u8> {
        let length = (HEAD + name.len() + 1).next_multiple_of(8);
        let mut bytes = vec![0; 16];
        bytes.extend(u16::try_from(length).unwrap().to_ne_bytes());
        bytes.push(kind);
        bytes.extend(name);
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn records() {
        let all: Vec<u8> =
            [record(b".", 4), record(b"one", 4), record(b"tasks", 8), record(b"..", 4)].concat();
        let found: Vec<_> = parse(&all).into_iter().map(|entry| (entry.name, entry.is_dir)).collect();
        assert_eq!(found, [("one".into(), true), ("tasks".into(), false)]);
        for cut in 0..all.len() {
            assert!(parse(&all[..cut]).len() <= 2);
        }
        // A length of zero ends it.
        assert!(parse(&[0; 64]).is_empty());
    }

    #[test]
    fn as_the_library_lists() {
        let fd = std::fs::File::open("/proc/self/fdinfo/..").unwrap();
        let mut ours: Vec<_> = entries(&fd).unwrap().into_iter().map(|entry| entry.name).collect();
        let mut theirs: Vec<_> =
            std::fs::read_dir("/proc/self").unwrap().map(|entry| entry.unwrap().file_name()).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs);
    }
}
