//! Directories and files on whose labels the system depends.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::SelinuxError;

/// They are not relabelled themselves; what lies below most of them is.
const PATHS: [&str; 24] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/etc/pki",
    "/etc/shadow",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/log",
];

/// Nothing below these is.
const TREES: [&str; 3] = ["/usr", "/proc", "/sys"];

/// Whether a path, as it is written, is one of them: to refuse a config before anything else is looked at.
#[must_use]
pub fn is_protected(path: &Path) -> bool {
    // Without doubled and trailing slashes and `.`.
    let plain: PathBuf = path.components().collect();
    PATHS.iter().any(|protected| plain == Path::new(protected))
        || TREES.iter().any(|tree| plain.starts_with(tree))
}

/// Device and inode of each of them, and of the homes of who runs this and who called sudo(8): links and other names for them are seen through.
pub(super) struct Protected(BTreeSet<(u64, u64)>);

impl Protected {
    /// # Errors
    /// stat(2) of one that is there and can't be looked at.
    pub(super) fn look() -> Result<Self, SelinuxError> {
        let mut found = BTreeSet::new();
        for path in PATHS.iter().map(PathBuf::from).chain(homes()?) {
            match path.metadata() {
                Ok(data) => {
                    found.insert((data.dev(), data.ino()));
                }
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {}
                Err(error) => return Err(failed("stat", &path, &error)),
            }
        }
        Ok(Self(found))
    }

    pub(super) fn has(&self, device: u64, inode: u64) -> bool {
        self.0.contains(&(device, inode))
    }
}

fn homes() -> Result<Vec<PathBuf>, SelinuxError> {
    let own = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let caller = std::env::var_os("SUDO_USER").map(|name| home_of(name.as_bytes())).transpose()?;
    Ok(own.into_iter().chain(caller.flatten()).collect())
}

fn home_of(user: &[u8]) -> Result<Option<PathBuf>, SelinuxError> {
    let path = Path::new("/etc/passwd");
    let passwd = std::fs::read(path).map_err(|error| failed("read", path, &error))?;
    let line = passwd
        .split(|byte| *byte == b'\n')
        .find(|line| line.split(|byte| *byte == b':').next() == Some(user));
    let home = line.and_then(|line| line.split(|byte| *byte == b':').nth(5));
    Ok(home.map(|home| PathBuf::from(std::ffi::OsStr::from_bytes(home))).filter(|home| home.is_absolute()))
}

fn failed(call: &str, path: &Path, error: &io::Error) -> SelinuxError {
    SelinuxError::call(format!("{call} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_however_they_are_written() {
        for path in [
            "/",
            "//",
            "/etc",
            "/etc/",
            "/./etc/.",
            "/home",
            "/usr/share/x",
            "/proc/self",
            "/var/lib",
            "/tmp",
        ] {
            assert!(is_protected(Path::new(path)), "{path}");
        }
        for path in ["/etc/app", "/home/me/data", "/srv/data", "/var/lib/app", "/usrdata", "/tmp/x", "data"] {
            assert!(!is_protected(Path::new(path)), "{path}");
        }
    }
}
