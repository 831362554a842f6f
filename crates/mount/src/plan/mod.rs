//! Plan fragments: the mount namespace of a container, step by step.
//!
//! Every target is looked up from a descriptor of the rootfs (`openat2`, scoped to it), every mount is built detached and
//! attached once, onto a descriptor. No step follows a path out of the rootfs, whatever another process does to it meanwhile.

mod copy_up;
mod device;
mod filesystem;
mod host_node;
mod idmap;
mod mask;
mod node;
mod rootfs;
mod seen;
mod target;

pub use copy_up::CopyUp;
pub use device::{console, console_in, device_links, device_node, devices, usual_dev};
pub use filesystem::{Bind, Filesystem, attach, attach_open, bind, bind_in, link, mount};
pub use idmap::{IdMap, Ids};
pub use mask::{Attached, Protected, hide, make_read_only};
pub use node::{Node, NodeKind, Origin};
pub use rootfs::{
    Propagation, Rootfs, enter_by_move, enter_by_pivot, enter_directory, read_only, set_propagation,
    take_rootfs,
};
pub use seen::look;
pub use target::{Kind, Links, components, make_directory, target};

/// Attributes of mount_setattr(2) and fsmount(2).
pub mod attr {
    /// `MOUNT_ATTR_RDONLY`
    pub const RDONLY: u32 = 0x1;
    /// `MOUNT_ATTR_NOSUID`
    pub const NOSUID: u32 = 0x2;
    /// `MOUNT_ATTR_NODEV`
    pub const NODEV: u32 = 0x4;
    /// `MOUNT_ATTR_NOEXEC`
    pub const NOEXEC: u32 = 0x8;
    /// `MOUNT_ATTR_STRICTATIME`
    pub const STRICTATIME: u32 = 0x20;
}
