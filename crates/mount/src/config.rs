//! The mount part of a container's config: 2014's JSON keys, and new ones in the same style.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::device::DeviceNode;

fn unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `mount_config`: what the container sees as its file tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountConfig {
    /// Move the rootfs over `/` and change root instead of pivot_root(2): for a rootfs on a ramdisk.
    #[serde(skip_serializing_if = "unset")]
    pub no_pivot_root: bool,
    /// Make the rootfs read-only once everything is mounted.
    #[serde(skip_serializing_if = "unset")]
    pub readonly_fs: bool,
    /// Mounts in addition to the system's, in order.
    #[serde(skip_serializing_if = "unset")]
    pub mounts: Vec<Mount>,
    /// Device nodes. Empty means [`crate::default_simple_devices`].
    #[serde(skip_serializing_if = "unset")]
    pub device_nodes: Vec<DeviceNode>,
    /// SELinux context of the filesystems that are mounted new, passed to the kernel as `context=`.
    #[serde(skip_serializing_if = "unset")]
    pub mount_label: String,
    /// Absolute paths inside that are hidden.
    #[serde(skip_serializing_if = "unset")]
    pub masked_paths: Vec<PathBuf>,
    /// Absolute paths inside that are made read-only, with all below them.
    #[serde(skip_serializing_if = "unset")]
    pub readonly_paths: Vec<PathBuf>,
    /// Propagation of the rootfs: `private`, `slave`, `shared`, `unbindable`, each also with an `r` before it.
    #[serde(skip_serializing_if = "unset")]
    pub rootfs_propagation: String,
    /// No mounts but those listed: neither `/proc`, `/dev`, `/sys` nor any other of the system's.
    #[serde(skip_serializing_if = "unset")]
    pub bare: bool,
    /// With `bare`: the device nodes and the usual links are made in `/dev` all the same, be it one of the mounts listed or a directory of the
    /// rootfs. Nothing is made there if `/dev` is a bind, but a terminal lies on `/dev/console` in any case. A tmpfs without a mode has that of the
    /// directory that it covers.
    #[serde(skip_serializing_if = "unset")]
    pub fill_dev: bool,
}

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// `bind`, or the type of a filesystem.
    #[serde(rename = "type", skip_serializing_if = "unset")]
    pub kind: String,
    /// Host path of a bind; of a filesystem, what the kernel shows as source.
    #[serde(skip_serializing_if = "unset")]
    pub source: PathBuf,
    /// Absolute path inside; `..` is taken away as text, links are followed inside the rootfs.
    #[serde(skip_serializing_if = "unset")]
    pub destination: PathBuf,
    /// A bind is read-only unless this is set or `options` say `rw` or `rrw`, as in 2014; `ro` among the options counts more.
    #[serde(skip_serializing_if = "unset")]
    pub writable: bool,
    /// `z` or `Z`: SELinux relabelling of the source.
    #[serde(skip_serializing_if = "unset")]
    pub relabel: String,
    /// Make the mount private.
    #[serde(skip_serializing_if = "unset")]
    pub private: bool,
    /// Options as mount(8) and the OCI runtime spec name them.
    #[serde(skip_serializing_if = "unset")]
    pub options: Vec<String>,
    /// Further options, joined by commas: in 2014 the only ones. A tmpfs without `options` is `nosuid,nodev,noexec` unless these say otherwise.
    #[serde(skip_serializing_if = "unset")]
    pub data: String,
    /// Id map of the mount itself (mount_setattr(2), `MOUNT_ATTR_IDMAP`).
    #[serde(skip_serializing_if = "unset")]
    pub uid_mappings: Vec<IdMapping>,
    /// As `uid_mappings`, for groups.
    #[serde(skip_serializing_if = "unset")]
    pub gid_mappings: Vec<IdMapping>,
}

/// A range of ids: `size` ids from `container_id` inside are those from `host_id` outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMapping {
    /// First id inside.
    pub container_id: i64,
    /// First id outside.
    pub host_id: i64,
    /// Number of ids.
    pub size: i64,
}

impl IdMapping {
    /// Whether it gives this id inside one outside.
    #[must_use]
    pub fn has(self, id: u32) -> bool {
        (self.container_id..self.container_id.saturating_add(self.size)).contains(&i64::from(id))
    }

    /// The line of `/proc/PID/uid_map`, if all three numbers fit.
    #[must_use]
    pub fn line(self) -> Option<[u32; 3]> {
        Some([self.container_id.try_into().ok()?, self.host_id.try_into().ok()?, self.size.try_into().ok()?])
    }
}
