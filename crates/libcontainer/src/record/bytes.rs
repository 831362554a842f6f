//! The record as bytes: JSON with a checksum, in a file of the container's directory. What ending the container takes stands in a second
//! file too, so that one that is damaged does not keep anything alive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use libcontainer_network::NetworkState;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::state::{Intent, State};
use crate::config::{Config, Hooks};
use crate::error::{ErrorKind, errno_of, named};

/// Name of the record.
pub(crate) const FILE: &str = "state.json";
/// Name of the file with what ending the container takes: keys of the record, a few of them.
pub(super) const ENDING: &str = "ending.json";
/// Name of the record that a container which stands by is going to have: written by who keeps it ready, so that a start has but to rename it.
/// Nobody reads it.
pub(super) const AHEAD: &str = ".ahead.json.new";
pub(crate) const VERSION: u32 = 1;
const LIMIT: u64 = 32 * 1024 * 1024;

/// Why a record can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It can't be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no JSON of ours.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It was cut or changed.
    #[error("the checksum does not match: the file was cut or changed")]
    Checksum,
    /// A newer version of this library wrote it.
    #[error("version {0} is newer than this program's ({VERSION})")]
    Newer(u32),
    /// It is no regular file, or too large.
    #[error("not a regular file of at most 32 MiB")]
    NotAFile,
    /// Somebody else may have written it.
    #[error("belongs to user {0}, not to this one or root")]
    Owner(u32),
    /// It was copied from another container's directory.
    #[error("is the record of another container, {0:?}")]
    Another(String),
}

impl StateError {
    /// A call that failed says nothing about the record; all else is damage.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(error) if Self::is_unknown(error) => match errno_of(error) {
                Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
                _ => ErrorKind::Os,
            },
            _ => ErrorKind::Corrupt,
        }
    }

    /// Whether a call failed for another reason than that no file of ours is there, but none, or a link, or a socket.
    pub(crate) fn is_unknown(error: &io::Error) -> bool {
        !matches!(errno_of(error), Some(libc::ENOENT | libc::ELOOP | libc::ENXIO))
    }

    /// Whether there is no record.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if errno_of(error) == Some(libc::ENOENT))
    }

    /// Whether whoever wrote the record did not come to the end of it, or of taking it away.
    pub(super) fn is_broken_off(&self) -> bool {
        self.is_not_found() || matches!(self, Self::Json(_) | Self::Checksum)
    }
}

/// The record as bytes.
pub(crate) fn encode(state: &State) -> Result<Vec<u8>, StateError> {
    Ok(sum_up(serde_json::to_vec(&as_written(state))?))
}

/// The record as it is read back.
pub(super) fn as_written(state: &State) -> State {
    State { version: VERSION, checksum: String::new(), ..state.clone() }
}

/// The keys of the record that name what is to be ended.
#[derive(Serialize)]
struct Ending<'a> {
    version: u32,
    id: &'a str,
    boot_id: &'a str,
    init_pid: i32,
    init_start_time: &'a str,
    intent: &'a [Intent],
    network_state: &'a NetworkState,
    /// What `poststop` hooks are and are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
}

/// The part of the config that ending the container takes.
fn ending_config(config: &Config) -> Option<Config> {
    if config.hooks.poststop.is_empty() {
        return None;
    }
    let hooks = Hooks { poststop: config.hooks.poststop.clone(), ..Hooks::default() };
    Some(Config { hooks, labels: config.labels.clone(), bundle: config.bundle.clone(), ..Config::default() })
}

/// What ending the container takes, as bytes.
pub(super) fn encode_ending(state: &State) -> Result<Vec<u8>, StateError> {
    let ending = Ending {
        version: VERSION,
        id: &state.id,
        boot_id: &state.boot_id,
        init_pid: state.init_pid,
        init_start_time: &state.init_start_time,
        intent: &state.intent,
        network_state: &state.network_state,
        config: ending_config(&state.config),
    };
    Ok(sum_up(serde_json::to_vec(&ending)?))
}

/// Whether the second file of two records would be the same.
pub(super) fn ends_alike(one: &State, other: &State) -> bool {
    (one.init_pid, &one.init_start_time) == (other.init_pid, &other.init_start_time)
        && (&one.id, &one.boot_id) == (&other.id, &other.boot_id)
        && (&one.intent, &one.network_state) == (&other.intent, &other.network_state)
        && ending_config(&one.config) == ending_config(&other.config)
}

/// Adds the checksum, which takes the place of the closing brace.
fn sum_up(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.pop();
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(format!("{CHECKSUM}{sum:08x}\"}}\n").as_bytes());
    bytes
}

const CHECKSUM: &str = ",\"checksum\":\"";
/// From the checksum's comma to the end of the line.
const CHECKSUM_LEN: usize = CHECKSUM.len() + 11;

/// What every version has.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Reads either file.
pub(crate) fn decode(bytes: &[u8]) -> Result<State, StateError> {
    let mut state: State = parse(bytes)?;
    let checksum = std::mem::take(&mut state.checksum);
    check(bytes, state.version, &checksum)?;
    Ok(state)
}

/// Keys of either file, unchecked.
pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StateError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Keys may have another form by then.
        match serde_json::from_slice::<Version>(bytes) {
            Ok(Version { version }) if version > VERSION => StateError::Newer(version),
            _ => error.into(),
        }
    })
}

/// Whether the bytes are as they were written, by a version that is known here.
pub(super) fn check(bytes: &[u8], version: u32, checksum: &str) -> Result<(), StateError> {
    if version > VERSION {
        return Err(StateError::Newer(version));
    }
    let covered = bytes.len().checked_sub(CHECKSUM_LEN).and_then(|end| bytes.get(..end));
    if covered.is_none_or(|covered| format!("{:08x}", crc32fast::hash(covered)) != checksum) {
        return Err(StateError::Checksum);
    }
    Ok(())
}

/// Writes the second file: one that is there in place. Who is killed in between leaves the record as it was, which is read first, and
/// nobody reads this one without the lock. A rename over an old file would make some filesystems (ext4) write it out at once.
pub(super) fn write_ending(dir: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut file = match openat(dir, ENDING, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return replace(dir, ENDING, bytes),
        file => File::from(file?),
    };
    overwrite(&mut file, bytes)
}

/// Writes over what the file has from its beginning, so that it is empty at no moment.
pub(super) fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    // What is behind the new text was text of the old one.
    if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
}

/// Writes the record. A reader sees the old one or the new one, also if the writer is killed in between.
///
/// Nothing is synced: all that the record speaks of lives in the kernel and ends with the boot, so a record has to survive its
/// writer's death but not a power failure. ARCHITECTURE.md has the measurement behind this.
pub(super) fn write(dir: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    replace(dir, FILE, bytes)
}

/// Writes the next record beside the one that holds.
pub(super) fn prepare(dir: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    write_new(dir, FILE, bytes)
}

/// Writes a record for later.
pub(super) fn write_ahead(dir: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    write_file(dir, AHEAD, bytes)
}

/// Makes the one that was written for later the one that holds; false if it is not there.
pub(super) fn commit_ahead(dir: BorrowedFd<'_>) -> io::Result<bool> {
    match renameat(dir, AHEAD, dir, FILE) {
        Err(Errno::ENOENT) => Ok(false),
        renamed => Ok(renamed.map(|()| true)?),
    }
}

/// Makes the next record, which was written, the one that holds.
pub(super) fn commit(dir: BorrowedFd<'_>) -> io::Result<()> {
    Ok(renameat(dir, new(FILE).as_str(), dir, FILE)?)
}

/// Takes the next record away. What stays is removed by the next writer, or with the directory.
pub(super) fn discard(dir: BorrowedFd<'_>) {
    let _ = unlinkat(dir, new(FILE).as_str(), UnlinkatFlags::NoRemoveDir);
}

/// Writes a new file, renamed over the old one.
fn replace(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_new(dir, name, bytes)?;
    let renamed = renameat(dir, new(name).as_str(), dir, name);
    if renamed.is_err() {
        // As in `discard`.
        let _ = unlinkat(dir, new(name).as_str(), UnlinkatFlags::NoRemoveDir);
    }
    Ok(renamed?)
}

fn new(name: &str) -> String {
    format!(".{name}.new")
}

fn write_new(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_file(dir, &new(name), bytes)
}

fn write_file(dir: BorrowedFd<'_>, temporary: &str, bytes: &[u8]) -> io::Result<()> {
    // We hold the lock: what is there was left by a writer that was killed.
    let mut file = match make(dir, temporary) {
        Err(Errno::EEXIST) => {
            unlinkat(dir, temporary, UnlinkatFlags::NoRemoveDir)?;
            make(dir, temporary)?
        }
        file => file?,
    };
    let written = file.write_all(bytes);
    if written.is_err() {
        // As in `discard`.
        let _ = unlinkat(dir, temporary, UnlinkatFlags::NoRemoveDir);
    }
    written
}

fn make(dir: BorrowedFd<'_>, name: &str) -> nix::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// Reads the bytes of one of the two files from a container's directory.
pub(super) fn read(dir: BorrowedFd<'_>, name: &str) -> Result<Vec<u8>, StateError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = openat(dir, name, flags, Mode::empty()).map_err(|errno| named("openat", errno.into()))?;
    let file = File::from(fd);
    let data = file.metadata().map_err(|error| named("fstat", error))?;
    if !data.is_file() || data.len() > LIMIT {
        return Err(StateError::NotAFile);
    }
    if data.uid() != 0 && data.uid() != nix::unistd::geteuid().as_raw() {
        return Err(StateError::Owner(data.uid()));
    }
    // The size that it has is the size that it keeps: it is replaced as a whole, or written under a lock.
    let mut bytes = Vec::with_capacity(usize::try_from(data.len()).unwrap_or(0));
    file.take(data.len()).read_to_end(&mut bytes).map_err(|error| named("read", error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::state::Status;
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
    fn the_second_file_has_what_ending_takes() {
        let (id, boot_id) = ("web".to_owned(), "b".to_owned());
        let intent = vec![Intent::Process, Intent::Keyring("k".into())];
        let state =
            State { id, boot_id, init_pid: 7, init_start_time: "9".into(), intent, ..State::default() };
        let bytes = encode_ending(&state).unwrap();
        let back = decode(&bytes).unwrap();
        assert!(ends_alike(&State { created: 5, ..state }, &back) && !ends_alike(&State::default(), &back));
        for end in 0..bytes.len() - 1 {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        let newer = br#"{"init_pid":{"new":"form"},"version":99}"#;
        assert!(matches!(decode(newer), Err(StateError::Newer(99))));
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }
}
