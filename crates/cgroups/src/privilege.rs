//! What this process is to the machine.

use crate::error::{Error, Result};

/// Whether this process is root of the machine, and not of a user namespace (user_namespaces(7)).
///
/// # Errors
/// [`Error::Read`] of `/proc/self/uid_map`: then it can't be known.
pub(crate) fn is_root_of_machine() -> Result<bool> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(false);
    }
    let path = "/proc/self/uid_map";
    match std::fs::read_to_string(path) {
        Ok(map) => Ok(is_everything(&map)),
        // A kernel without user namespaces: nobody is in one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_procfs_there() => Ok(true),
        Err(source) => Err(Error::Read { path: path.into(), source }),
    }
}

/// All ids, each mapped to itself: only the first namespace has that.
fn is_everything(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn is_procfs_there() -> bool {
    // Without procfs it isn't known why the map is missing; an error of this look is no yes either.
    std::fs::symlink_metadata("/proc/self/status").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps() {
        assert!(is_everything("         0          0 4294967295\n"));
        for other in ["", "0 1000 1\n", "0 0 65536\n", "0 0 4294967295\n1 1 1\n"] {
            assert!(!is_everything(other), "{other:?}");
        }
    }
}
