//! A rootfs without a download: the first argument, or an empty directory with the host's `/usr` in it. As root or not.

use std::path::PathBuf;

use libcontainer::mount::{IdMapping, Mount, MountConfig};
use libcontainer::{Config, NamespaceKind, Namespaces};

/// A directory for the containers of one run; removed at the end.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> std::io::Result<Self> {
        let place = Self(std::env::temp_dir().join(format!("example-{}", std::process::id())));
        let root = place.join("rootfs");
        std::fs::create_dir_all(root.join("usr"))?;
        for name in ["bin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name))?;
        }
        Ok(place)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn config(&self) -> Config {
        use NamespaceKind::{Ipc, Mount as Mounts, Network, Pid, User, Uts};
        let mut config = Config {
            namespaces: Namespaces::new([Mounts, Uts, Ipc, Pid, Network]),
            environment: vec!["PATH=/usr/bin:/bin".to_owned()],
            ..Config::default()
        };
        if let Some(rootfs) = std::env::args_os().nth(1) {
            config.rootfs = rootfs.into();
        } else {
            let (kind, usr) = ("bind".to_owned(), PathBuf::from("/usr"));
            let mounts = vec![Mount { kind, source: usr.clone(), destination: usr, ..Mount::default() }];
            config.rootfs = self.join("rootfs");
            config.mount_config = Some(MountConfig { mounts, ..MountConfig::default() });
        }
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        if !uid.is_root() {
            let map = |id: u32| vec![IdMapping { container_id: 0, host_id: id.into(), size: 1 }];
            config.namespaces.set(User, libcontainer::Namespace::New);
            (config.uid_mappings, config.gid_mappings) = (map(uid.as_raw()), map(gid.as_raw()));
        }
        config
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What could be left is in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
