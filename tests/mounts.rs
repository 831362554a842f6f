//! Options of mounts, seen from inside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

#[path = "mounts/ending.rs"]
mod ending;
#[path = "mounts/within.rs"]
mod within;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libcontainer::mount::{IdMapping, Mount, MountConfig};
use libcontainer::{Config, Factory, Namespace, NamespaceKind, ProcessConfig};
use libcontainer_tests::{Place, World, able, config, text};

/// Tests look at the children and descriptors of the whole process: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

struct Setup {
    place: Place,
    config: Config,
    _alone: MutexGuard<'static, ()>,
}

impl Setup {
    fn new(name: &str) -> Option<Self> {
        if !able(name) {
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::new(name);
        let config = config(&place.rootfs().unwrap());
        Some(Self { place, config, _alone: alone })
    }

    fn rootfs(&self, name: &str) -> PathBuf {
        self.config.rootfs.join(name)
    }

    fn mounts(&mut self, mounts: Vec<Mount>) {
        self.config.mount_config = Some(MountConfig { mounts, ..MountConfig::default() });
    }

    fn run(&self, script: &str) -> libcontainer::Result<String> {
        let process = ProcessConfig::new(["sh", "-c", script]).piped();
        let (container, process) =
            Factory::new().unwrap().run(self.place.join("c"), &self.config, process)?;
        let found = text(&process.output(1 << 16)?);
        container.destroy()?;
        Ok(found)
    }

    /// Gives the container a user namespace whose root is this user of the host, and the rootfs to that user.
    fn user_namespace(&mut self, first: u32) {
        let map = vec![IdMapping { container_id: 0, host_id: i64::from(first), size: 1000 }];
        self.config.namespaces.set(NamespaceKind::User, Namespace::New);
        (self.config.uid_mappings, self.config.gid_mappings) = (map.clone(), map);
        fs::set_permissions(self.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        give(&self.config.rootfs, first);
    }
}

fn give(path: &Path, owner: u32) {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), owner));
    }
}

fn mount(kind: &str, source: &Path, to: &str, options: &[&str]) -> Mount {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    Mount { kind: kind.into(), source: source.into(), destination: to.into(), options, ..Mount::default() }
}

fn tree(dir: &Path) {
    fs::create_dir_all(dir.join("a/b")).unwrap();
    fs::write(dir.join("a/b/file"), "deep").unwrap();
    fs::write(dir.join("tool"), "x").unwrap();
    chown(dir.join("tool"), Some(7), Some(8)).unwrap();
    fs::set_permissions(dir.join("tool"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(dir.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).unwrap();
    symlink("/etc/passwd", dir.join("link")).unwrap();
    nix::unistd::mkfifo(&dir.join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o640)).unwrap();
}

#[test]
fn tmpcopyup_begins_with_what_was_there() {
    let Some(mut setup) = Setup::new("copyup") else { return };
    tree(&setup.rootfs("data"));
    setup.mounts(vec![mount("tmpfs", Path::new("tmpfs"), "/data", &["tmpcopyup", "size=1m"])]);
    let script = "cd /data; cat a/b/file; readlink link; stat -c '%a %u %g %F' . a tool pipe; \
                  echo new > a/b/file; rm tool; grep -c ' /data .* tmpfs ' /proc/self/mountinfo";
    let wanted =
        "deep/etc/passwd\n711 0 0 directory\n500 0 0 directory\n4711 7 8 regular file\n640 0 0 fifo\n";
    let found = setup.run(script).unwrap();
    assert!(found.starts_with(wanted) && found.ends_with("1\n"), "{found}");
    assert_eq!(fs::read_to_string(setup.rootfs("data/a/b/file")).unwrap(), "deep");
    assert!(setup.rootfs("data/tool").exists());
}

#[test]
fn tmpcopyup_keeps_what_the_options_say() {
    let Some(mut setup) = Setup::new("copyup-options") else { return };
    tree(&setup.rootfs("data"));
    let options = ["tmpcopyup", "mode=750", "uid=5", "ro"];
    setup.mounts(vec![mount("tmpfs", Path::new("tmpfs"), "/data", &options)]);
    let found =
        setup.run("stat -c '%a %u %g' /data; cat /data/a/b/file; touch /data/x || echo refused").unwrap();
    assert!(found.starts_with("750 5 0\ndeep") && found.contains("refused\n"), "{found}");
    // A directory that is not there is made, and is empty.
    setup.mounts(vec![mount("tmpfs", Path::new("tmpfs"), "/new/dir", &["tmpcopyup"])]);
    assert_eq!(setup.run("ls -a /new/dir | wc -l").unwrap(), "2\n");
}

#[test]
fn tmpcopyup_in_a_user_namespace() {
    let Some(mut setup) = Setup::new("copyup-user") else { return };
    tree(&setup.rootfs("data"));
    setup.user_namespace(100_000);
    chown(setup.rootfs("data/a/b/file"), Some(100_007), Some(100_008)).unwrap();
    // Not mapped: nobody's inside, before and after.
    chown(setup.rootfs("data/tool"), Some(7), Some(8)).unwrap();
    fs::set_permissions(setup.rootfs("data/tool"), fs::Permissions::from_mode(0o4711)).unwrap();
    setup.mounts(vec![mount("tmpfs", Path::new("tmpfs"), "/data", &["tmpcopyup"])]);
    let found = setup.run("cd /data; stat -c '%a %u %g' . a tool a/b/file; cat a/b/file").unwrap();
    assert_eq!(found, "711 0 0\n500 0 0\n4711 65534 65534\n644 7 8\ndeep");
}

#[test]
fn tmpcopyup_that_does_not_fit_leaves_nothing() {
    let Some(mut setup) = Setup::new("copyup-full") else { return };
    fs::create_dir(setup.rootfs("data")).unwrap();
    fs::write(setup.rootfs("data/big"), vec![1; 100_000]).unwrap();
    let mut deep = setup.rootfs("deep");
    (0..120).for_each(|_| deep.push("d"));
    fs::create_dir_all(deep).unwrap();
    for (to, size, wanted) in [("/data", "size=16k", "No space left"), ("/deep", "size=16m", "ELOOP")] {
        setup.mounts(vec![mount("tmpfs", Path::new("tmpfs"), to, &["tmpcopyup", size])]);
        let before = World::look(setup.place.path());
        let error = setup.run("true").unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains(to), "{error}");
        assert_eq!(World::look(setup.place.path()).more_than(&before), None);
    }
}

/// What is copied may change meanwhile: names are swapped for links that lead out, and none is followed.
#[test]
fn tmpcopyup_while_names_are_swapped() {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let Some(mut setup) = Setup::new("copyup-swaps") else { return };
    let (data, outside) = (setup.rootfs("data"), setup.place.join("outside"));
    fs::create_dir_all(data.join("dir")).unwrap();
    fs::create_dir(&outside).unwrap();
    for (file, text) in [(data.join("dir/f"), "own"), (data.join("f"), "own"), (outside.join("f"), "stolen")]
    {
        fs::write(file, text).unwrap();
    }
    symlink(&outside, data.join("link")).unwrap();
    symlink(outside.join("f"), data.join("to-file")).unwrap();
    setup.mounts(vec![mount("tmpfs", Path::new("tmpfs"), "/data", &["tmpcopyup"])]);
    let (stop, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (one, other) in [("dir", "link"), ("f", "to-file")] {
                    let (one, other) = (data.join(one), data.join(other));
                    let _ = renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE);
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let mut copied = 0;
        for _ in 0..60 {
            // A copy may miss a name or fail; what counts is what it holds.
            if let Ok(found) = setup.run("cat /data/*/f /data/f /data/to-file 2>/dev/null") {
                assert!(!found.contains("stolen"), "{found}");
                copied += usize::from(found.contains("own"));
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(copied > 0);
    });
    assert!(swaps.load(Ordering::Relaxed) > 2000);
}

#[test]
fn id_maps_of_a_mount() {
    let Some(mut setup) = Setup::new("idmap") else { return };
    let source = setup.place.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("f"), "x").unwrap();
    chown(source.join("f"), Some(5), Some(6)).unwrap();
    let map = |first| vec![IdMapping { container_id: 0, host_id: first, size: 1000 }];
    let mut mapped = mount("bind", &source, "/mapped", &["idmap", "nosuid"]);
    (mapped.uid_mappings, mapped.gid_mappings) = (map(2000), map(3000));
    setup.mounts(vec![mapped, mount("bind", &source, "/plain", &["rbind"])]);
    let found =
        setup.run("stat -c '%u %g' /mapped/f /plain/f; grep -c 'nosuid.*idmapped' /proc/self/mountinfo");
    assert_eq!(found.unwrap(), "2005 3006\n5 6\n1\n");
}

#[test]
fn id_maps_are_the_containers_without_their_own() {
    let Some(mut setup) = Setup::new("idmap-user") else { return };
    let source = setup.place.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("f"), "x").unwrap();
    setup.user_namespace(100_000);
    for option in ["idmap", "ridmap"] {
        setup.mounts(vec![
            mount("bind", &source, "/mapped", &["rbind", "rw", option]),
            mount("bind", &source, "/plain", &["rbind"]),
        ]);
        let script = "stat -c '%u %g' /mapped/f /plain/f; echo y > /mapped/made";
        assert_eq!(setup.run(script).unwrap(), "0 0\n65534 65534\n", "{option}");
        let made = fs::metadata(source.join("made")).unwrap();
        assert_eq!((made.uid(), made.gid()), (0, 0), "{option}");
    }
}

#[test]
fn an_id_map_that_can_not_be_made_leaves_nothing() {
    let Some(mut setup) = Setup::new("idmap-fails") else { return };
    let map = vec![IdMapping { container_id: 0, host_id: 5, size: 1 }];
    // What the first start of a process keeps open is not counted.
    setup.run("true").unwrap();
    for source in ["/proc", "/sys"] {
        let mut mapped = mount("bind", Path::new(source), "/mapped", &["idmap"]);
        (mapped.uid_mappings, mapped.gid_mappings) = (map.clone(), map.clone());
        setup.mounts(vec![mapped]);
        let before = World::look(setup.place.path());
        let error = setup.run("true").unwrap_err().to_string();
        assert!(error.contains("mount_setattr") && error.contains("EINVAL"), "{error}");
        assert_eq!(World::look(setup.place.path()).more_than(&before), None);
    }
}

#[test]
fn links_at_the_destination() {
    let Some(mut setup) = Setup::new("dest-nofollow") else { return };
    let file = setup.place.join("file");
    fs::write(&file, "bound").unwrap();
    fs::write(setup.rootfs("target"), "target").unwrap();
    fs::create_dir(setup.rootfs("dir")).unwrap();
    symlink("target", setup.rootfs("link")).unwrap();
    symlink("dir", setup.rootfs("way")).unwrap();
    let script = "cat /link; echo; cat /target";
    setup.mounts(vec![mount("bind", &file, "/link", &["bind"])]);
    assert_eq!(setup.run(script).unwrap(), "bound\nbound");
    setup.mounts(vec![mount("bind", &file, "/link", &["bind", "dest-nofollow"])]);
    assert_eq!(setup.run(script).unwrap(), "bound\ntarget");
    // Links on the way are followed, and what is missing is made.
    setup.mounts(vec![mount("bind", &file, "/way/new", &["bind", "dest-nofollow"])]);
    assert_eq!(setup.run("cat /dir/new").unwrap(), "bound");
    // A directory can't lie over a link, and a filesystem neither.
    for (kind, source) in [("bind", setup.place.join("rootfs/etc")), ("tmpfs", "tmpfs".into())] {
        setup.mounts(vec![mount(kind, &source, "/way", &["dest-nofollow"])]);
        let errno = setup.run("true").unwrap_err().errno();
        assert!(matches!(errno, Some(libc::ENOTDIR | libc::ELOOP)), "{kind}: {errno:?}");
    }
}

#[test]
fn links_at_the_source() {
    let Some(mut setup) = Setup::new("src-nofollow") else { return };
    fs::write(setup.place.join("file"), "host").unwrap();
    fs::write(setup.rootfs("file"), "inside").unwrap();
    let link = setup.place.join("link");
    symlink("file", &link).unwrap();
    // Followed on the host, kept as a link that leads inside, or made anew as a link.
    for (to, option, wanted) in [
        ("/a", "nodev", "host"),
        ("/b", "src-nofollow", "inside"),
        ("/d/x/..", "copy-symlink", "inside"),
        ("/c", "copy-symlink", "inside"),
        ("/c", "copy-symlink", "inside"),
    ] {
        setup.mounts(vec![mount("bind", &link, to, &["bind", option])]);
        let at = to.trim_end_matches("/x/..");
        assert_eq!(setup.run(&format!("cat {at}")).unwrap(), wanted, "{option}");
    }
    // One that leads there stays the same one; one that only begins or ends like it is replaced.
    let made = fs::symlink_metadata(setup.rootfs("c")).unwrap();
    for older in [None, Some("fil"), Some("file2"), Some("elsewhere")] {
        let older_one = older.map(|older| {
            fs::remove_file(setup.rootfs("c")).unwrap();
            symlink(older, setup.rootfs("c")).unwrap();
        });
        assert_eq!(setup.run("cat /c").unwrap(), "inside", "{older:?}");
        assert_eq!(fs::read_link(setup.rootfs("c")).unwrap(), Path::new("file"));
        let same = fs::symlink_metadata(setup.rootfs("c")).unwrap().ctime_nsec() == made.ctime_nsec();
        assert_eq!(same, older_one.is_none());
    }
    // A file in its place is not lost.
    setup.mounts(vec![mount("bind", &link, "/file", &["bind", "copy-symlink"])]);
    assert_eq!(setup.run("true").unwrap_err().errno(), Some(libc::EEXIST));
    assert_eq!(fs::read_to_string(setup.rootfs("file")).unwrap(), "inside");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let Some(mut setup) = Setup::new("mount-options") else { return };
    let half = Mount {
        uid_mappings: vec![IdMapping { size: 1, ..IdMapping::default() }],
        ..mount("bind", Path::new("/etc"), "/x", &["bind"])
    };
    let relabel = Mount { relabel: "z".into(), ..mount("tmpfs", Path::new("x"), "/x", &[]) };
    for (mount, wanted) in [
        (mount("bind", Path::new("/etc"), "/x", &["tmpcopyup"]), "tmpcopyup: only for a tmpfs"),
        (mount("ramfs", Path::new("x"), "/x", &["tmpcopyup"]), "tmpcopyup: only for a tmpfs"),
        (mount("tmpfs", Path::new("x"), "/x", &["idmap"]), "idmap: only for a bind"),
        (mount("tmpfs", Path::new("x"), "/x", &["copy-symlink"]), "copy-symlink: only for a bind"),
        (mount("bind", Path::new("/etc"), "/x", &["idmap"]), "no user namespace of its own"),
        (half, "missing beside uid_mappings"),
        (relabel, "relabel: only for a bind"),
    ] {
        setup.mounts(vec![mount]);
        let error = setup.run("true").unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
