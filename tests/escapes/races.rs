//! Names in the rootfs are swapped for links, thousands of times, while a container is made of it (class 3).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use libcontainer::mount::{Mount, MountConfig};
use libcontainer::{Factory, ProcessConfig};

use crate::{Attack, bind, paths, tmpfs, with_mounts};

/// 60, or what `LIBCONTAINER_ESCAPE_ROUNDS` says: 10000 for a night. An emulated machine takes some seconds for each.
fn rounds() -> usize {
    let told = std::env::var("LIBCONTAINER_ESCAPE_ROUNDS").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if std::env::var_os("LIBCONTAINER_EMULATED").is_some() { 6 } else { 60 })
}

pub(super) fn exchange(one: &Path, other: &Path) {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let _ = renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE);
}

/// Ends the swaps, also when an attempt panics: else the scope would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Swaps each pair of names until `attempt` has run often enough, and at least 3000 swaps were made.
pub(super) fn swapping(pairs: &[(PathBuf, PathBuf)], attempt: &dyn Fn()) {
    let (stop, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (one, other) in pairs {
                    exchange(one, other);
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let _stop = Stop(&stop);
        let mut done = 0;
        while done < rounds() || swaps.load(Ordering::Relaxed) < 3000 {
            attempt();
            done += 1;
        }
    });
    assert!(swaps.load(Ordering::Relaxed) >= 3000);
}

/// CVE-2021-30465 and its kin: names are swapped for links while mounts are made on them.
#[test]
fn swapped_names_lead_nowhere() {
    let Some(mut attack) = Attack::new("swaps") else { return };
    let volume = attack.rootfs("volume");
    fs::create_dir_all(volume.join("dir/below")).unwrap();
    symlink(&attack.canary, volume.join("link")).unwrap();
    let file = bind(Path::new("/etc/passwd"), "/volume/dir/deep/file");
    attack.config.mount_config = with_mounts(vec![tmpfs("/volume/dir/below"), file]);
    swapping(&[(volume.join("dir"), volume.join("link"))], &|| {
        // A start may fail; what counts is where it reached.
        let _ = attack.run("true");
        attack.unharmed();
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*attack.canary.to_string_lossy()));
}

/// CVE-2024-45310: places that are missing, in a volume whose directories and links somebody swaps and takes away while they are made.
#[test]
fn missing_places_are_made_inside() {
    let Some(mut attack) = Attack::new("places-race") else { return };
    let volume = attack.place.join("volume");
    fs::create_dir_all(volume.join("dir")).unwrap();
    fs::create_dir_all(volume.join("aside")).unwrap();
    for (link, target) in [
        ("out", attack.canary.clone()),
        ("up", PathBuf::from("../../../../../../../../").join(attack.canary.strip_prefix("/").unwrap())),
        ("new", attack.canary.join("new")),
        ("nowhere", "dir/made".into()),
    ] {
        symlink(target, volume.join(link)).unwrap();
    }
    attack.config.working_dir = "/volume/nowhere/cwd".into();
    attack.config.mount_config = with_mounts(vec![
        Mount { writable: true, ..bind(&volume, "/volume") },
        tmpfs("/volume/dir/a/b"),
        bind(Path::new("/etc/passwd"), "/volume/nowhere/f"),
        bind(Path::new("/etc/passwd"), "/volume/dir/g"),
        tmpfs("/volume/new/deep"),
    ]);
    let pairs = [
        ("dir", "out"),
        ("nowhere", "up"),
        ("dir", "new"),
        ("dir/a", "out"),
        ("aside", "nowhere"),
        ("dir/made", "aside"),
    ];
    let pairs = pairs.map(|(one, other)| (volume.join(one), volume.join(other)));
    let outside = |attack: &Attack| {
        let mut names: Vec<_> =
            fs::read_dir(attack.place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = outside(&attack);
    let made = AtomicUsize::new(0);
    // While nobody swaps it starts; then it may fail, and what counts is where it reached.
    attack.run("true").unwrap();
    swapping(&pairs, &|| {
        let _ = attack.run("true");
        attack.unharmed();
        assert_eq!(outside(&attack), before);
        for dir in ["dir", "aside"].map(|name| volume.join(name)).iter().filter(|dir| !dir.is_symlink()) {
            for name in ["a", "f", "g", "deep", "made", "cwd"] {
                let gone = fs::remove_dir_all(dir.join(name)).or_else(|_| fs::remove_file(dir.join(name)));
                made.fetch_add(usize::from(gone.is_ok()), Ordering::Relaxed);
            }
        }
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*attack.place.path().to_string_lossy()), "{mounts}");
    let made = made.into_inner();
    // One start before, and others.
    assert!(made > 6, "{made} names made");
}

/// CVE-2025-31133: the image's null device, which nothing of ours lies over, the masked names and their directory are swapped while masks
/// are made.
#[test]
fn masks_are_made_of_the_hosts_null_device() {
    let Some(mut attack) = Attack::new("mask-race") else { return };
    let canary = attack.canary.join("ptmx");
    fs::create_dir_all(attack.rootfs("d/hidden")).unwrap();
    for secret in ["d/secret", "d/hidden/x", "dev/null"] {
        fs::write(attack.rootfs(secret), "secret").unwrap();
    }
    symlink("/d/secret", attack.rootfs("dev/other")).unwrap();
    symlink(&attack.canary, attack.rootfs("d-other")).unwrap();
    symlink(&canary, attack.rootfs("d/file-other")).unwrap();
    let masked_paths = paths(&["/d/secret", "/d/hidden"]);
    let proc = Mount { kind: "proc".into(), destination: "/proc".into(), ..Mount::default() };
    *attack.mounts() = MountConfig { bare: true, mounts: vec![proc], masked_paths, ..MountConfig::default() };
    attack.config.restrict_sys = false;
    let pairs = [("dev/null", "dev/other"), ("d", "d-other"), ("d/secret", "d/file-other")];
    let pairs = pairs.map(|(one, other)| (attack.rootfs(one), attack.rootfs(other)));
    // A mount without a place shows as what it is of: a mask of a file is the host's null device, wherever its name is by now.
    let script = "(echo overwritten > /d/ptmx) 2>&-; while read i p n root at rest; do case \"$root $at\" in \
        */secret*|*/null*|*/other*) echo \"$n $root\";; esac; done < /proc/self/mountinfo";
    let null = mounts_of_null();
    swapping(&pairs, &|| {
        // A start may fail, and the program may find other names than those that were masked.
        if let Ok(found) = attack.run(script) {
            assert!(found.lines().all(|line| line == null), "{found}");
        }
        attack.unharmed();
    });
}

/// Filesystem and path in it of the host's null device.
fn mounts_of_null() -> String {
    use std::os::unix::fs::MetadataExt;
    let device = fs::metadata("/dev/null").unwrap().dev();
    format!("{}:{} /null", libc::major(device), libc::minor(device))
}

/// CVE-2025-52565: what the console is made of and where it goes is swapped meanwhile.
#[test]
fn the_console_is_the_terminal() {
    let Some(attack) = Attack::new("console-race") else { return };
    let canary = attack.canary.join("ptmx");
    fs::write(attack.rootfs("dev/console"), "").unwrap();
    fs::create_dir_all(attack.rootfs("dev/pts")).unwrap();
    fs::write(attack.rootfs("dev/pts/0"), "").unwrap();
    symlink(&canary, attack.rootfs("dev/console-other")).unwrap();
    symlink(&attack.canary, attack.rootfs("dev/pts-other")).unwrap();
    fs::create_dir(attack.rootfs("dev-other")).unwrap();
    let pairs = [("dev/console", "dev/console-other"), ("dev/pts", "dev/pts-other"), ("dev", "dev-other")];
    let pairs = pairs.map(|(one, other)| (attack.rootfs(one), attack.rootfs(other)));
    swapping(&pairs, &|| {
        let script = "stat -c %t:%T /dev/console > /tmp/seen; echo overwritten > /dev/console";
        let with = ProcessConfig { terminal: true, ..ProcessConfig::new(["sh", "-c", script]) };
        let _ = fs::remove_file(attack.rootfs("tmp/seen"));
        if let Ok((container, mut process)) =
            Factory::new().unwrap().run(attack.place.join("c"), &attack.config, with)
        {
            process.wait().unwrap();
            drop(process);
            container.destroy().unwrap();
            // Unix98 terminals have the major numbers from 136. If the directory was renamed with the mount on it, the name is a plain
            // file of the image, or it is not there at all.
            let seen = fs::read_to_string(attack.rootfs("tmp/seen")).unwrap();
            assert!(seen.starts_with("88:") || seen == "0:0\n" || seen.is_empty(), "{seen}");
        }
        attack.unharmed();
    });
}

/// CVE-2019-19921 and CVE-2023-27561 as a race: the image's `/proc` is swapped for a link into the image, and for another directory,
/// while it is mounted and masked. Wherever the procfs of the container comes to lie, what is to be masked in it is masked.
#[test]
fn masks_go_with_the_procfs() {
    let Some(mut attack) = Attack::new("proc-race") else { return };
    for dir in ["proc-dir", "elsewhere", "sys-dir"] {
        fs::create_dir(attack.rootfs(dir)).unwrap();
    }
    symlink("/elsewhere", attack.rootfs("proc-link")).unwrap();
    attack.mounts().masked_paths = paths(&["/proc/keys", "/sys/kernel"]);
    let pairs = [("proc", "proc-dir"), ("proc", "proc-link"), ("sys", "sys-dir"), ("proc", "proc-dir")];
    let pairs = pairs.map(|(one, other)| (attack.rootfs(one), attack.rootfs(other)));
    let script = "for p in /proc /proc-dir /proc-link /elsewhere; do [ -e $p/self ] || continue; \
        grep -q . $p/keys && echo UNMASKED $p; (: >> $p/sys/kernel/msgmax) && echo WRITABLE $p; \
        [ $p != /elsewhere ] || echo LED; done 2>/dev/null; \
        for s in /sys /sys-dir; do [ -e $s/class ] && ls $s/kernel; done 2>/dev/null; echo end";
    let started = AtomicUsize::new(0);
    swapping(&pairs, &|| {
        if let Ok(found) = attack.run(script) {
            assert_eq!(found, "end\n");
            started.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(started.into_inner() > 0, "no start succeeded");
}

/// youki GHSA-3q8j-pf29-vwv8: a part of the way to a read-only path is swapped between its bind and its being made read-only.
#[test]
fn read_only_paths_are_never_half_made() {
    let Some(mut attack) = Attack::new("readonly-race") else { return };
    for dir in ["v/one/ro", "v/two/ro"] {
        fs::create_dir_all(attack.rootfs(dir)).unwrap();
    }
    symlink(&attack.canary, attack.rootfs("v/link")).unwrap();
    attack.mounts().readonly_paths = paths(&["/v/one/ro"]);
    let pairs = [("v/one", "v/two"), ("v/one", "v/link")];
    let pairs = pairs.map(|(one, other)| (attack.rootfs(one), attack.rootfs(other)));
    // Each mount below the volume is one that was asked for: none is writable.
    let script = "grep -E ' /v[^ ]*/ro ' /proc/self/mountinfo | grep -vE ' /v[^ ]*/ro ro,'; echo end";
    swapping(&pairs, &|| {
        if let Ok(found) = attack.run(script) {
            assert_eq!(found, "end\n");
        }
        attack.unharmed();
    });
}
