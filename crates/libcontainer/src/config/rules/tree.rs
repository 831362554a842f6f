//! Rules of the file tree.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libcontainer_mount::MountConfig;
use libcontainer_security::{CapSet, Capabilities};

use super::problems::{Facts, PATH_MAX, Problems};
use crate::config::container::Config;
use crate::config::namespace_kind::NamespaceKind;
use crate::config::namespaces::Namespace;

impl Config {
    pub(super) fn rootfs_problems(&self, all: &mut Problems) {
        let path = self.rootfs.as_os_str().as_bytes();
        if path.is_empty() {
            if !self.has_others_mounts() {
                all.add("/rootfs", "missing");
            }
        } else if path.contains(&0) {
            all.add("/rootfs", "contains NUL");
        } else if path.len() > PATH_MAX {
            all.add("/rootfs", format!("longer than {PATH_MAX} bytes"));
        } else if !self.rootfs.is_absolute() {
            all.add("/rootfs", format!("{}: must be absolute", self.rootfs.display()));
        } else if self.rootfs == Path::new("/") && !self.has_others_mounts() {
            all.hint(
                "/rootfs",
                "\"/\": the host's root can't be taken as rootfs",
                "bind it to a directory first",
            );
        }
    }

    pub(super) fn mapped_mount_problems(&self, facts: &Facts, all: &mut Problems) {
        let user = self.namespaces.contains(NamespaceKind::User);
        for (index, mount) in self.mount_config.iter().flat_map(|config| &config.mounts).enumerate() {
            let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
            let named = mount.options.iter().any(|option| option == "idmap" || option == "ridmap");
            let pointer =
                format!("/mount_config/mounts/{index}/{}", if own { "uid_mappings" } else { "options" });
            if named && !own && !user {
                let remedy = "give uid_mappings and gid_mappings of the mount, or add NEWUSER";
                all.hint(
                    pointer,
                    "idmap without a map: the container has no user namespace of its own",
                    remedy,
                );
            } else if (named || own) && facts.euid != 0 {
                let text = format!("an id map of a mount needs root on the host, not user {}", facts.euid);
                all.add(pointer, text);
            }
        }
    }

    pub(super) fn mount_problems(&self, all: &mut Problems) {
        for problem in self.mount_config.iter().flat_map(MountConfig::problems) {
            all.add(format!("/mount_config{}", problem.pointer), problem.message);
        }
        let (whose, remedy) = match self.namespaces.get(NamespaceKind::Mount) {
            Some(Namespace::New) => return,
            Some(Namespace::Join(_)) => ("the mounts of the namespace that is joined", "leave it out"),
            None => ("the host's mounts", "add NEWNS"),
        };
        let asked = self.mount_config.iter().flat_map(changes);
        for pointer in asked.chain(self.restrict_sys.then_some("/restrict_sys")) {
            all.hint(pointer, format!("would change {whose}"), remedy);
        }
    }

    /// A root that was changed and not entered by a mount holds nobody who may change it again, or mount.
    pub(super) fn changed_root_problems(&self, all: &mut Problems) {
        if self.changed_root().is_none() {
            return;
        }
        let pointer = if self.capability_sets.is_some() { "/capability_sets" } else { "/capabilities" };
        let Capabilities { bounding, permitted, inheritable, .. } = self.capability_masks();
        for name in bounding.or(permitted).or(inheritable).and(leaving()).iter() {
            let text = format!(
                "{name}: in a mount namespace that is not its own a program gets out of its root by it"
            );
            all.hint(pointer, text, "leave it out, or take \"/\" as the root");
        }
    }
}

/// Capabilities by which a program leaves a root that is a directory: chroot(2), and setns(2) into its own mount namespace.
pub(crate) fn leaving() -> CapSet {
    CapSet::from_names(["SYS_CHROOT", "SYS_ADMIN"]).unwrap_or(CapSet::ALL)
}

/// What in it takes a mount namespace of the container's own.
fn changes(config: &MountConfig) -> impl Iterator<Item = &'static str> {
    if !config.bare {
        // The system's mounts.
        return [Some("/mount_config"), None, None, None, None, None, None].into_iter().flatten();
    }
    let asked = [
        ("/mount_config/mounts", !config.mounts.is_empty()),
        ("/mount_config/device_nodes", !config.device_nodes.is_empty()),
        ("/mount_config/masked_paths", !config.masked_paths.is_empty()),
        ("/mount_config/readonly_paths", !config.readonly_paths.is_empty()),
        ("/mount_config/rootfs_propagation", !config.rootfs_propagation.is_empty()),
        ("/mount_config/mount_label", !config.mount_label.is_empty()),
        ("/mount_config/readonly_fs", config.readonly_fs),
    ];
    asked.map(|(pointer, asked)| asked.then_some(pointer)).into_iter().flatten()
}
