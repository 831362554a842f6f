//! The record as bytes: JSON with a checksum, in a file of the container's directory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::state::State;
use crate::error::ErrorKind;

/// Name of the record.
pub(crate) const FILE: &str = "state.json";
const TEMPORARY: &str = ".state.json.new";
pub(crate) const VERSION: u32 = 1;
const LIMIT: u64 = 32 * 1024 * 1024;

/// Why a record can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It can't be read.
    #[error("state.json: {0}")]
    Io(#[from] io::Error),
    /// It is no JSON of ours.
    #[error("state.json: {0}")]
    Json(#[from] serde_json::Error),
    /// It was cut or changed.
    #[error("state.json: the checksum does not match: the file was cut or changed")]
    Checksum,
    /// A newer version of this library wrote it.
    #[error("state.json: version {0} is newer than this program's ({VERSION})")]
    Newer(u32),
    /// It is no regular file, or too large.
    #[error("state.json: not a regular file of at most 32 MiB")]
    NotAFile,
}

impl StateError {
    /// A call that failed says nothing about the record; all else is damage.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(error) if !self.is_not_found() => match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
                // What is no file of ours: a link, a socket.
                Some(libc::ELOOP | libc::ENXIO) => ErrorKind::Corrupt,
                _ => ErrorKind::Os,
            },
            _ => ErrorKind::Corrupt,
        }
    }

    /// Whether there is no record.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The record as bytes.
pub(crate) fn encode(state: &State) -> Result<Vec<u8>, StateError> {
    let state = State { version: VERSION, checksum: String::new(), ..state.clone() };
    let mut bytes = serde_json::to_vec(&state)?;
    // The checksum takes the place of the closing brace.
    bytes.pop();
    let sum = crc32(&bytes);
    bytes.extend_from_slice(format!("{CHECKSUM}{sum:08x}\"}}\n").as_bytes());
    Ok(bytes)
}

const CHECKSUM: &str = ",\"checksum\":\"";
/// From the checksum's comma to the end of the line.
const CHECKSUM_LEN: usize = CHECKSUM.len() + 11;

/// Reads a record.
pub(crate) fn decode(bytes: &[u8]) -> Result<State, StateError> {
    let mut state: State = serde_json::from_slice(bytes)?;
    if state.version > VERSION {
        return Err(StateError::Newer(state.version));
    }
    let checksum = std::mem::take(&mut state.checksum);
    let covered = bytes.len().checked_sub(CHECKSUM_LEN).and_then(|end| bytes.get(..end));
    if covered.is_none_or(|covered| format!("{:08x}", crc32(covered)) != checksum) {
        return Err(StateError::Checksum);
    }
    Ok(state)
}

/// CRC-32 of ISO 3309, a byte at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let next = |crc: u32, byte: &u8| {
        let [low, ..] = crc.to_le_bytes();
        TABLE.get(usize::from(low ^ byte)).unwrap_or(&0) ^ (crc >> 8)
    };
    !bytes.iter().fold(u32::MAX, next)
}

const TABLE: [u32; 256] = table();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a constant: out of bounds would not compile"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// Writes the record: to a new file, renamed over the old one. A reader sees the old one or the new one, also if the writer is
/// killed in between.
///
/// Nothing is synced: all that the record speaks of lives in the kernel and ends with the boot, so a record has to survive its
/// writer's death but not a power failure. ARCHITECTURE.md has the measurement behind this.
pub(crate) fn write(dir: BorrowedFd<'_>, state: &State) -> io::Result<Vec<u8>> {
    let bytes = encode(state).map_err(io::Error::other)?;
    // We hold the lock: what is there was left by a writer that was killed.
    let mut file = match temporary(dir) {
        Err(Errno::EEXIST) => {
            unlinkat(dir, TEMPORARY, UnlinkatFlags::NoRemoveDir)?;
            temporary(dir)?
        }
        file => file?,
    };
    let written = file.write_all(&bytes).and_then(|()| Ok(renameat(dir, TEMPORARY, dir, FILE)?));
    if written.is_err() {
        // What stays is removed by the next writer, or with the directory.
        let _ = unlinkat(dir, TEMPORARY, UnlinkatFlags::NoRemoveDir);
    }
    written.map(|()| bytes)
}

fn temporary(dir: BorrowedFd<'_>) -> nix::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, TEMPORARY, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// Reads the bytes of the record from a container's directory.
pub(crate) fn read(dir: BorrowedFd<'_>) -> Result<Vec<u8>, StateError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = openat(dir, FILE, flags, Mode::empty()).map_err(io::Error::from)?;
    let file = File::from(fd);
    let data = file.metadata()?;
    if !data.is_file() || data.len() > LIMIT {
        return Err(StateError::NotAFile);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(data.len()).unwrap_or(0) + 1);
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::state::{Intent, Status};
    use super::*;

    #[test]
    fn records_survive_and_damage_is_seen() {
        let state =
            State { id: "web".into(), init_pid: 7, intent: vec![Intent::Process], ..State::default() };
        let bytes = encode(&state).unwrap();
        let back = decode(&bytes).unwrap();
        assert_eq!((back.init_pid, back.version, back.status), (7, 1, Status::Creating));
        for end in 0..bytes.len() - 1 {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        let text = String::from_utf8(bytes).unwrap();
        assert!(matches!(
            decode(text.replace("\"init_pid\":7", "\"init_pid\":8").as_bytes()),
            Err(StateError::Checksum)
        ));
        assert!(matches!(
            decode(text.replace("\"version\":1", "\"version\":2").as_bytes()),
            Err(StateError::Newer(2))
        ));
        assert!(text.contains("\"network_state\":{}"), "2014 always wrote it: {text}");
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
