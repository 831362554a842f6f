//! What stands beside the config.

use std::path::PathBuf;

/// What the runtime is told beside the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Absolute path of the directory that the config was read from.
    pub bundle: PathBuf,
    /// Name of the container.
    pub id: String,
    /// systemd makes the control group, and `cgroupsPath` has the form `slice:prefix:name`.
    pub systemd_cgroup: bool,
    /// The rootfs is moved over `/` instead of pivot_root(2).
    pub no_pivot: bool,
    /// The session keyring is left alone.
    pub no_new_keyring: bool,
    /// The container has a control group of its own.
    pub cgroups: bool,
    /// The caller has no rights over the host: what only root can do, and was not asked for by name, is left out.
    pub rootless: bool,
}
