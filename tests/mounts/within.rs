//! Binds whose source an earlier mount of the container has brought.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use libcontainer::mount::{IdMapping, Mount};

use crate::Setup;

fn bound(source: impl Into<PathBuf>, to: &str, options: &[&str]) -> Mount {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    Mount {
        kind: "bind".into(),
        source: source.into(),
        destination: to.into(),
        writable: true,
        options,
        ..Mount::default()
    }
}

/// What an earlier mount has brought is bound as the container has it, and a link in it leads to nothing outside.
#[test]
fn a_source_may_come_of_an_earlier_mount() {
    let Some(mut setup) = Setup::new("a_source_may_come_of_an_earlier_mount") else { return };
    let given = setup.place.join("given");
    fs::create_dir_all(given.join("x")).unwrap();
    fs::write(given.join("x/file"), "of the mount\n").unwrap();
    // On the host this is a directory of its own, inside the rootfs's.
    let outside = setup.place.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "of the host\n").unwrap();
    symlink(&outside, given.join("out")).unwrap();
    let inside = setup.config.rootfs.join(outside.strip_prefix("/").unwrap());
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join("own"), "of the rootfs\n").unwrap();
    fs::create_dir_all(setup.rootfs("mnt")).unwrap();
    let mounts = vec![
        bound(&given, "/mnt", &["rbind"]),
        bound(setup.rootfs("mnt/x"), "/mnt/y", &["rbind"]),
        bound(setup.rootfs("mnt"), "/all", &["rbind", "ro"]),
        bound(setup.rootfs("all/y/file"), "/one", &["bind"]),
        bound(setup.rootfs("mnt/out"), "/link", &["bind"]),
        bound(setup.rootfs("proc"), "/again", &["rbind"]),
    ];
    fs::create_dir(given.join("y")).unwrap();
    let script = "cat /all/y/file /one; touch /all/new 2>/dev/null || echo ro; ls /link; test -d /again/self && echo proc";
    for user in [false, true] {
        setup.mounts(mounts.clone());
        if user {
            setup.user_namespace(300_000);
        }
        assert_eq!(setup.run(script).unwrap(), "of the mount\nof the mount\nro\nown\nproc\n", "{user}");
    }
    // Without the mount that brings it, it is not there.
    setup.mounts(mounts[1..].to_vec());
    let error = setup.run("true").unwrap_err().to_string();
    assert!(error.contains("mnt/x") && error.contains("ENOENT"), "{error}");
    // A tmpfs has nothing yet, which only the init can tell.
    let tmpfs = Mount { kind: "tmpfs".into(), destination: "/mnt".into(), ..Mount::default() };
    setup.mounts(vec![tmpfs, mounts[1].clone()]);
    let error = setup.run("true").unwrap_err().to_string();
    assert!(error.contains("mnt/x") && error.contains("ENOENT"), "{error}");
}

/// The kernel changes ids only where nothing is mounted yet: the host does it to the copy.
#[test]
fn a_source_of_an_earlier_mount_may_have_an_id_map() {
    let Some(mut setup) = Setup::new("a_source_of_an_earlier_mount_may_have_an_id_map") else { return };
    let given = setup.place.join("given");
    fs::create_dir_all(&given).unwrap();
    fs::write(given.join("file"), "").unwrap();
    let map = |first| vec![IdMapping { container_id: 0, host_id: first, size: 1000 }];
    let mapped = Mount {
        uid_mappings: map(300_000),
        gid_mappings: map(300_000),
        ..bound(setup.rootfs("mnt"), "/mapped", &["bind", "idmap"])
    };
    let mounts = vec![bound(&given, "/mnt", &["rbind"]), mapped];
    setup.mounts(mounts.clone());
    assert_eq!(setup.run("stat -c %u:%g /mapped/file /mnt/file").unwrap(), "300000:300000\n0:0\n");
    setup.user_namespace(300_000);
    setup.mounts(mounts);
    assert_eq!(setup.run("stat -c %u:%g /mapped/file").unwrap(), "0:0\n");
}
