//! `state.json`: the record of a container. 2014's keys, and what a later process needs to find and to destroy it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

use libcontainer_cgroups::Place;
use libcontainer_network::NetworkState;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::scope::UnitRecord;

/// Name of the record.
pub(crate) const FILE: &str = "state.json";
const TEMPORARY: &str = ".state.json.new";
pub(crate) const VERSION: u32 = 1;
const LIMIT: u64 = 32 * 1024 * 1024;

/// State of a container. The first four numbers are 2014's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum RunState {
    /// The first process runs.
    Running = 1,
    /// On the way to be frozen.
    Pausing = 2,
    /// Frozen.
    Paused = 3,
    /// Gone.
    Destroyed = 4,
    /// Being made, or left half-made by a process that was killed.
    Creating = 5,
    /// Made; the first process waits for its start.
    Created = 6,
    /// The first process has ended.
    Stopped = 7,
}

/// How far the record says that the container has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made.
    #[default]
    Creating,
    /// The first process waits for its start.
    Created,
    /// The first process was started.
    Running,
}

/// Something outside of the directory that creating the container makes: destroy takes it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// The first process.
    Process,
    /// A session keyring of this name; goes with its last process.
    Keyring(String),
    /// A control group: where it is, or is going to be, in each hierarchy.
    Cgroup(Vec<Place>),
    /// The unit by which systemd makes the control group.
    Unit(UnitRecord),
}

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Pid of the first process in the host's pid namespace; 0 until there is one.
    pub init_pid: i32,
    /// Its start time in clock ticks since boot: a string, as in 2014.
    pub init_start_time: String,
    /// Network.
    pub network_state: NetworkState,
    /// Path of the cgroup of each subsystem.
    pub cgroup_paths: BTreeMap<String, String>,
    /// Version of the record.
    pub version: u32,
    /// Name of the container: the last part of its path.
    pub id: String,
    /// How far it has come.
    pub status: Status,
    /// The boot that the pid belongs to: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Seconds since 1970 at which it was made.
    pub created: u64,
    /// What was or is to be made.
    pub intent: Vec<Intent>,
    /// The config. Its environment is kept: a loaded container starts processes with it.
    pub config: Config,
    /// Steps that the init still has to take when it is started, with their indices: for the error of a start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_steps: Vec<(usize, String)>,
    /// CRC-32 of all bytes of the record before this key, which is the last one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub checksum: String,
}

impl State {
    /// Where the control group is.
    pub(crate) fn places(&self) -> &[Place] {
        let group = self.intent.iter().find_map(|intent| match intent {
            Intent::Cgroup(places) => Some(places.as_slice()),
            _ => None,
        });
        group.unwrap_or_default()
    }

    /// The unit, if systemd makes the group.
    pub(crate) fn unit(&self) -> Option<&UnitRecord> {
        self.intent.iter().find_map(|intent| match intent {
            Intent::Unit(unit) => Some(unit),
            _ => None,
        })
    }

    /// Notes where the control group is, under 2014's key too.
    pub(crate) fn set_places(&mut self, places: Vec<Place>) {
        self.cgroup_paths.clear();
        for place in &places {
            let path = place.path().to_string_lossy().into_owned();
            // 2014 knew no version 2; later versions gave it the empty name.
            let names = if place.unified { vec![String::new()] } else { place.controllers.clone() };
            self.cgroup_paths.extend(names.into_iter().map(|name| (name, path.clone())));
        }
        self.intent.retain(|intent| !matches!(intent, Intent::Cgroup(_)));
        self.intent.push(Intent::Cgroup(places));
    }
}

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

/// The start time of a process from the text of `/proc/PID/stat`: the 22nd field, counted from behind the command's last `)`.
pub(crate) fn start_time(stat: &[u8]) -> Option<String> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields =
        stat.get(end + 1..)?.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
    let field = fields.nth(19)?;
    let digits = field.iter().all(u8::is_ascii_digit);
    digits.then(|| String::from_utf8_lossy(field).into_owned())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn numbers_of_2014_are_fixed() {
        let numbers = [RunState::Running, RunState::Pausing, RunState::Paused, RunState::Destroyed]
            .map(|state| state as u8);
        assert_eq!(numbers, [1, 2, 3, 4]);
    }

    #[test]
    fn start_times() {
        let fields = (3..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        for name in ["sh", "a b", "x) (y", ") 1 2 3"] {
            assert_eq!(
                start_time(format!("1 ({name}) {fields}").as_bytes()).as_deref(),
                Some("22"),
                "{name}"
            );
        }
        assert_eq!(start_time(b"1 (x) S 1"), None);
        assert_eq!(start_time(b""), None);
    }
}
