//! Behaviours of 2014 that are easy to get wrong, by their numbers in the table of traps.
//!
//! `docs/traps.md` has them all, with the tests that lie elsewhere; there the comment of a test names its trap.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

#[path = "traps/process.rs"]
mod process;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libcontainer::mount::{IdMapping, MountConfig};
use libcontainer::{Config, Container, Error, ErrorKind, Factory, Mode, Namespace, NamespaceKind};
use libcontainer::{ProcessConfig, RunState};
use libcontainer_tests::{Place, able, config, text};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{SFlag, makedev, mknod};

/// Some look at the children and descriptors of the whole process: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

struct Trap {
    place: Place,
    config: Config,
    _alone: MutexGuard<'static, ()>,
}

impl Trap {
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

    fn mount_config(&mut self, json: &str) {
        self.config.mount_config = Some(serde_json::from_str(json).unwrap());
    }

    fn create(&self) -> Container {
        Factory::new().unwrap().create(self.place.join("c"), &self.config).unwrap()
    }

    fn run(&self, script: &str) -> Result<String, Error> {
        let process = ProcessConfig::new(["sh", "-c", script]).piped();
        let (container, process) =
            Factory::new().unwrap().run(self.place.join("c"), &self.config, process)?;
        let found = text(&process.output(1 << 16)?);
        container.destroy()?;
        Ok(found)
    }

    fn check(&self, script: &str, wanted: &str) {
        assert_eq!(self.run(script).unwrap(), wanted, "{script}");
    }

    /// A user namespace that maps the first `size` ids to themselves.
    fn user_namespace(&mut self, size: i64) {
        let map = vec![IdMapping { container_id: 0, host_id: 0, size }];
        self.config.namespaces.set(NamespaceKind::User, Namespace::New);
        (self.config.uid_mappings, self.config.gid_mappings) = (map.clone(), map);
    }

    /// Makes the rootfs a mount of its own, until the result is dropped.
    fn bind_rootfs(&self) -> Bound {
        let (path, none) = (&self.config.rootfs, None::<&str>);
        nix::mount::mount(Some(path), path, none, MsFlags::MS_BIND, none).unwrap();
        Bound(path.clone())
    }
}

struct Bound(PathBuf);

impl Bound {
    fn change(&self, flags: MsFlags) {
        let none = None::<&str>;
        nix::mount::mount(none, &self.0, none, flags, none).unwrap();
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

fn output(container: &Container, script: &str) -> String {
    let process = ProcessConfig::new(["sh", "-c", script]).piped();
    text(&container.start(process).unwrap().output(1 << 16).unwrap())
}

fn read(json: &str) -> Config {
    Config::from_json(json.as_bytes()).unwrap().0
}

#[test]
fn trap_01_a_device_type_is_a_number_and_a_letter() {
    for (kind, number) in [("99", 99), ("\"c\"", 99), ("98", 98), ("\"b\"", 98)] {
        let json = format!(
            r#"{{"mount_config":{{"device_nodes":[{{"type":{kind},"path":"/dev/x","major_number":1,"file_mode":438}}]}}}}"#
        );
        let config = read(&json);
        assert_eq!(config.mount_config.as_ref().unwrap().device_nodes[0].mode(), 0o666, "decimal");
        let written: serde_json::Value = serde_json::from_str(&config.to_json().unwrap()).unwrap();
        assert_eq!(written["mount_config"]["device_nodes"][0]["type"], number, "{kind}");
        assert_eq!(written["mount_config"]["device_nodes"][0]["file_mode"], 438, "{kind}");
    }
}

#[test]
fn trap_03_json_is_read_as_go_did_unless_strictly() {
    let json = br#"{"HostName":"a","user":null,"bogus":1,"mount_config":{"READONLY_FS":true,"more":[]}}"#;
    let (config, mut unknown) = Config::from_json(json).unwrap();
    unknown.sort();
    assert_eq!((config.hostname.as_str(), config.user.as_str()), ("a", ""));
    assert!(config.mount_config.unwrap().readonly_fs);
    assert_eq!(unknown, ["/bogus", "/mount_config/more"]);
    let error = Config::from_json_with(json, Mode::Strict, "x").unwrap_err();
    let mut pointers: Vec<_> = error.config_problems().iter().map(|problem| &problem.pointer).collect();
    pointers.sort();
    assert_eq!(pointers, ["/HostName", "/bogus", "/mount_config/READONLY_FS", "/mount_config/more"]);
}

#[test]
fn trap_04_binds_are_read_only_unless_writable() {
    let Some(mut trap) = Trap::new("trap04") else { return };
    let source = trap.place.join("source");
    fs::create_dir(&source).unwrap();
    let bind = |to: &str, more: &str| {
        format!(r#"{{"type":"bind","source":"{}","destination":"{to}"{more}}}"#, source.display())
    };
    let all = [
        ("ro", "", false),
        ("other", r#","options":["noexec","rbind"]"#, false),
        ("data", r#","data":"nosuid""#, false),
        ("told", r#","writable":true,"options":["ro"]"#, false),
        ("rw", r#","writable":true"#, true),
        ("option", r#","options":["rw","nodev"]"#, true),
        ("below", r#","options":["rrw"]"#, true),
    ];
    let mounts: Vec<_> = all.iter().map(|(name, more, _)| bind(&format!("/mnt/{name}"), more)).collect();
    trap.mount_config(&format!(r#"{{"mounts":[{}]}}"#, mounts.join(",")));
    let touch: Vec<_> = all.iter().map(|(name, ..)| format!("touch /mnt/{name}/{name} 2>&1;")).collect();
    let refused = all.iter().filter(|(.., writable)| !writable);
    let wanted: String =
        refused.map(|(name, ..)| format!("touch: /mnt/{name}/{name}: Read-only file system\n")).collect();
    trap.check(&touch.concat(), &wanted);
    for (name, _, writable) in all {
        assert_eq!(source.join(name).exists(), writable, "{name}");
    }
}

#[test]
fn trap_07_numbers_of_states_are_fixed() {
    use RunState::{Destroyed, Paused, Pausing, Running};
    assert_eq!([Running, Pausing, Paused, Destroyed].map(|state| state as u8), [1, 2, 3, 4]);
}

#[test]
fn trap_08_start_times_are_strings_and_names_hold_anything() {
    let Some(trap) = Trap::new("trap08") else { return };
    let script = "printf ') S 1 (a b' > /proc/$$/comm; sleep 100; true";
    let factory = Factory::new().unwrap();
    let process = ProcessConfig::new(["sh", "-c", script]);
    let (container, process) = factory.run(trap.place.join("c"), &trap.config, process).unwrap();
    until(|| fs::read_to_string(format!("/proc/{}/comm", process.pid())).unwrap() == ") S 1 (a b\n");
    let loaded = factory.load(trap.place.join("c")).unwrap();
    assert_eq!(loaded.run_state().unwrap(), RunState::Running, "the same process, whatever its name");
    let state = fs::read(trap.place.join("c/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let time = state["init_start_time"].as_str().expect("a string");
    assert!(time.parse::<u64>().unwrap() > 0);
    container.destroy().unwrap();
}

fn until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "waited too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn trap_09_absent_parts_have_defaults() {
    let Some(mut trap) = Trap::new("trap09") else { return };
    assert!(trap.config.cgroups.is_none() && trap.config.mount_config.is_none());
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    trap.check("cat /proc/self/cgroup", &own);
    trap.mount_config(
        r#"{"device_nodes":[{"type":"c","path":"/dev/mine","major_number":1,"minor_number":5}]}"#,
    );
    trap.check("stat -c %t:%T /dev/null /dev/mine; echo x > /dev/null", "1:3\n1:5\n");
}

#[test]
fn trap_10_nothing_changes_the_host() {
    let Some(mut trap) = Trap::new("trap10") else { return };
    let whole = trap.config.clone();
    let change = |config: &mut Config, kind: NamespaceKind, pointer: &str, json: &str| {
        *config = whole.clone();
        config.namespaces.share(kind);
        let error = Factory::new().unwrap().explain(config, None).map(drop).unwrap_err();
        let found = error.config_problems().iter().any(|problem| problem.pointer == pointer);
        assert!(found && error.to_string().contains("would change the host"), "{json}{pointer}: {error}");
    };
    change(&mut trap.config, NamespaceKind::Uts, "/hostname", "");
    change(&mut trap.config, NamespaceKind::Mount, "/restrict_sys", "");
    change(&mut trap.config, NamespaceKind::Network, "/networks", "");
    assert_eq!(trap.run("true").unwrap_err().kind(), ErrorKind::InvalidConfig);
    let sysctl =
        read(r#"{"rootfs":"/x","namespaces":{"NEWNS":true},"sysctl":{"kernel.sem":"1"},"domainname":"d"}"#);
    let problems = Factory::new().unwrap().explain(&sysctl, None).map(drop).unwrap_err();
    assert_eq!(problems.config_problems().len(), 2, "{problems}");
}

#[test]
fn trap_11_mounts_arrive_only_without_pivot_root() {
    let Some(mut trap) = Trap::new("trap11") else { return };
    let bound = trap.bind_rootfs();
    bound.change(MsFlags::MS_SHARED);
    for (no_pivot, wanted) in [(true, "seen\n1\n"), (false, "0\n")] {
        trap.config.mount_config = Some(MountConfig { no_pivot_root: no_pivot, ..MountConfig::default() });
        let container = trap.create();
        let (place, none) = (trap.rootfs("home/u"), None::<&str>);
        nix::mount::mount(Some("tmpfs"), &place, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        let later = Bound(place.clone());
        fs::write(place.join("later"), "seen\n").unwrap();
        let script =
            "cat /home/u/later 2>/dev/null; grep -E '^([^ ]+ ){4}/ ' /proc/self/mountinfo | grep -c master:";
        let found = output(&container, script);
        drop(later);
        container.destroy().unwrap();
        assert!(found.ends_with(wanted) && found.contains("seen") == no_pivot, "{no_pivot}: {found}");
    }
}

#[test]
fn trap_12_a_read_only_rootfs_is_not_written_to() {
    let Some(mut trap) = Trap::new("trap12") else { return };
    let bound = trap.bind_rootfs();
    bound.change(MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);
    trap.mount_config(r#"{"readonly_fs":true}"#);
    trap.check("touch /x 2>&1; ls -A / | wc -l", "touch: /x: Read-only file system\n7\n");
    drop(bound);
    let names = fs::read_dir(&trap.config.rootfs).unwrap().count();
    assert_eq!(names, 7, "no directory for the old root");
}

#[test]
fn trap_13_null_is_open_for_both() {
    let Some(trap) = Trap::new("trap13") else { return };
    let container = trap.create();
    let script = "cat; echo lost && echo lost >&2 && exec sleep 100";
    let process = container.start(ProcessConfig::new(["sh", "-c", script])).unwrap();
    until(|| fs::read_to_string(format!("/proc/{}/comm", process.pid())).unwrap() == "sleep\n");
    for number in 0..3 {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{number}", process.pid())).unwrap();
        let flags = info.lines().find(|line| line.starts_with("flags:")).unwrap();
        assert!(flags.ends_with('2'), "descriptor {number}, O_RDWR: {flags}");
    }
    container.destroy().unwrap();
}

#[test]
fn trap_14_a_node_is_the_one_that_was_asked_for() {
    let Some(mut trap) = Trap::new("trap14") else { return };
    fs::create_dir(trap.rootfs("data")).unwrap();
    mknod(&trap.rootfs("data/n"), SFlag::S_IFCHR, nix::sys::stat::Mode::S_IRWXO, makedev(1, 7)).unwrap();
    fs::write(trap.rootfs("data/f"), "a file").unwrap();
    trap.mount_config(
        r#"{"device_nodes":[
        {"type":"c","path":"/data/n","major_number":1,"minor_number":5,"file_mode":416,"uid":7,"gid":8},
        {"type":"c","path":"/data/f","major_number":1,"minor_number":5},
        {"type":"c","path":"/dev/own","major_number":1,"minor_number":9,"file_mode":384,"uid":9,"gid":9}]}"#,
    );
    trap.config.umask = Some(0o077);
    trap.check(
        "stat -c '%F %t:%T %a %u %g' /data/n /data/f /dev/own",
        "character special file 1:5 640 7 8\ncharacter special file 1:5 666 0 0\ncharacter special file 1:9 600 9 9\n",
    );
}

#[test]
fn trap_15_restricted_paths_are_the_containers_own() {
    let Some(mut trap) = Trap::new("trap15") else { return };
    // Names relative to the working directory, as 2014's were, would be these.
    fs::create_dir_all(trap.rootfs("tmp/proc/sys")).unwrap();
    fs::write(trap.rootfs("tmp/proc/kcore"), "own").unwrap();
    trap.config.working_dir = "/tmp".into();
    // Not every kernel has all four, nor a kcore.
    let names = ["sys", "sysrq-trigger", "irq", "bus"].iter();
    let there = names.filter(|name| PathBuf::from("/proc").join(name).exists()).count();
    let script = "grep -cE ' /proc/(sys|sysrq-trigger|irq|bus) ro,' /proc/self/mountinfo; \
        cat /proc/kcore 2>/dev/null | wc -c; cat proc/kcore; touch proc/sys/x";
    trap.check(script, &format!("{there}\n0\nown"));
    fs::remove_dir(trap.rootfs("proc")).unwrap();
    symlink("tmp/proc", trap.rootfs("proc")).unwrap();
    let error = trap.run("true").unwrap_err();
    assert_eq!(error.errno(), Some(libc::ELOOP), "{error}");
}
