//! `tmpcopyup`: a new tmpfs begins with what lies at its place in the rootfs.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use libcontainer_plan::{At, Builder, Dir, HostStep, How, Mount, Slot};

use super::target::{Kind, Links, target};
use crate::copy::{Root, copy_tree};

/// What a new filesystem is filled with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyUp {
    /// Where the rootfs is attached: the path that was given to [`super::take_rootfs`].
    pub rootfs: PathBuf,
    /// The directory in the rootfs, resolved as the place of a mount is.
    pub path: PathBuf,
    /// Which attributes of that directory the root of the new filesystem takes.
    pub root: Root,
}

/// Passes the directory and the still detached filesystem to the host, which copies, and waits for it.
///
/// RACE: nothing of the container runs yet, and nobody else can reach the new filesystem. Another container with the same
/// rootfs may change the source meanwhile; the host walks it by descriptors and follows no link.
pub(super) fn copy_up(plan: &mut Builder, copy: &CopyUp, made: Slot<Mount>) {
    let root: Slot<Dir> =
        plan.openat2(At::Cwd, &copy.rootfs, How { flags: libc::O_PATH | libc::O_DIRECTORY, ..How::TRUSTED });
    let place = target(plan, root, &copy.path, Kind::Directory, Links::InRoot);
    let (from, to) =
        (format!("what lies at {}", copy.path.display()), format!("new {}", copy.path.display()));
    plan.send_fd(place, &from);
    plan.send_fd(made, &to);
    plan.close(place).close(root);
    let (text, attributes) = (format!("copy {from} into the new filesystem"), copy.root);
    plan.host(HostStep::shared(text, move |context| {
        let lost = || io::Error::from_raw_os_error(libc::EBADMSG);
        let (source, target) = (context.take(&from).ok_or_else(lost)?, context.take(&to).ok_or_else(lost)?);
        copy_tree(source.as_fd(), target.as_fd(), attributes)
    }));
    plan.await_host("copied");
}
