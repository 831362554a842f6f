//! Escapes that other runtimes have had, staged against this one. Targets are canaries: harmless if an attack worked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

#[path = "attacks/inside.rs"]
mod inside;
#[path = "attacks/races.rs"]
mod races;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer::mount::{Mount, MountConfig};
use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::{Place, able, config, text};

struct Attack {
    place: Place,
    config: Config,
    canary: PathBuf,
}

impl Attack {
    fn new(name: &str) -> Option<Self> {
        if !able(name) {
            return None;
        }
        let place = Place::new(name);
        let config = config(&place.rootfs().unwrap());
        let canary = place.join("canary");
        fs::create_dir(&canary).unwrap();
        fs::write(canary.join("ptmx"), "alive").unwrap();
        Some(Self { place, config, canary })
    }

    fn rootfs(&self, name: &str) -> PathBuf {
        self.config.rootfs.join(name)
    }

    fn replace(&self, name: &str, target: &Path) {
        let path = self.rootfs(name);
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    fn run(&self, script: &str) -> libcontainer::Result<String> {
        let process = ProcessConfig::new(["sh", "-c", script]).piped();
        let (container, process) =
            Factory::new().unwrap().run(self.place.join("c"), &self.config, process)?;
        let found = text(&process.output(1 << 16)?);
        container.destroy()?;
        Ok(found)
    }

    fn unharmed(&self) {
        let names: Vec<_> =
            fs::read_dir(&self.canary).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["ptmx"], "something was made outside");
        assert_eq!(fs::read_to_string(self.canary.join("ptmx")).unwrap(), "alive");
    }
}

fn bind(source: &Path, to: &str) -> Mount {
    Mount { kind: "bind".into(), source: source.into(), destination: to.into(), ..Mount::default() }
}

fn with_mounts(mounts: Vec<Mount>) -> Option<MountConfig> {
    Some(MountConfig { mounts, ..MountConfig::default() })
}

/// CVE-2026-41579, CVE-2023-27561, CVE-2019-19921: directories of the image are links.
#[test]
fn links_in_place_of_system_directories() {
    for name in ["dev", "proc", "sys"] {
        let Some(attack) = Attack::new(&format!("link-{name}")) else { return };
        attack.replace(name, &attack.canary);
        let error = attack.run("true").unwrap_err();
        assert!(matches!(error.errno(), Some(libc::ELOOP | libc::ENOTDIR | libc::EXDEV)), "{error}");
        attack.unharmed();
    }
}

/// CVE-2015-3629, CVE-2024-45310: destinations through links and `..` stay inside.
#[test]
fn destinations_stay_inside() {
    let Some(mut attack) = Attack::new("destinations") else { return };
    attack.replace("a", &attack.canary);
    let source = attack.place.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("f"), "bound").unwrap();
    let up = "/../../../../../../../inside/dir";
    attack.config.mount_config = with_mounts(vec![bind(&source, up), bind(&source.join("f"), "/file/new")]);
    assert_eq!(attack.run("cat /inside/dir/f /file/new").unwrap(), "boundbound");
    attack.config.mount_config = with_mounts(vec![bind(&source, "/a/new/dir")]);
    let _ = attack.run("true");
    attack.unharmed();
}

/// CVE-2025-31133: masks come from the host's null device, whatever the image has in its place.
#[test]
fn masks_do_not_trust_the_image() {
    let Some(mut attack) = Attack::new("masks") else { return };
    fs::write(attack.rootfs("secret"), "secret").unwrap();
    fs::create_dir(attack.rootfs("hidden")).unwrap();
    fs::write(attack.rootfs("hidden/x"), "x").unwrap();
    symlink("/etc/passwd", attack.rootfs("dev/null")).unwrap();
    let masked = ["/secret", "/hidden", "/not-there"].map(PathBuf::from).to_vec();
    attack.config.mount_config = Some(MountConfig { masked_paths: masked, ..MountConfig::default() });
    let script =
        "cat /secret; ls /hidden; touch /hidden/y 2>/dev/null || echo refused; stat -c %t:%T /secret";
    assert_eq!(attack.run(script).unwrap(), "refused\n1:3\n");
}

/// 2014's restrict: kernel settings can't be changed from inside.
#[test]
fn restricted_paths_refuse_writes() {
    let Some(attack) = Attack::new("restricted") else { return };
    let script = "for f in /proc/sys/kernel/msgmax /proc/irq/default_smp_affinity; do (echo 1 > $f) 2>/dev/null && echo wrote $f; done; touch /sys/x 2>/dev/null || echo done";
    assert_eq!(attack.run(script).unwrap(), "done\n");
}

/// CVE-2019-5736: the program's own executable, as a script's interpreter and as a file, is never the host's.
#[test]
fn the_executable_is_never_the_hosts() {
    let Some(attack) = Attack::new("exe") else { return };
    let script = attack.rootfs("bin/evil");
    fs::write(&script, "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
    let watch = "i=0; while [ $i -lt 200 ]; do for p in /proc/[0-9]*; do readlink $p/exe $p/cwd $p/root $p/fd/* 2>/dev/null; done; i=$((i+1)); done";
    let watcher = container.start(ProcessConfig::new(["sh", "-c", watch]).piped()).unwrap();
    for _ in 0..24 {
        // The interpreter is the sealed init, run on nonsense: it fails, or ends at once.
        if let Ok(mut process) = container.start(ProcessConfig::new(["evil"])) {
            assert!(!process.wait().unwrap().success());
        }
        container.start(ProcessConfig::new(["true"])).unwrap().wait().unwrap();
    }
    let seen = text(&watcher.output(1 << 22).unwrap());
    container.destroy().unwrap();
    let own = std::env::current_exe().unwrap();
    for line in seen.lines() {
        let known = ["/", "/bin/busybox", "/dev/null"].contains(&line)
            || line.starts_with("/proc/")
            || line.starts_with("pipe:")
            || line.starts_with("socket:")
            || line.starts_with("anon_inode:")
            || line.contains("memfd:libcontainer-init");
        assert!(known && line != own.to_string_lossy(), "a process inside saw {line}");
    }
}

/// CVE-2024-21626: a working directory through a descriptor, or outside of the root.
#[test]
fn working_directories_are_inside() {
    let Some(mut attack) = Attack::new("cwd") else { return };
    for number in 0..24 {
        attack.config.working_dir = format!("/proc/self/fd/{number}").into();
        assert!(attack.run("pwd; ls").is_err(), "descriptor {number}");
    }
    attack.config.working_dir = "/etc/passwd".into();
    assert_eq!(attack.run("true").unwrap_err().errno(), Some(libc::ENOTDIR));
}

/// CVE-2016-3697, CVE-2022-2989: users and groups.
#[test]
fn numbers_are_numbers() {
    let Some(mut attack) = Attack::new("numbers") else { return };
    fs::write(attack.rootfs("etc/passwd"), "1000:x:0:0::/:\n").unwrap();
    attack.config.user = "1000".into();
    assert_eq!(attack.run("id -u; id -G").unwrap(), "1000\n0\n");
}

/// CVE-2021-30465 and its kin: names are swapped for links while mounts are made on them.
#[test]
fn swapped_names_lead_nowhere() {
    let Some(mut attack) = Attack::new("swaps") else { return };
    let volume = attack.rootfs("volume");
    fs::create_dir_all(volume.join("dir/below")).unwrap();
    symlink(&attack.canary, volume.join("link")).unwrap();
    let tmpfs = Mount { kind: "tmpfs".into(), destination: "/volume/dir/below".into(), ..Mount::default() };
    attack.config.mount_config =
        with_mounts(vec![tmpfs, bind(Path::new("/etc/passwd"), "/volume/dir/deep/file")]);
    let (stop, swaps) = (AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange(&volume.join("dir"), &volume.join("link"));
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..60 {
            // A start may fail; what counts is where it reached.
            let _ = attack.run("true");
            attack.unharmed();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(swaps.load(Ordering::Relaxed) > 2000);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*attack.canary.to_string_lossy()));
}

fn exchange(one: &Path, other: &Path) {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let _ = renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE);
}

/// The host's mounts are the same before and after, also with shared propagation inside.
#[test]
fn mounts_do_not_travel() {
    let Some(mut attack) = Attack::new("propagation") else { return };
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    for propagation in ["", "rprivate", "rslave", "rshared", "unbindable"] {
        attack.config.mount_config =
            Some(MountConfig { rootfs_propagation: propagation.into(), ..MountConfig::default() });
        attack.run("true").unwrap();
        let inside = Factory::new().unwrap().create(attack.place.join("d"), &attack.config).unwrap();
        let now = fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .filter(|line| line.contains("lct-propagation"))
            .count();
        assert_eq!(now, 0, "{propagation}");
        inside.destroy().unwrap();
    }
    assert!(before > 0);
}
