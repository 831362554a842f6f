//! A device node.

use std::ffi::OsStr;
use std::path::PathBuf;

use libcontainer_plan::{Builder, Dir, Slot};

/// Kind of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Character device.
    Character,
    /// Block device.
    Block,
    /// Named pipe; has no number.
    Fifo,
}

/// A device node to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Path in the container.
    pub path: PathBuf,
    /// Kind.
    pub kind: NodeKind,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Permission bits.
    pub mode: u32,
    /// Owner and group, in the container's user namespace.
    pub owner: (u32, u32),
    /// How it gets there.
    pub origin: Origin,
}

/// How a device node gets into a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// mknod(2), which is refused in a user namespace.
    #[default]
    Made,
    /// The host's node of the same path is bound, with the owner and the mode that it has.
    Host,
    /// The host makes one, which is bound.
    ByHost {
        /// Owner and group, as the host sees them.
        owner: (u32, u32),
        /// Context of SELinux of the filesystem on which it is made.
        label: Option<String>,
    },
}

/// Makes it in a directory.
pub(super) fn make_node(plan: &mut Builder, parent: Slot<Dir>, name: &OsStr, node: &Node) {
    let (kind, number) = match node.kind {
        NodeKind::Character => (libc::S_IFCHR, node.number),
        NodeKind::Block => (libc::S_IFBLK, node.number),
        NodeKind::Fifo => (libc::S_IFIFO, (0, 0)),
    };
    plan.mknodat(parent, name, kind | node.mode, device_number(number));
    if node.owner != (0, 0) {
        plan.fchownat(parent, name, node.owner.0, node.owner.1);
    }
}

/// The kernel's 32-bit form of a device number: what mknod(2) takes.
fn device_number((major, minor): (u32, u32)) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_the_kernels() {
        for (major, minor) in [(1, 3), (5, 0), (136, 255), (8, 256), (4095, 0xf_ffff), (10, 229)] {
            let wanted = libc::makedev(major, minor);
            assert_eq!(libc::dev_t::from(device_number((major, minor))), wanted, "{major}:{minor}");
        }
    }
}
