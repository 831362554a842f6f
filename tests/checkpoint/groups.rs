//! Control groups of what is restored.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use libcontainer::cgroups::{Layout, discovery::Mode};
use libcontainer::mount::IdMapping;
use libcontainer::{Cgroup, Factory, Namespace, NamespaceKind};
use libcontainer_tests::skip;

use super::Saver;

const MOUNT: &str =
    r#"{"mounts": [{"type": "cgroup", "source": "cgroup", "destination": "/sys/fs/cgroup", "options": []}]}"#;

/// One in a user namespace with its control group at hand: this process may have no right to dump an ordinary user of its own namespace.
fn given(name: &str) -> Option<Saver> {
    let mut saver = Saver::new(name)?;
    let config = &mut saver.tool.config;
    let map = vec![IdMapping { container_id: 0, host_id: 300_000, size: 65_536 }];
    config.namespaces.set(NamespaceKind::User, Namespace::New);
    config.namespaces.set(NamespaceKind::Cgroup, Namespace::New);
    (config.uid_mappings, config.gid_mappings) = (map.clone(), map);
    chown(config.rootfs.join("tmp"), Some(300_000), Some(300_000)).unwrap();
    // Limits would need controllers.
    config.cgroups = Some(Cgroup { path: config.cgroups.take()?.path, ..Cgroup::default() });
    config.mount_config = Some(serde_json::from_str(MOUNT).unwrap());
    config.restrict_sys = false;
    saver.tool.write();
    let images = saver.tool.place.join("images");
    fs::create_dir(&images).unwrap();
    fs::set_permissions(&images, fs::Permissions::from_mode(0o711)).unwrap();
    Some(saver)
}

/// Whose on the host the group is, with its list of processes and a file that is never given.
fn owners(saver: &Saver) -> Vec<u32> {
    let container = Factory::new().unwrap().load(saver.tool.place.join("state/web")).unwrap();
    let group = container.group().unwrap();
    let place = group.places().iter().find(|place| place.unified).unwrap().path();
    let files = ["", "cgroup.procs", "cgroup.max.depth"];
    files.map(|file| fs::metadata(place.join(file)).unwrap().uid()).to_vec()
}

/// As that of one that is new.
#[test]
fn a_group_of_a_writable_mount_is_the_users_again() {
    let name = "a_group_of_a_writable_mount_is_the_users_again";
    let Some(saver) = given("given") else { return };
    if Layout::of_this_process().unwrap().mode != Mode::Unified {
        return skip(name, "groups of version 1 are given to nobody");
    }
    let tool = &saver.tool;
    saver.quietly(&["run", "--detach", "web"]);
    saver.counts_on(3);
    assert_eq!(owners(&saver), [300_000, 300_000, 0]);
    saver.checkpoint(&["--image-path", "images", "web"]);
    let there = saver.count();
    saver.quietly(&saver.with("restore", &["--image-path", "images", "--detach", "web"]));
    saver.counts_on(there);
    assert_eq!(owners(&saver), [300_000, 300_000, 0]);
    tool.ok(&["exec", "web", "mkdir", "/sys/fs/cgroup/sub"]);
    tool.ok(&["delete", "--force", "web"]);
}
