//! Containers in a mount namespace that is not their own: the host's, or one that is joined.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use libcontainer::mount::IdMapping;
use libcontainer::{
    CheckpointOptions, Config, Container, ErrorKind, Factory, Namespace, NamespaceKind, ProcessConfig,
};
use libcontainer_tests::{BUSYBOX, Place, able, config, copy_program, text};

const MOUNTS: &str = "cat /proc/self/mountinfo";

/// Without what needs mounts of its own.
fn plain(rootfs: &Path) -> Config {
    Config { restrict_sys: false, ..config(rootfs) }
}

/// The same, in the mount namespace of the container's first process.
fn joining(container: &Container, config: &Config) -> Config {
    let pid = container.init_pid().unwrap().unwrap();
    let mut config = Config { rootfs: PathBuf::new(), restrict_sys: false, ..config.clone() };
    config.namespaces.set(NamespaceKind::Mount, Namespace::Join(format!("/proc/{pid}/ns/mnt").into()));
    config
}

fn inside(container: &Container, script: &str) -> String {
    let process = container.start(ProcessConfig::new(["sh", "-c", script]).piped()).unwrap();
    text(&process.output(1 << 20).unwrap())
}

/// Runs a script as the first program, and leaves the container.
fn first(factory: &Factory, path: PathBuf, config: &Config, script: &str) -> (Container, String) {
    let script = format!("{script}; sleep 300");
    let process = ProcessConfig::new(["sh", "-c", &script]).piped();
    let (container, mut process) = factory.run(path, config, process).unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (container, line.trim().to_owned())
}

fn link(container: &Container) -> PathBuf {
    fs::read_link(format!("/proc/{}/ns/mnt", container.init_pid().unwrap().unwrap())).unwrap()
}

#[test]
fn one_that_is_joined_is_left_as_it_is() {
    if !able("one_that_is_joined_is_left_as_it_is") {
        return;
    }
    let place = Place::new("joined-mounts");
    let base = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let other = factory.create(place.join("other"), &base).unwrap();
    let before = inside(&other, MOUNTS);
    // What only the other's namespace shows, and an account of its own file.
    inside(&other, "echo in >/dev/shm/mark; echo only:x:4242:100::/:/bin/sh >>/etc/passwd");
    let joined = Config { user: "only".into(), ..joining(&other, &base) };
    let (container, told) = first(&factory, place.join("c"), &joined, "echo $(cat /dev/shm/mark; id -u)");
    assert_eq!(told, "in 4242");
    assert_eq!(link(&container), link(&other));
    assert_eq!(
        inside(&container, "echo $(cat /dev/shm/mark; id -u)"),
        "in 4242\n",
        "whoever joins is there too"
    );
    let mount = serde_json::from_str(r#"{"type": "tmpfs", "destination": "/tmp"}"#).unwrap();
    let error = container.add_mount(&mount).unwrap_err().to_string();
    assert!(error.contains("no mount namespace of its own"), "{error}");
    let error = container.checkpoint(CheckpointOptions::default()).unwrap_err().to_string();
    assert!(error.contains("those of others too, which criu can't restore"), "{error}");
    container.destroy().unwrap();
    assert_eq!(inside(&other, MOUNTS), before);
    other.destroy().unwrap();
}

#[test]
fn the_root_may_be_a_directory_of_one_that_is_joined() {
    if !able("the_root_may_be_a_directory_of_one_that_is_joined") {
        return;
    }
    let place = Place::new("joined-root");
    let base = config(&place.rootfs().unwrap());
    fs::create_dir_all(base.rootfs.join("inner/bin")).unwrap();
    copy_program(Path::new(BUSYBOX), &base.rootfs.join("inner/bin/busybox")).unwrap();
    for name in ["sh", "echo", "sleep", "stat"] {
        symlink("busybox", base.rootfs.join("inner/bin").join(name)).unwrap();
    }
    symlink("/proc/1/root/inner", base.rootfs.join("way")).unwrap();
    let factory = Factory::new().unwrap();
    let other = factory.create(place.join("other"), &base).unwrap();
    let joined = Config { rootfs: "/inner".into(), ..joining(&other, &base) };
    let (container, told) = first(&factory, place.join("c"), &joined, "echo /*");
    assert_eq!(told, "/bin");
    assert_eq!(inside(&container, "echo /*; cd /..; echo *"), "/bin\nbin\n");
    container.destroy().unwrap();
    for (rootfs, wanted) in
        [("/absent", "open /absent as root: ENOENT"), ("/way", "open /way as root: ELOOP")]
    {
        let wrong = Config { rootfs: rootfs.into(), ..joined.clone() };
        let error = factory.create(place.join("c"), &wrong).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("/namespaces/NEWNS: /proc/"), "{error}");
    }
    other.destroy().unwrap();
}

#[test]
fn what_others_rule_is_not_joined_without_them() {
    if !able("what_others_rule_is_not_joined_without_them") {
        return;
    }
    let place = Place::new("joined-owner");
    let mut base = config(&place.rootfs().unwrap());
    base.namespaces.set(NamespaceKind::User, Namespace::New);
    let map = vec![IdMapping { container_id: 0, host_id: 0, size: 65_536 }];
    (base.uid_mappings, base.gid_mappings) = (map.clone(), map);
    let factory = Factory::new().unwrap();
    let other = factory.create(place.join("other"), &base).unwrap();
    let pid = other.init_pid().unwrap().unwrap();
    let refused = |config: &Config| factory.create(place.join("c"), config).unwrap_err();
    let mut joined = joining(&other, &base);
    let error = refused(&joined);
    assert!(error.to_string().contains("a new user namespace has no rights over"), "{error}");
    joined.namespaces.share(NamespaceKind::User);
    (joined.uid_mappings, joined.gid_mappings) = (Vec::new(), Vec::new());
    let error = refused(&joined).to_string();
    assert!(error.contains("belongs to the user namespace user:[") && error.contains("(NEWUSER)"), "{error}");
    assert!(!place.join("c").exists());
    joined.namespaces.set(NamespaceKind::User, Namespace::Join(format!("/proc/{pid}/ns/user").into()));
    let (container, told) = first(&factory, place.join("c"), &joined, "id -u");
    assert_eq!(told, "0");
    let user = |pid| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    assert_eq!(user(container.init_pid().unwrap().unwrap()), user(pid));
    assert_eq!(link(&container), link(&other));
    container.destroy().unwrap();
    other.destroy().unwrap();
}

#[test]
fn in_the_hosts_the_rootfs_is_root_and_nothing_is_mounted() {
    if !able("in_the_hosts_the_rootfs_is_root_and_nothing_is_mounted") {
        return;
    }
    let place = Place::new("shared-mounts");
    let mut shared = plain(&place.rootfs().unwrap());
    shared.namespaces.share(NamespaceKind::Mount);
    shared.user = "u".into();
    let factory = Factory::new().unwrap();
    let look = "echo $(stat -c %i /) $(id -u)";
    let (container, told) = first(&factory, place.join("c"), &shared, look);
    let root = fs::metadata(&shared.rootfs).unwrap().ino();
    assert_eq!(told, format!("{root} 1000"));
    assert_eq!(link(&container), fs::read_link("/proc/self/ns/mnt").unwrap());
    assert_eq!(inside(&container, look), format!("{root} 1000\n"), "who joins has the same root");
    // Whoever may change it again would leave it.
    let process =
        ProcessConfig { capabilities: Some(vec!["SYS_CHROOT".into()]), ..ProcessConfig::new(["true"]) };
    let error = container.start(process).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    assert!(error.to_string().contains("SYS_CHROOT"), "{error}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*place.path().to_string_lossy()), "{mounts}");
    container.destroy().unwrap();
    for name in ["SYS_CHROOT", "SYS_ADMIN"] {
        let wrong = Config { capabilities: vec![name.into()], ..shared.clone() };
        let error = factory.create(place.join("c"), &wrong).unwrap_err().to_string();
        assert!(error.contains(&format!("/capabilities: {name}")), "{error}");
    }
}

#[test]
fn the_root_of_the_host_is_no_directory_of_it() {
    if !able("the_root_of_the_host_is_no_directory_of_it") {
        return;
    }
    let place = Place::new("shared-root");
    let root = fs::metadata("/").unwrap().ino();
    for rootfs in ["/", ""] {
        let mut shared = plain(Path::new(rootfs));
        shared.namespaces.share(NamespaceKind::Mount);
        shared.capabilities.push("SYS_CHROOT".into());
        let process = ProcessConfig::new([BUSYBOX, "stat", "-c", "%i", "/"]).piped();
        let (container, process) = Factory::new().unwrap().run(place.join("c"), &shared, process).unwrap();
        assert_eq!(text(&process.output(100).unwrap()), format!("{root}\n"));
        container.destroy().unwrap();
    }
}

#[test]
fn all_may_be_shared_and_joined() {
    if !able("all_may_be_shared_and_joined") {
        return;
    }
    let place = Place::new("shared-all");
    let base = plain(&place.rootfs().unwrap());
    let all = Config {
        namespaces: libcontainer::Namespaces::default(),
        hostname: String::new(),
        networks: Vec::new(),
        ..base
    };
    let (container, told) = first(&Factory::new().unwrap(), place.join("c"), &all, "echo /*");
    assert_eq!(inside(&container, "echo /*").trim(), told);
    assert!(told.contains("/home"), "{told}");
    container.destroy().unwrap();
}
