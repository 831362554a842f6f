//! `/proc/PID/status` as values: proc_pid_status(5).

use std::fmt;
use std::str;

use crate::capability::{CapSet, Capabilities};

/// The four ids of one kind, as `Uid:` and `Gid:` list them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ids {
    /// Whose process it is.
    pub real: u32,
    /// What the kernel checks.
    pub effective: u32,
    /// What the process may go back to.
    pub saved: u32,
    /// What the kernel checks for files; follows the effective id unless setfsuid(2) or setfsgid(2) was called.
    pub filesystem: u32,
}

impl Ids {
    /// All four the same.
    #[must_use]
    pub fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, filesystem: id }
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.real, self.effective, self.saved, self.filesystem)
    }
}

/// What `Seccomp:` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SeccompMode {
    /// 0: every system call goes through.
    Disabled,
    /// 1: read, write, exit and sigreturn only.
    Strict,
    /// 2: filters decide.
    Filter,
}

/// What is wrong with the text of a status file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A line that every supported kernel writes is not there.
    #[error("no line {field:?}")]
    Missing {
        /// Name of the line, without the colon.
        field: &'static str,
    },
    /// A line stands there twice.
    #[error("two lines {field:?}")]
    Twice {
        /// Name of the line.
        field: &'static str,
    },
    /// The value of a line can't be read.
    #[error("line {field:?} has the value {value:?}")]
    Malformed {
        /// Name of the line.
        field: &'static str,
        /// At most 64 bytes of the value, other bytes than text replaced.
        value: String,
    },
}

/// What a task may do and whose it is. Ids are those of the reader's user namespace; an id without a mapping reads as 65534.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// User ids.
    pub uids: Ids,
    /// Group ids.
    pub gids: Ids,
    /// Supplementary groups, in the kernel's order, which is ascending in the ids of the initial user namespace.
    pub groups: Vec<u32>,
    /// The five capability sets.
    pub capabilities: Capabilities,
    /// Whether exec can no longer add privileges.
    pub no_new_privs: bool,
    /// Seccomp mode; `None` if the kernel is built without seccomp.
    pub seccomp: Option<SeccompMode>,
    /// Number of seccomp filters (Linux 5.9); `None` as above.
    pub seccomp_filters: Option<u32>,
}

impl Status {
    /// Reads the bytes of `/proc/PID/status` or `/proc/PID/task/TID/status`.
    ///
    /// Lines that are not listed in [`Status`] are skipped, whatever is in them: the name of a program is any bytes. The
    /// kernel escapes a newline in it, so that a name can't pass for a line.
    ///
    /// # Errors
    /// The first line that is missing, stands there twice, or has a value that is not the kernel's form: nothing is guessed.
    pub fn parse(text: &[u8]) -> Result<Self, StatusError> {
        let lines = Lines::of(text)?;
        let set = |field| Ok(CapSet::from_bits(lines.only(field, mask)?));
        Ok(Self {
            uids: lines.only("Uid", ids)?,
            gids: lines.only("Gid", ids)?,
            groups: lines.only("Groups", numbers)?,
            capabilities: Capabilities {
                bounding: set("CapBnd")?,
                effective: set("CapEff")?,
                permitted: set("CapPrm")?,
                inheritable: set("CapInh")?,
                ambient: set("CapAmb")?,
            },
            no_new_privs: lines.only("NoNewPrivs", flag)?,
            seccomp: lines.optional("Seccomp", mode)?,
            seccomp_filters: lines.optional("Seccomp_filters", number)?,
        })
    }
}

const FIELDS: [&str; 11] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

/// The values of the lines that count, found in one pass.
struct Lines<'a>([Option<&'a [u8]>; FIELDS.len()]);

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Result<Self, StatusError> {
        let mut found = [None; FIELDS.len()];
        for line in text.split(|byte| *byte == b'\n') {
            for (field, place) in FIELDS.into_iter().zip(&mut found) {
                let Some(value) = line.strip_prefix(field.as_bytes()) else { continue };
                let Some(value) = value.strip_prefix(b":") else { continue };
                if place.replace(value).is_some() {
                    return Err(StatusError::Twice { field });
                }
            }
        }
        Ok(Self(found))
    }

    fn only<T>(&self, field: &'static str, read: impl Fn(&[u8]) -> Option<T>) -> Result<T, StatusError> {
        self.optional(field, read)?.ok_or(StatusError::Missing { field })
    }

    fn optional<T>(
        &self,
        field: &'static str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StatusError> {
        let mut named = FIELDS.into_iter().zip(self.0).filter(|(name, _)| *name == field);
        let Some(value) = named.next().and_then(|(_, value)| value) else { return Ok(None) };
        let malformed = || {
            let shown = value.get(..64).unwrap_or(value);
            StatusError::Malformed { field, value: String::from_utf8_lossy(shown).trim().to_owned() }
        };
        read(value.trim_ascii()).map(Some).ok_or_else(malformed)
    }
}

/// Decimal digits only: no sign, which `parse` would take.
fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn numbers(text: &[u8]) -> Option<Vec<u32>> {
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(number).collect()
}

fn ids(text: &[u8]) -> Option<Ids> {
    let [real, effective, saved, filesystem] = numbers(text)?.try_into().ok()?;
    Some(Ids { real, effective, saved, filesystem })
}

/// Sixteen hexadecimal digits, as the kernel always writes them.
fn mask(text: &[u8]) -> Option<u64> {
    let whole = text.len() == 16 && text.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(str::from_utf8(text).ok().filter(|_| whole)?, 16).ok()
}

fn flag(text: &[u8]) -> Option<bool> {
    match text {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

fn mode(text: &[u8]) -> Option<SeccompMode> {
    match text {
        b"0" => Some(SeccompMode::Disabled),
        b"1" => Some(SeccompMode::Strict),
        b"2" => Some(SeccompMode::Filter),
        _ => None,
    }
}
