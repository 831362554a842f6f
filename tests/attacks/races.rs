//! Names in the rootfs are swapped for links, thousands of times, while a container is made of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use libcontainer::mount::{Mount, MountConfig};
use libcontainer::{Factory, ProcessConfig};
use libcontainer_tests::text;

use super::{Attack, bind, exchange, with_mounts};

/// Ends the swaps, also when an attempt panics: else the scope would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Swaps each pair of names until `attempt` has run often enough, and at least 3000 swaps were made.
fn swapping(pairs: &[(PathBuf, PathBuf)], attempt: &dyn Fn()) {
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
        let mut rounds = 0;
        while rounds < 60 || swaps.load(Ordering::Relaxed) < 3000 {
            attempt();
            rounds += 1;
        }
    });
    assert!(swaps.load(Ordering::Relaxed) >= 3000);
}

/// CVE-2025-31133: the image's null device, the masked names and their directory are swapped while masks are made.
#[test]
fn masks_are_made_of_the_hosts_null_device() {
    let Some(mut attack) = Attack::new("mask-race") else { return };
    let canary = attack.canary.join("ptmx");
    fs::create_dir_all(attack.rootfs("d/hidden")).unwrap();
    fs::write(attack.rootfs("d/secret"), "secret").unwrap();
    fs::write(attack.rootfs("d/hidden/x"), "secret").unwrap();
    fs::write(attack.rootfs("dev/null"), "secret").unwrap();
    symlink(&canary, attack.rootfs("dev/other")).unwrap();
    symlink(&attack.canary, attack.rootfs("d-other")).unwrap();
    symlink(&canary, attack.rootfs("d/file-other")).unwrap();
    let masked = ["/d/secret", "/d/hidden"].map(PathBuf::from).to_vec();
    attack.config.mount_config = Some(MountConfig { masked_paths: masked, ..MountConfig::default() });
    let pairs = [("dev/null", "dev/other"), ("d", "d-other"), ("d/secret", "d/file-other")];
    let pairs = pairs.map(|(one, other)| (attack.rootfs(one), attack.rootfs(other)));
    swapping(&pairs, &|| {
        // A start may fail, and the program may find other names than those that were masked: nothing outside is reached.
        let script = "(echo overwritten > /d/secret; echo overwritten > /dev/null; echo overwritten > /d/ptmx) 2>/dev/null; stat -c %t:%T /dev/null";
        if let Ok(text) = attack.run(script) {
            assert_eq!(text, "1:3\n");
        }
        attack.unharmed();
    });
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
    let tmpfs = |to: &str| Mount { kind: "tmpfs".into(), destination: to.into(), ..Mount::default() };
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
    let (started, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    swapping(&pairs, &|| {
        // A start may fail; what counts is where it reached.
        started.fetch_add(usize::from(attack.run("true").is_ok()), Ordering::Relaxed);
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
    let (started, made) = (started.into_inner(), made.into_inner());
    assert!(started > 0 && made > 0, "{started} started, {made} names made");
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

/// CVE-2019-5736: a loop inside opens the executable of everything that comes along and goes on trying to write to it.
#[test]
fn the_executable_stays_as_it_was() {
    let Some(attack) = Attack::new("exe-write") else { return };
    let own = std::env::current_exe().unwrap();
    let sum = |path: &Path| {
        let output = std::process::Command::new("sha256sum").arg(path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let before = sum(&own);
    let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
    // Opened for reading first, as the attack does, and then for writing through the descriptor's own name.
    let script = "i=0; while [ $i -lt 300 ]; do for p in /proc/[0-9]*; do \
        (exec 9<$p/exe && case $(readlink /proc/self/fd/9) in /bin/busybox) ;; *) \
        j=0; while [ $j -lt 20 ]; do (echo overwritten > /proc/self/fd/9) && echo WROTE; j=$((j+1)); done;; esac) 2>/dev/null; \
        done; i=$((i+1)); done; echo end";
    let watcher = container.start(ProcessConfig::new(["sh", "-c", script]).piped()).unwrap();
    for _ in 0..24 {
        container.start(ProcessConfig::new(["true"])).unwrap().wait().unwrap();
    }
    let seen = text(&watcher.output(1 << 20).unwrap());
    container.destroy().unwrap();
    assert_eq!(seen, "end\n");
    assert_eq!(sum(&own), before);
}
