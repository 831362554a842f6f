//! Rules of the file tree.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::problems::{Facts, PATH_MAX, Problems};
use crate::config::container::Config;
use crate::config::namespace_kind::NamespaceKind;

impl Config {
    pub(super) fn rootfs_problems(&self, all: &mut Problems) {
        let path = self.rootfs.as_os_str().as_bytes();
        if path.is_empty() {
            if self.namespaces.contains(NamespaceKind::Mount) {
                all.add("/rootfs", "missing");
            }
        } else if path.contains(&0) {
            all.add("/rootfs", "contains NUL");
        } else if path.len() > PATH_MAX {
            all.add("/rootfs", format!("longer than {PATH_MAX} bytes"));
        } else if !self.rootfs.is_absolute() {
            all.add("/rootfs", format!("{}: must be absolute", self.rootfs.display()));
        } else if self.rootfs == Path::new("/") {
            all.hint(
                "/rootfs",
                "\"/\": the host's root can't be taken as rootfs",
                "bind it to a directory first",
            );
        }
    }

    pub(super) fn mapped_mount_problems(&self, facts: &Facts, all: &mut Problems) {
        let new_user = self.namespaces.is_new(NamespaceKind::User);
        for (index, mount) in self.mount_config.iter().flat_map(|config| &config.mounts).enumerate() {
            let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
            let named = mount.options.iter().any(|option| option == "idmap" || option == "ridmap");
            let pointer =
                format!("/mount_config/mounts/{index}/{}", if own { "uid_mappings" } else { "options" });
            if named && !own && !new_user {
                let remedy = "give uid_mappings and gid_mappings of the mount, or add NEWUSER";
                all.hint(pointer, "idmap without a map: the container has no new user namespace", remedy);
            } else if (named || own) && facts.euid != 0 {
                let text = format!("an id map of a mount needs root on the host, not user {}", facts.euid);
                all.add(pointer, text);
            }
        }
    }

    pub(super) fn mount_problems(&self, all: &mut Problems) {
        let own = self.namespaces.contains(NamespaceKind::Mount);
        if let Some(config) = &self.mount_config {
            if !own {
                all.hint("/mount_config", "would change the host's mounts", "add NEWNS");
            }
            for problem in config.problems() {
                all.add(format!("/mount_config{}", problem.pointer), problem.message);
            }
        }
        if self.restrict_sys && !own {
            all.hint("/restrict_sys", "would change the host's mounts", "add NEWNS");
        }
    }
}
