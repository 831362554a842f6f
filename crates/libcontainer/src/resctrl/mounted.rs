//! Where the filesystem is mounted, and what it says of a refusal.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer_mount::parse_mountinfo;

use crate::error::{Error, ErrorKind, Result, named};

/// A mounted resctrl filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResctrlMount {
    /// Where it is mounted.
    pub root: PathBuf,
    /// Name of the file with the members of a class, and of a group that measures: `tasks`. Tests have another filesystem whose directories bring their
    /// files by themselves, with other names.
    pub tasks: String,
    /// Name of the file with a class's shares: `schemata`.
    pub schemata: String,
    /// Directory in a class for groups that measure: `mon_groups`.
    pub monitors: String,
}

/// What is longer is none of these files.
const LIMIT: u64 = 1024 * 1024;

impl ResctrlMount {
    /// That filesystem, with the kernel's names.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let [tasks, schemata, monitors] = ["tasks", "schemata", "mon_groups"].map(str::to_owned);
        Self { root: root.into(), tasks, schemata, monitors }
    }

    /// Looks for it in `/proc/self/mountinfo`.
    pub(super) fn mounted() -> Result<Option<Self>> {
        let text = fs::read("/proc/self/mountinfo")
            .map_err(|error| Error::io("/resctrl: read /proc/self/mountinfo", error))?;
        for entry in parse_mountinfo(&text) {
            let entry = entry.map_err(|error| Error::io("/resctrl", io::Error::other(error)))?;
            if *entry.fstype == *b"resctrl" {
                return Ok(Some(Self::at(std::ffi::OsStr::from_bytes(&entry.target))));
            }
        }
        Ok(None)
    }

    /// The same, and why there is none.
    pub(super) fn find() -> Result<Self> {
        if let Some(found) = Self::mounted()? {
            return Ok(found);
        }
        let kernel = fs::read_to_string("/proc/filesystems")
            .map_err(|error| Error::io("/resctrl: read /proc/filesystems", error))?;
        let text = if kernel.lines().any(|line| line.trim_start_matches("nodev").trim() == "resctrl") {
            "/resctrl: no resctrl filesystem is mounted: mount -t resctrl resctrl /sys/fs/resctrl"
        } else {
            "/resctrl: this kernel has no resctrl (/proc/filesystems), or the processor has nothing to share out: leave it out (linux.intelRdt)"
        };
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// An error with what the filesystem says of the last command.
    pub(super) fn refused(&self, what: String, error: io::Error) -> io::Error {
        // More than the errno: what can't be read has nothing to say.
        let said = read(&self.root.join("info/last_cmd_status")).unwrap_or_default();
        match said.trim() {
            "" | "ok" => named(what, error),
            said => named(format!("{what} ({said})"), error),
        }
    }
}

/// The text of one of the small files.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}
