//! Mounts that travel, and what stays behind (class 9).

use libcontainer::mount::MountConfig;

use crate::{Attack, caller};

/// runc's issue 2404: the host's root and the directory of the container are mounts that travel. None of the container's does, whatever
/// the propagation inside.
#[test]
fn mounts_do_not_travel() {
    let Some(mut attack) = Attack::new("shared") else { return };
    let place = attack.place.path().display().to_string();
    for propagation in ["", "rprivate", "rslave", "rshared", "unbindable"] {
        *attack.mounts() = MountConfig { rootfs_propagation: propagation.into(), ..MountConfig::default() };
        let found = caller(&attack, "shared", &["true"]);
        let here: Vec<_> = found.lines().filter(|line| line.contains(&place)).collect();
        // The mount that the caller has made of the directory itself, and no other.
        assert_eq!(here.len(), 1, "{propagation}: {found}");
        assert!(here[0].contains("shared:"), "{found}");
    }
}
