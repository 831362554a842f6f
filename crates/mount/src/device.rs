//! Device nodes: the config type, 2014's default lists, and reading the host's nodes.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use libcontainer_plan::names;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Number that stands for any in an allow list.
pub const WILDCARD: i64 = -1;

/// Kind of a device. JSON has 2014's number (the code of the letter) and accepts the letter too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// `c`, 99; `u` is read as the same.
    #[default]
    Character,
    /// `b`, 98.
    Block,
    /// `p`, 112.
    Fifo,
}

impl DeviceKind {
    /// The letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Character => 'c',
            Self::Block => 'b',
            Self::Fifo => 'p',
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        match code {
            99 | 117 => Some(Self::Character),
            98 => Some(Self::Block),
            112 => Some(Self::Fifo),
            _ => None,
        }
    }
}

impl Serialize for DeviceKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(u32::from(self.letter()))
    }
}

impl<'de> Deserialize<'de> for DeviceKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Code(u64),
            Letter(char),
        }
        let code = match Either::deserialize(deserializer) {
            Ok(Either::Code(code)) => code,
            Ok(Either::Letter(letter)) => u64::from(letter),
            Err(_) => 0,
        };
        Self::from_code(code)
            .ok_or_else(|| serde::de::Error::custom("device type: 99 or \"c\", 98 or \"b\", 112 or \"p\""))
    }
}

/// A device: a node to be made, or a rule of an allow list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceNode {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// Absolute path inside; empty in rules.
    #[serde(skip_serializing_if = "is_empty")]
    pub path: PathBuf,
    /// Major number; [`WILDCARD`] in rules.
    #[serde(skip_serializing_if = "is_zero")]
    pub major_number: i64,
    /// Minor number; [`WILDCARD`] in rules.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor_number: i64,
    /// Letters of `rwm`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroup_permissions: String,
    /// Permission bits as a decimal number: 438 is 0666. 0 means 0666 too.
    #[serde(skip_serializing_if = "is_none")]
    pub file_mode: u32,
    /// Owner inside.
    #[serde(skip_serializing_if = "is_none")]
    pub uid: u32,
    /// Group inside.
    #[serde(skip_serializing_if = "is_none")]
    pub gid: u32,
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(number: &u32) -> bool {
    *number == 0
}

impl DeviceNode {
    fn new(kind: DeviceKind, path: &str, major: i64, minor: i64, permissions: &str, mode: u32) -> Self {
        Self {
            kind,
            path: path.into(),
            major_number: major,
            minor_number: minor,
            cgroup_permissions: permissions.to_owned(),
            file_mode: mode,
            ..Self::default()
        }
    }

    /// The rule as `devices.allow` takes it, such as `c 1:3 rwm`.
    #[must_use]
    pub fn rule(&self) -> String {
        let number = |number: i64| if number == WILDCARD { "*".to_owned() } else { number.to_string() };
        let (major, minor) = (number(self.major_number), number(self.minor_number));
        format!("{} {major}:{minor} {}", self.kind.letter(), self.cgroup_permissions)
    }

    /// The permission bits of the node.
    #[must_use]
    pub fn mode(&self) -> u32 {
        if self.file_mode == 0 { 0o666 } else { self.file_mode & 0o7777 }
    }

    /// Describes the device at `path` on the host; a link is not followed.
    ///
    /// # Errors
    /// That of lstat(2); `InvalidInput` if it is no device.
    pub fn from_path(path: &Path, permissions: &str) -> io::Result<Self> {
        Self::of(path, &path.symlink_metadata()?, permissions).ok_or_else(|| {
            let text = format!("{}: not a device node", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }

    /// `None` if it is no device.
    fn of(path: &Path, data: &Metadata, permissions: &str) -> Option<Self> {
        let kind = if data.file_type().is_char_device() {
            DeviceKind::Character
        } else if data.file_type().is_block_device() {
            DeviceKind::Block
        } else {
            return None;
        };
        Some(Self {
            kind,
            path: path.to_owned(),
            major_number: i64::from(libc::major(data.rdev())),
            minor_number: i64::from(libc::minor(data.rdev())),
            cgroup_permissions: permissions.to_owned(),
            file_mode: data.permissions().mode() & 0o7777,
            uid: data.uid(),
            gid: data.gid(),
        })
    }
}

/// The host's device nodes below `/dev`, without those in directories called `pts`, `shm` or `fd`.
///
/// # Errors
/// Those of open(2), getdents64(2) and lstat(2), with the path; what vanishes meanwhile is left out.
pub fn host_devices() -> io::Result<Vec<DeviceNode>> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from("/dev")];
    while let Some(dir) = left.pop() {
        for name in there(&dir, File::open(&dir).and_then(names))?.unwrap_or_default() {
            let path = dir.join(&name);
            // RACE: removed since it was listed.
            let Some(data) = there(&path, path.symlink_metadata())? else { continue };
            let skipped = ["pts", "shm", "fd"].iter().any(|known| name == *known);
            if data.is_dir() && !skipped {
                left.push(path);
            } else {
                found.extend(DeviceNode::of(&path, &data, "rwm"));
            }
        }
    }
    Ok(found)
}

/// `None` if there is nothing; any other error with the path.
fn there<T>(path: &Path, result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

/// The six nodes that every container has: null, zero, full, tty, urandom, random.
#[must_use]
pub fn default_simple_devices() -> Vec<DeviceNode> {
    let all =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("tty", 5, 0), ("urandom", 1, 9), ("random", 1, 8)];
    let node = |(name, major, minor)| {
        DeviceNode::new(DeviceKind::Character, &format!("/dev/{name}"), major, minor, "rwm", 0o666)
    };
    all.into_iter().map(node).collect()
}

/// 2014's allow list: mknod of anything, console, virtual terminals, pts, ptmx, tun, and the simple six.
#[must_use]
pub fn default_allowed_devices() -> Vec<DeviceNode> {
    let character = |path, major, minor| DeviceNode::new(DeviceKind::Character, path, major, minor, "rwm", 0);
    let mut all = vec![
        DeviceNode::new(DeviceKind::Character, "", WILDCARD, WILDCARD, "m", 0),
        DeviceNode::new(DeviceKind::Block, "", WILDCARD, WILDCARD, "m", 0),
        character("/dev/console", 5, 1),
        character("/dev/tty0", 4, 0),
        character("/dev/tty1", 4, 1),
        character("", 136, WILDCARD),
        character("", 5, 2),
        character("", 10, 200),
    ];
    all.extend(default_simple_devices());
    all
}

/// 2014's list of nodes to make: `/dev/fuse` (with a mode, unlike then) and the simple six.
#[must_use]
pub fn default_created_devices() -> Vec<DeviceNode> {
    let mut all = vec![DeviceNode::new(DeviceKind::Character, "/dev/fuse", 10, 229, "rwm", 0o666)];
    all.extend(default_simple_devices());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbers_and_letters() {
        for (json, wanted) in [("99", 'c'), ("98", 'b'), ("\"c\"", 'c'), ("\"u\"", 'c'), ("\"p\"", 'p')] {
            let kind: DeviceKind = serde_json::from_str(json).unwrap();
            assert_eq!(kind.letter(), wanted, "{json}");
        }
        assert!(serde_json::from_str::<DeviceKind>("\"x\"").is_err());
        assert_eq!(serde_json::to_string(&DeviceKind::Character).unwrap(), "99");
    }

    #[test]
    fn lists_have_their_lengths_and_rules() {
        assert_eq!(
            (
                default_simple_devices().len(),
                default_allowed_devices().len(),
                default_created_devices().len()
            ),
            (6, 14, 7)
        );
        assert_eq!(default_allowed_devices()[0].rule(), "c *:* m");
        assert_eq!(default_allowed_devices()[8].rule(), "c 1:3 rwm");
    }

    #[test]
    #[cfg_attr(miri, ignore = "no device numbers")]
    fn host_nodes_are_read() {
        let null = DeviceNode::from_path(Path::new("/dev/null"), "rwm").unwrap();
        assert_eq!((null.major_number, null.minor_number, null.mode()), (1, 3, 0o666));
        assert!(DeviceNode::from_path(Path::new("/etc/passwd"), "r").is_err());
        assert!(host_devices().unwrap().iter().any(|node| node.path == Path::new("/dev/null")));
    }
}
