//! The board, seen from the host: a page that the init writes. Nothing on it is believed unchecked.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::uio::pread;

use crate::ids::Pid;
use crate::wire::board as layout;

/// Reads the board by `pread`: no mapping, so a truncated file can't hurt the host.
#[derive(Debug)]
pub(crate) struct Board {
    file: OwnedFd,
}

/// What the board says at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) failed: bool,
    pub(crate) reaper: bool,
    pub(crate) step: usize,
    pub(crate) errno: i32,
    pub(crate) aux: i32,
    pub(crate) born: u64,
    pub(crate) child: Option<Pid>,
    pub(crate) log: String,
}

impl Board {
    pub(crate) fn new(file: OwnedFd) -> Self {
        Self { file }
    }

    pub(crate) fn read(&self) -> io::Result<Snapshot> {
        let mut bytes = [0; layout::LOG * 8 + layout::LOG_BYTES];
        pread(&self.file, &mut bytes, 0)?;
        Ok(parse(&bytes))
    }

    /// The time stamps of the first `count` steps; 0 for a step that was not reached.
    pub(crate) fn stamps(&self, count: usize) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; count * 8];
        let at = i64::try_from(layout::STAMPS * 8).unwrap_or(i64::MAX);
        pread(&self.file, &mut bytes, at)?;
        Ok(bytes.chunks_exact(8).map(|chunk| word(chunk, 0)).collect())
    }
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let chunk = bytes.get(index * 8..index * 8 + 8).and_then(|chunk| chunk.try_into().ok());
    chunk.map_or(0, u64::from_le_bytes)
}

fn parse(bytes: &[u8]) -> Snapshot {
    let number = |index| word(bytes, index);
    let state = number(layout::STATE);
    let log_len = usize::try_from(number(layout::LOG_LEN)).unwrap_or(0).min(layout::LOG_BYTES);
    let log = bytes.get(layout::LOG * 8..layout::LOG * 8 + log_len).unwrap_or_default();
    let step = |index| usize::try_from(number(index)).unwrap_or(usize::MAX).min(crate::wire::MAX_STEPS);
    let errno = i32::try_from(number(layout::ERRNO)).unwrap_or(0).clamp(0, 4095);
    // execvp(3): of a program that is missing in one directory and refused in another the refusal is told.
    let (step, errno) = match step(layout::REFUSED).checked_sub(1) {
        Some(refused) if [libc::ENOENT, libc::ENOTDIR].contains(&errno) => (refused, libc::EACCES),
        _ => (step(layout::STEP), errno),
    };
    Snapshot {
        failed: state == layout::STATE_FAILED,
        reaper: state == layout::STATE_REAPER,
        step,
        errno,
        aux: i32::try_from(number(layout::AUX) & 0xffff_ffff).unwrap_or(0),
        born: number(layout::BORN),
        child: i32::try_from(number(layout::CHILD)).ok().and_then(Pid::new),
        log: messages(log),
    }
}

/// The mount log as one line, without the letter for the level that each message begins with.
fn messages(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines = text.split(['\n', '\0']).map(|line| line.get(2..).unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ").replace(char::is_control, "?")
}

/// How a start went, read from a board file ([`crate::Launch::board_with`]) by another process than the one that launched it. The init writes the
/// file, so both fields are bounded and no more than a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardFile {
    /// Index of the step that was run last, in the child lane; at most [`crate::MAX_STEPS`].
    pub step: usize,
    /// Its error number, 0 to 4095, if it failed and ended the plan.
    pub errno: Option<i32>,
}

impl BoardFile {
    /// Reads a board file.
    ///
    /// # Errors
    /// That of pread(2).
    pub fn read(file: OwnedFd) -> io::Result<Self> {
        let seen = Board::new(file).read()?;
        Ok(Self { step: seen.step, errno: seen.failed.then_some(seen.errno) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_on_the_board_is_bounded() {
        let bytes = vec![0xff; layout::LOG * 8 + layout::LOG_BYTES];
        let seen = parse(&bytes);
        assert_eq!((seen.step, seen.errno, seen.failed), (crate::wire::MAX_STEPS, 0, false));
        assert_eq!(parse(&[]), Snapshot::default());
    }

    #[test]
    fn a_refused_candidate_is_told_before_a_missing_one() {
        for (refused, errno, wanted) in [
            (0, libc::ENOENT, (9, libc::ENOENT)),
            (8, libc::ENOENT, (7, libc::EACCES)),
            (8, libc::ENOTDIR, (7, libc::EACCES)),
            (8, libc::ENOEXEC, (9, libc::ENOEXEC)),
        ] {
            let mut bytes = vec![0; layout::LOG * 8];
            for (word, value) in [(layout::STEP, 9), (layout::REFUSED, refused), (layout::ERRNO, errno)] {
                bytes[word * 8..word * 8 + 4].copy_from_slice(&value.to_le_bytes());
            }
            let seen = parse(&bytes);
            assert_eq!((seen.step, seen.errno), wanted);
        }
    }

    #[test]
    fn log_lines_lose_their_level() {
        assert_eq!(messages(b"e tmpfs: Bad value for 'size'\nw odd\n"), "tmpfs: Bad value for 'size'; odd");
    }
}
