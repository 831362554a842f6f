//! The pipes of a program, which it opens anew by `/dev/stdout` and its like: they become its user's, as runc has it.

use std::io;
use std::os::fd::OwnedFd;

use libcontainer_plan::OpenStdio;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Uid, fchown};

use crate::config::{Config, NamespaceKind};

/// Gives the pipes among the program's standard descriptors to the user with this id inside. Of a user namespace that is joined it is not known who
/// that is; there they stay as they are, as they do for who may give nothing away. What is no pipe is the caller's.
pub(super) fn give_away(opened: &OpenStdio, config: &Config, uid: u32) -> io::Result<()> {
    let Some(uid) = outside(config, uid) else { return Ok(()) };
    opened.theirs.iter().try_for_each(|fd| give(fd, Uid::from_raw(uid)))
}

fn give(fd: &OwnedFd, uid: Uid) -> io::Result<()> {
    let found = fstat(fd)?;
    let is_pipe = SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFIFO;
    if !is_pipe || found.st_uid == uid.as_raw() {
        return Ok(());
    }
    match fchown(fd, Some(uid), None) {
        // The program can write to it all the same, but not open it.
        Err(Errno::EPERM | Errno::EROFS) => Ok(()),
        done => Ok(done?),
    }
}

/// The id on the host of a user of the container.
pub(super) fn outside(config: &Config, uid: u32) -> Option<u32> {
    if !config.namespaces.contains(NamespaceKind::User) {
        return Some(uid);
    }
    let map = config.uid_mappings.iter().find(|map| map.has(uid))?;
    u32::try_from(map.host_id + i64::from(uid) - map.container_id).ok()
}

#[cfg(test)]
mod tests {
    use libcontainer_mount::IdMapping;

    use super::outside;
    use crate::config::{Config, Namespace, NamespaceKind};

    #[test]
    fn a_user_is_named_as_outside() {
        let mut config = Config::default();
        assert_eq!(outside(&config, 5), Some(5));
        config.namespaces.set(NamespaceKind::User, Namespace::New);
        assert_eq!(outside(&config, 5), None);
        config.uid_mappings = vec![IdMapping { container_id: 0, host_id: 300_000, size: 10 }];
        assert_eq!(outside(&config, 5), Some(300_005));
        assert_eq!(outside(&config, 10), None);
    }
}
