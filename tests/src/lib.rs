//! What the end-to-end tests share: a place to work in, a rootfs, configs, and a look at what remains.
#![forbid(unsafe_code)]

pub mod decoys;
pub mod operator;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use libcontainer::cgroups::{GroupPath, Layout};
use libcontainer::{Cgroup, Config, Factory, NamespaceKind, Namespaces, Network, ResctrlMount};

/// The program inside: one static file with everything.
pub const BUSYBOX: &str = "/usr/bin/busybox";

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
pub fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Whether this test can make containers; says so if not.
#[must_use]
pub fn able(name: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        skip(name, "needs root");
        return false;
    }
    if !Path::new(BUSYBOX).exists() {
        skip(name, "busybox is not installed");
        return false;
    }
    // Below the floor there is this one error, and a test of it.
    if let Err(error) = libcontainer::Probe::current() {
        skip(name, &error.to_string());
        return false;
    }
    true
}

/// A directory of its own for a test, removed at the end.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// A new directory below the system's temporary one.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    #[allow(clippy::expect_used, reason = "a test without its directory can only fail")]
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("lct-{name}-{}-{number}", std::process::id()));
        fs::create_dir(&dir).expect("make the test's directory");
        Self { dir }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A control group named after the directory, with limits that every kernel has.
    #[must_use]
    pub fn cgroup(&self) -> Cgroup {
        group_of(&self.dir)
    }

    /// A rootfs of busybox and a few account lines.
    ///
    /// # Errors
    /// Those of copying.
    pub fn rootfs(&self) -> std::io::Result<PathBuf> {
        let root = self.join("rootfs");
        for dir in ["bin", "etc", "proc", "sys", "dev", "tmp", "home/u"] {
            fs::create_dir_all(root.join(dir))?;
        }
        copy_program(Path::new(BUSYBOX), &root.join("bin/busybox"))?;
        for name in [
            "sh", "ls", "cat", "id", "ps", "true", "false", "sleep", "echo", "grep", "env", "mount", "stat",
            "tty", "kill", "readlink", "head", "touch", "wc", "mkdir", "umount",
        ] {
            symlink("busybox", root.join("bin").join(name))?;
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nu:x:1000:100::/home/u:/bin/sh\ngarbage:x:zero:0::/:\n";
        fs::write(root.join("etc/passwd"), passwd)?;
        fs::write(root.join("etc/group"), "root:x:0:\nwheel:x:10:u\n")?;
        Ok(root)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only then: what a test that goes well leaves must show.
        if std::thread::panicking() {
            destroy_all(&self.dir);
        }
        if let Err(error) = unmount_below(&self.dir).and_then(|()| fs::remove_dir_all(&self.dir)) {
            let _ = writeln!(std::io::stderr(), "{}: {error}", self.dir.display());
        }
    }
}

/// Takes away what is still mounted below `dir`. Removing goes through mounts: without this a test that leaves a bind of the machine's own
/// directory would empty that.
fn unmount_below(dir: &Path) -> std::io::Result<()> {
    let text = fs::read("/proc/thread-self/mountinfo")?;
    let points = libcontainer::mount::parse_mountinfo(&text).map(|entry| entry.map(|entry| entry.target));
    let points = points.collect::<Result<Vec<_>, _>>().map_err(std::io::Error::other)?;
    for point in points.iter().rev().map(|point| Path::new(OsStr::from_bytes(point))) {
        if !point.starts_with(dir) {
            continue;
        }
        nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH | nix::mount::MntFlags::UMOUNT_NOFOLLOW)?;
    }
    Ok(())
}

/// Destroys the containers of a failed test, as far as that can be.
fn destroy_all(dir: &Path) {
    let Ok(factory) = Factory::new() else { return };
    let records = files(dir).into_iter().filter(|file| file.ends_with("state.json"));
    for container in records.filter_map(|file| file.parent().map(Path::to_owned)) {
        if let Err(error) = factory.destroy(&container) {
            let _ = writeln!(std::io::stderr(), "{}: {error}", container.display());
        }
    }
}

/// Copies a program that is to be run. Another process does it: a descriptor of ours that is open for writing would live on for a
/// moment in whatever another thread forks meanwhile, and the kernel then refuses to run the file (`ETXTBSY`).
///
/// # Errors
/// If `cp` can't be run or fails.
pub fn copy_program(from: &Path, to: &Path) -> std::io::Result<()> {
    let status = std::process::Command::new("cp").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("cp: {status}"))) }
}

/// A config with the five namespaces of 2014, loopback, and a few capabilities.
#[must_use]
pub fn config(rootfs: &Path) -> Config {
    use NamespaceKind::{Ipc, Mount, Network as Net, Pid, Uts};
    Config {
        rootfs: rootfs.to_owned(),
        hostname: "inside".to_owned(),
        namespaces: Namespaces::new([Mount, Uts, Ipc, Pid, Net]),
        networks: vec![Network { kind: "loopback".to_owned(), ..Network::default() }],
        environment: vec!["PATH=/bin".to_owned()],
        capabilities: ["CHOWN", "KILL", "SETUID", "SETGID", "DAC_OVERRIDE"].map(str::to_owned).to_vec(),
        restrict_sys: true,
        ..Config::default()
    }
}

/// A config with mounts, masks, a user namespace and attributes of the process: more kinds of steps than [`config`] has.
///
/// # Panics
/// Never: the text is a valid config.
#[must_use]
#[allow(clippy::expect_used, reason = "a constant")]
pub fn config_with_mounts(rootfs: &Path) -> Config {
    use libcontainer::{Namespace, mount::IdMapping};
    let mounts = r#"{"mounts":[{"type":"tmpfs","destination":"/tmp","options":["size=1m","nosuid"]},
        {"type":"bind","source":"/etc","destination":"/mnt/etc","options":["nodev"]}],
        "masked_paths":["/proc/keys","/proc/fs","/etc/group"],"readonly_paths":["/etc"],"readonly_fs":true}"#;
    let map = vec![IdMapping { container_id: 0, host_id: 0, size: 65_536 }];
    let mut config = config(rootfs);
    config.mount_config = Some(serde_json::from_str(mounts).expect("mounts"));
    config.namespaces.set(NamespaceKind::User, Namespace::New);
    (config.uid_mappings, config.gid_mappings) = (map.clone(), map);
    config.user = "u".to_owned();
    config.scheduler = serde_json::from_str(r#"{"policy":"SCHED_BATCH","nice":3}"#).ok();
    config.io_priority = serde_json::from_str(r#"{"class":"IOPRIO_CLASS_BE","priority":6}"#).ok();
    config.personality = serde_json::from_str(r#"{"domain":"LINUX32"}"#).ok();
    config.rlimits = serde_json::from_str(r#"[{"type":"NOFILE","soft":64,"hard":64}]"#).unwrap_or_default();
    config.securebits = vec!["NOROOT".to_owned()];
    config
}

/// A group of version 2 that stands in for a mounted resctrl: its directories bring their files too, take members by their numbers, and go by rmdir(2).
#[must_use]
pub fn resctrl_at(root: impl Into<PathBuf>) -> ResctrlMount {
    let [tasks, schemata, monitors] = ["cgroup.procs", "cgroup.max.depth", "."].map(str::to_owned);
    ResctrlMount { root: root.into(), tasks, schemata, monitors }
}

/// The control group of a test that works in `dir`.
#[must_use]
pub fn group_of(dir: &Path) -> Cgroup {
    let name = dir.file_name().unwrap_or_default();
    Cgroup { path: name.into(), memory: 256 << 20, ..Cgroup::default() }
}

/// Changes the record of a container, as an older program or one that was killed would have left it. The second file stays as it is.
///
/// # Panics
/// If there is none.
#[allow(clippy::unwrap_used, reason = "a test ends by panicking")]
pub fn rewrite(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("state.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut record);
    record.as_object_mut().unwrap().remove("checksum");
    let mut bytes = serde_json::to_vec(&record).unwrap();
    bytes.pop();
    let sum = format!(",\"checksum\":\"{:08x}\"}}\n", crc32(&bytes));
    bytes.extend(sum.bytes());
    fs::write(&path, bytes).unwrap();
}

/// CRC-32 as in IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _: u32| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

/// Directories of control groups that are named after `dir`.
fn groups(dir: &Path) -> BTreeSet<PathBuf> {
    let (Ok(layout), Ok(name)) = (Layout::of_this_process(), GroupPath::new(group_of(dir).path)) else {
        return BTreeSet::new();
    };
    let paths = layout.all().filter_map(|one| Some(one.mountpoint.join(name.below_mount(one).ok()?)));
    paths.filter(|path| path.exists()).collect()
}

/// What a failed or finished container must not leave behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    mounts: BTreeSet<String>,
    children: BTreeSet<String>,
    descriptors: usize,
    files: BTreeSet<PathBuf>,
    groups: BTreeSet<PathBuf>,
    memory: usize,
}

impl World {
    /// A look at the mounts of this namespace, children of this process, its descriptors, and files below `dir`.
    #[must_use]
    pub fn look(dir: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let descriptors: Vec<_> = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().collect();
        let links = descriptors.iter().filter_map(|entry| fs::read_link(entry.path()).ok());
        let memory = links.filter(|link| link.to_string_lossy().contains("memfd:libcontainer-plan")).count();
        let mounts = text("/proc/self/mountinfo");
        let ours = |line: &&str| line.contains(&*dir.to_string_lossy());
        Self {
            mounts: mounts.lines().filter(ours).map(str::to_owned).collect(),
            children: children(),
            descriptors: descriptors.len(),
            files: files(dir),
            groups: groups(dir),
            memory,
        }
    }

    /// Directories of control groups.
    pub fn groups(&self) -> impl Iterator<Item = &Path> {
        self.groups.iter().map(PathBuf::as_path)
    }

    /// The same without files: directories that are made for mounts stay in the rootfs.
    #[must_use]
    pub fn but_files(mut self) -> Self {
        self.files.clear();
        self
    }

    /// What is here and was not there before; `None` if nothing.
    #[must_use]
    pub fn more_than(&self, before: &Self) -> Option<String> {
        let more = Self {
            mounts: self.mounts.difference(&before.mounts).cloned().collect(),
            children: self.children.difference(&before.children).cloned().collect(),
            descriptors: self.descriptors.saturating_sub(before.descriptors),
            files: self.files.difference(&before.files).cloned().collect(),
            groups: self.groups.difference(&before.groups).cloned().collect(),
            memory: self.memory.saturating_sub(before.memory),
        };
        (more != Self::default()).then(|| format!("{more:#?}"))
    }
}

fn children() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(text.split_whitespace().map(str::to_owned));
    }
    all
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(files(&entry.path()));
        }
        all.insert(entry.path());
    }
    all
}

/// The text of a process's output.
#[must_use]
pub fn text(output: &libcontainer::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends by panicking")]
mod tests {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    /// In a thread with mounts of its own.
    #[test]
    fn what_a_test_has_left_bound_is_not_emptied() {
        if !able("what_a_test_has_left_bound_is_not_emptied") {
            return;
        }
        let kept = Place::new("kept");
        fs::write(kept.join("file"), "x").unwrap();
        let thread = || {
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            let place = Place::new("left");
            let (dir, over) = (place.path().to_owned(), place.join("over"));
            fs::create_dir(&over).unwrap();
            mount(Some(kept.path()), &over, none, MsFlags::MS_BIND, none).unwrap();
            drop(place);
            assert!(!dir.exists());
        };
        std::thread::scope(|scope| scope.spawn(thread).join()).unwrap();
        assert!(kept.join("file").exists());
    }
}
