//! What was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::seccomp::Arch;

bitflags::bitflags! {
    /// What is done to a path.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Access: u32 {
        /// A file is read.
        const READ = 1;
        /// A file is written to.
        const WRITE = 1 << 1;
        /// A file is cut.
        const TRUNCATE = 1 << 2;
        /// A program is executed.
        const EXECUTE = 1 << 3;
        /// A directory is listed.
        const LIST = 1 << 4;
        /// Files are made in a directory.
        const MAKE_FILE = 1 << 5;
        /// Directories are made in it.
        const MAKE_DIR = 1 << 6;
        /// Links are made in it.
        const MAKE_LINK = 1 << 7;
        /// Pipes are made in it.
        const MAKE_PIPE = 1 << 8;
        /// Sockets are made in it.
        const MAKE_SOCKET = 1 << 9;
        /// Devices are made in it.
        const MAKE_DEVICE = 1 << 10;
        /// Files are removed from it.
        const REMOVE_FILE = 1 << 11;
        /// Directories are removed from it.
        const REMOVE_DIR = 1 << 12;
        /// Files are moved into it, or out of it.
        const MOVE = 1 << 13;
        /// A device is controlled.
        const CONTROL = 1 << 14;
    }
}

/// All that was seen of a program and its children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Calls by architecture and name; of those whose arguments make a difference, what these were.
    pub calls: BTreeMap<(Arch, &'static str), BTreeSet<u64>>,
    /// Calls without a name here: audit value and number. They failed with ENOSYS.
    pub unknown: BTreeSet<(u32, u32)>,
    /// What was done to paths, as they are called inside.
    pub paths: BTreeMap<PathBuf, Access>,
    /// Ports of TCP that were bound; 0 for what the kernel picked.
    pub bound: BTreeSet<u16>,
    /// Ports of TCP that were connected to.
    pub connected: BTreeSet<u16>,
    /// Names of capabilities that the calls may need.
    pub capabilities: BTreeSet<&'static str>,
    /// How many arguments could not be read.
    pub unread: u64,
    /// Error numbers by which files and arguments could not be looked at.
    pub refused: BTreeSet<i32>,
    /// How many calls there were.
    pub total: u64,
}

impl Observation {
    pub(super) fn touch(&mut self, path: PathBuf, access: Access) {
        if !access.is_empty() {
            *self.paths.entry(path).or_default() |= access;
        }
    }

    /// Takes in what another run has shown.
    pub fn merge(&mut self, other: Self) {
        for (call, values) in other.calls {
            self.calls.entry(call).or_default().extend(values);
        }
        for (path, access) in other.paths {
            self.touch(path, access);
        }
        self.unknown.extend(other.unknown);
        self.bound.extend(other.bound);
        self.connected.extend(other.connected);
        self.capabilities.extend(other.capabilities);
        self.unread += other.unread;
        self.refused.extend(other.refused);
        self.total += other.total;
    }
}
