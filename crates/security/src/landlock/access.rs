//! What Landlock can restrict: rights on files, networks and signals, by name and by the kernel's bits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

bitflags::bitflags! {
    /// Rights on files and directories: landlock(7), "Filesystem actions". In JSON a list of their names in lower case; `read` stands for
    /// `read_file` and `read_dir`, `write` for `write_file`, `truncate`, `refer`, `remove_*` and `make_*` but the two kinds of devices.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PathAccess: u64 {
        /// Run a file.
        const EXECUTE = 1;
        /// Open a file for writing.
        const WRITE_FILE = 1 << 1;
        /// Open a file for reading.
        const READ_FILE = 1 << 2;
        /// List a directory.
        const READ_DIR = 1 << 3;
        /// Remove or rename a directory.
        const REMOVE_DIR = 1 << 4;
        /// Remove or rename a file.
        const REMOVE_FILE = 1 << 5;
        /// Make a character device.
        const MAKE_CHAR = 1 << 6;
        /// Make a directory.
        const MAKE_DIR = 1 << 7;
        /// Make a file.
        const MAKE_REG = 1 << 8;
        /// Make a Unix socket.
        const MAKE_SOCK = 1 << 9;
        /// Make a named pipe.
        const MAKE_FIFO = 1 << 10;
        /// Make a block device.
        const MAKE_BLOCK = 1 << 11;
        /// Make a symbolic link.
        const MAKE_SYM = 1 << 12;
        /// Link or rename a file into another directory. ABI 2; never allowed before.
        const REFER = 1 << 13;
        /// Truncate a file. ABI 3.
        const TRUNCATE = 1 << 14;
        /// ioctl(2) of a device that was opened here. ABI 5.
        const IOCTL_DEV = 1 << 15;
        /// Connect to a Unix socket by its path, of another domain. ABI 9.
        const RESOLVE_UNIX = 1 << 16;
    }
}

impl PathAccess {
    /// What a rule on something else than a directory can allow.
    pub const OF_FILES: Self = Self::EXECUTE
        .union(Self::WRITE_FILE)
        .union(Self::READ_FILE)
        .union(Self::TRUNCATE)
        .union(Self::IOCTL_DEV)
        .union(Self::RESOLVE_UNIX);
    /// Those of ABI 5, Linux 6.10. What is handled unless something else is asked for; newer ones are never added to it.
    pub const USUAL: Self = Self::from_bits_retain(0xffff);
    const READ: Self = Self::READ_FILE.union(Self::READ_DIR);
    const WRITE: Self = Self::WRITE_FILE
        .union(Self::TRUNCATE)
        .union(Self::REFER)
        .union(Self::REMOVE_DIR)
        .union(Self::REMOVE_FILE)
        .union(Self::MAKE_DIR)
        .union(Self::MAKE_REG)
        .union(Self::MAKE_SOCK)
        .union(Self::MAKE_FIFO)
        .union(Self::MAKE_SYM);

    /// The right of that name, in lower case, or the group `read` or `write`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Self::READ),
            "write" => Some(Self::WRITE),
            _ if name.bytes().any(|byte| byte.is_ascii_uppercase()) => None,
            _ => Self::from_name(&name.to_ascii_uppercase()),
        }
    }

    /// Names of the rights, in lower case.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| name.to_ascii_lowercase())
    }

    /// Those that this version of the kernel's interface has.
    #[must_use]
    pub fn of_abi(abi: u32) -> Self {
        let newer = [(2, Self::REFER), (3, Self::TRUNCATE), (5, Self::IOCTL_DEV), (9, Self::RESOLVE_UNIX)];
        let first = Self::from_bits_retain(if abi == 0 { 0 } else { 0x1fff });
        newer.into_iter().filter(|(since, _)| abi >= *since).fold(first, |all, (_, right)| all | right)
    }
}

impl Serialize for PathAccess {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for PathAccess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let one = |name: &String| {
            Self::named(name)
                .ok_or_else(|| serde::de::Error::custom(format!("{name:?}: no right of Landlock's")))
        };
        names.iter().try_fold(Self::empty(), |all, name| Ok(all | one(name)?))
    }
}

/// What is not to be done across the border of the container's processes: landlock(7), "Scope flags". ABI 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Connect to abstract Unix sockets of others.
    AbstractUnixSocket,
    /// Send signals to others.
    Signal,
}

impl Scope {
    /// The kernel's bit.
    #[must_use]
    pub fn bit(self) -> u64 {
        match self {
            Self::AbstractUnixSocket => 1,
            Self::Signal => 2,
        }
    }

    pub(super) const ABI: u32 = 6;

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AbstractUnixSocket => "abstract_unix_socket",
            Self::Signal => "signal",
        }
    }
}

/// What a rule on a port can allow: landlock(7), "Network flags".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PortAccess {
    BindTcp,
    ConnectTcp,
    BindUdp,
    ConnectUdp,
}

impl PortAccess {
    pub(super) fn bit(self) -> u64 {
        match self {
            Self::BindTcp => 1,
            Self::ConnectTcp => 2,
            Self::BindUdp => 4,
            Self::ConnectUdp => 8,
        }
    }

    pub(super) fn abi(self) -> u32 {
        match self {
            Self::BindTcp | Self::ConnectTcp => 4,
            Self::BindUdp | Self::ConnectUdp => 10,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BindTcp => "bind_tcp",
            Self::ConnectTcp => "connect_tcp",
            Self::BindUdp => "bind_udp",
            Self::ConnectUdp => "connect_udp",
        }
    }
}
