//! Which criu it is, and where it is found.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// The oldest that will do: from here on it keeps the profiles of Linux security modules, freezes groups of version 2 and knows external pid namespaces.
const OLDEST: Version = Version([3, 16, 0]);
const REMEDY: &str = "install the package criu";

/// A version of criu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) [u32; 3]);

impl Version {
    /// Refuses one that is too old.
    pub(super) fn check(self) -> Result<Self> {
        if self >= OLDEST {
            return Ok(self);
        }
        let text = format!("criu is version {self}: {OLDEST} or newer is wanted ({REMEDY})");
        Err(Error::new(ErrorKind::Unsupported, text))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, sublevel]) = self;
        match sublevel {
            0 => write!(f, "{major}.{minor}"),
            _ => write!(f, "{major}.{minor}.{sublevel}"),
        }
    }
}

/// The program: as told, or `criu` in this process's `PATH`. Never one of the container's.
pub(crate) fn program(told: Option<&Path>) -> Result<PathBuf> {
    match told {
        Some(path) => {
            let shown = path.display();
            if !is_program(path)? {
                let text = format!("{shown}: no program that can be run as criu");
                return Err(Error::new(ErrorKind::Unsupported, text));
            }
            std::path::absolute(path).map_err(|error| Error::io(format!("path of {shown}"), error))
        }
        None => in_path(&env::var_os("PATH").unwrap_or_else(|| DEFAULT.into())),
    }
}

const DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Relative parts of the path are passed over: what lies in a working directory is anybody's.
fn in_path(path: &OsStr) -> Result<PathBuf> {
    for dir in env::split_paths(path).filter(|dir| dir.is_absolute()) {
        let program = dir.join("criu");
        if is_program(&program)? {
            return Ok(program);
        }
    }
    let text = format!("criu is not there: none in PATH={} ({REMEDY})", path.to_string_lossy());
    Err(Error::new(ErrorKind::Unsupported, text))
}

/// What can't be looked at is not known to be none.
fn is_program(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(data) => Ok(data.is_file() && data.permissions().mode() & 0o111 != 0),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(false),
        Err(error) => Err(Error::io(format!("stat {}", path.display()), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_one_is_refused_with_both_versions() {
        assert_eq!(Version([3, 17, 1]).check().unwrap().to_string(), "3.17.1");
        assert!(Version([4, 0, 0]).check().is_ok());
        let error = Version([3, 15, 9]).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "criu is version 3.15.9: 3.16 or newer is wanted (install the package criu)"
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_missing_one_is_told_with_the_remedy() {
        let error = in_path(OsStr::new("/no/such:relative:")).unwrap_err().to_string();
        assert_eq!(error, "criu is not there: none in PATH=/no/such:relative: (install the package criu)");
        let told = program(Some(Path::new("/no/such/criu"))).unwrap_err().to_string();
        assert_eq!(told, "/no/such/criu: no program that can be run as criu");
        // A name that is too long says nothing of what is there.
        let long = format!("/{}", "x".repeat(256));
        assert_eq!(in_path(OsStr::new(&long)).unwrap_err().errno(), Some(libc::ENAMETOOLONG));
        assert_eq!(program(Some(Path::new(&long))).unwrap_err().errno(), Some(libc::ENAMETOOLONG));
    }
}
