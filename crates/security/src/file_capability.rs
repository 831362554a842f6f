//! Capabilities of files: the extended attribute `security.capability`, capabilities(7), "File capabilities".

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};

use crate::capability::CapSet;

const NAME: &str = "security.capability";
const REVISION: u32 = 0xff00_0000;
const EFFECTIVE: u32 = 1;
/// Length of each version, the first is 1. linux/capability.h: `XATTR_CAPS_SZ_1` and so on.
const LENGTHS: [usize; 3] = [12, 20, 24];

/// Capabilities that a program gets when it is run from this file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileCapabilities {
    /// Permitted set: granted, as far as the bounding set lets it.
    pub permitted: CapSet,
    /// Inheritable set: granted as far as the process has it inheritable.
    pub inheritable: CapSet,
    /// What is granted is effective at once; otherwise the program has to raise it.
    pub effective: bool,
    /// User id, as the reader sees it, of root of the user namespace in which alone they count (version 3); `None` for the reader's own.
    pub root: Option<u32>,
}

/// Why a file's capabilities are not known or not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileCapabilityError {
    /// The attribute has a length that no version has.
    #[error("{NAME}: {length} bytes, which no version has")]
    Length {
        /// What was read.
        length: usize,
    },
    /// The attribute says that it is of another version, or has flags that are not known.
    #[error("{NAME}: {length} bytes that begin with {magic:#010x}: not of version 1, 2 or 3")]
    Version {
        /// What was read.
        length: usize,
        /// The first word.
        magic: u32,
    },
    /// A system call failed.
    #[error("{call}: {}", libcontainer_plan::errno_text(*errno))]
    Call {
        /// The call with its arguments.
        call: String,
        /// The error number.
        errno: i32,
    },
}

impl FileCapabilityError {
    /// The error number, if a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

impl FileCapabilities {
    /// Reads the attribute's bytes, of version 1, 2 or 3. Any bytes are taken; what is no such attribute is an error.
    ///
    /// # Errors
    /// [`FileCapabilityError::Length`] or [`FileCapabilityError::Version`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FileCapabilityError> {
        let length = bytes.len();
        let version = LENGTHS.into_iter().position(|known| known == length);
        let version = version.ok_or(FileCapabilityError::Length { length })?;
        let word = |index: usize| {
            let word = bytes.get(index * 4..).and_then(<[u8]>::first_chunk);
            word.map_or(0, |word| u32::from_le_bytes(*word))
        };
        let magic = word(0);
        let wanted = u32::try_from(version + 1).unwrap_or(0) << 24;
        if magic & REVISION != wanted || magic & !(REVISION | EFFECTIVE) != 0 {
            return Err(FileCapabilityError::Version { length, magic });
        }
        // Version 1 has no high words.
        let high = |index| if version == 0 { 0 } else { word(index) };
        let set = |low: u32, high: u32| CapSet::from_bits(u64::from(low) | u64::from(high) << 32);
        Ok(Self {
            permitted: set(word(1), high(3)),
            inheritable: set(word(2), high(4)),
            effective: magic & EFFECTIVE != 0,
            root: (version == 2).then(|| word(5)),
        })
    }

    /// The attribute's bytes: version 3 if there is a root, else version 2.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let version = if self.root.is_some() { 3 } else { 2 };
        let [permitted, inheritable] = [self.permitted, self.inheritable].map(|set| set.bits().to_le_bytes());
        let magic: u32 = version << 24 | u32::from(self.effective);
        let mut bytes = magic.to_le_bytes().to_vec();
        for half in [0..4, 4..8] {
            for set in [&permitted, &inheritable] {
                bytes.extend(set.get(half.clone()).unwrap_or_default());
            }
        }
        bytes.extend(self.root.into_iter().flat_map(u32::to_le_bytes));
        bytes
    }

    /// Those of an open file: fgetxattr(2). `None` if it has none. The kernel tells a root in the terms of the reader's user namespace.
    ///
    /// # Errors
    /// Those of the call: `EOPNOTSUPP` where the filesystem has no attributes, `EBADF` for a descriptor opened with `O_PATH`, `EOVERFLOW` for capabilities of a
    /// user namespace whose root has no id in this one; and those of [`FileCapabilities::parse`].
    pub fn of(file: impl AsFd) -> Result<Option<Self>, FileCapabilityError> {
        // One byte more than any version: what is longer fails with `ERANGE`.
        let mut bytes = [0; 25];
        match fgetxattr(file, NAME, &mut bytes[..]) {
            Ok(length) => Self::parse(bytes.get(..length).unwrap_or_default()).map(Some),
            Err(rustix::io::Errno::NODATA) => Ok(None),
            Err(error) => Err(failed("fgetxattr", "", error)),
        }
    }

    /// Gives them to an open file: fsetxattr(2). A change of owner, and a write to the file, take them away again.
    ///
    /// # Errors
    /// Those of the call: `EPERM` without `CAP_SETFCAP`, `EINVAL` for a root that has no mapping, `EOPNOTSUPP` where the filesystem has no attributes.
    pub fn set(&self, file: impl AsFd) -> Result<(), FileCapabilityError> {
        fsetxattr(file, NAME, &self.to_bytes(), XattrFlags::empty())
            .map_err(|error| failed("fsetxattr", &format!(", {{{self}}}"), error))
    }

    /// Takes an open file's away: fremovexattr(2). None to take is success.
    ///
    /// # Errors
    /// Those of the call, as for [`FileCapabilities::set`].
    pub fn remove(file: impl AsFd) -> Result<(), FileCapabilityError> {
        match fremovexattr(file, NAME) {
            Ok(()) | Err(rustix::io::Errno::NODATA) => Ok(()),
            Err(error) => Err(failed("fremovexattr", "", error)),
        }
    }
}

fn failed(call: &str, value: &str, error: rustix::io::Errno) -> FileCapabilityError {
    let errno = io::Error::from(error).raw_os_error().unwrap_or(libc::EIO);
    FileCapabilityError::Call { call: format!("{call}({NAME}{value})"), errno }
}

impl fmt::Display for FileCapabilities {
    /// Writes the sets with their letters, as in `CHOWN,KILL=p NET_RAW=i effective root 1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=p {}=i", self.permitted, self.inheritable)?;
        if self.effective {
            f.write_str(" effective")?;
        }
        self.root.map_or(Ok(()), |root| write!(f, " root {root}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that `setcap` of libcap 2.66 has written.
    const NET_RAW_EP: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn attributes_of_each_version() {
        let raw = FileCapabilities {
            permitted: CapSet::from_bits(1 << 13),
            effective: true,
            ..FileCapabilities::default()
        };
        assert_eq!(FileCapabilities::parse(&NET_RAW_EP), Ok(raw));
        assert_eq!(raw.to_bytes(), NET_RAW_EP);
        assert_eq!(raw.to_string(), "NET_RAW=p =i effective");
        let both = FileCapabilities {
            permitted: CapSet::from_bits(1 << 40 | 1),
            inheritable: CapSet::from_bits(1 << 33),
            effective: false,
            root: Some(100_000),
        };
        let bytes = both.to_bytes();
        assert_eq!(
            (bytes.len(), &bytes[..4], &bytes[20..]),
            (24, &[0, 0, 0, 3][..], &[0xa0, 0x86, 1, 0][..])
        );
        assert_eq!(FileCapabilities::parse(&bytes), Ok(both));
        let first = [1, 0, 0, 1, 2, 0, 0, 0, 4, 0, 0, 0];
        let first = FileCapabilities::parse(&first).unwrap();
        assert_eq!((first.permitted.bits(), first.inheritable.bits(), first.effective), (2, 4, true));
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut newer = NET_RAW_EP;
        newer[3] = 4;
        let mut flagged = NET_RAW_EP;
        flagged[0] = 3;
        let mut third = NET_RAW_EP;
        third[3] = 3;
        for bytes in [newer, flagged, third] {
            assert!(matches!(FileCapabilities::parse(&bytes), Err(FileCapabilityError::Version { .. })));
        }
        for length in [0, 1, 4, 11, 19, 21, 23, 25, 400] {
            let error = FileCapabilities::parse(&vec![2; length]).unwrap_err();
            assert_eq!(error, FileCapabilityError::Length { length });
        }
    }
}
