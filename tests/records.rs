//! What is known of a container, and what is not: a record that can't be believed, a boot that can't be told, a container left half-made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libcontainer::{Config, Container, ErrorKind, Factory, Pid, Process, ProcessConfig};
use libcontainer_tests::{Place, World, able, config};
use nix::sys::signal::Signal;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// A place, and the config of a container there that has a control group.
fn grouped(name: &str) -> (Place, Config) {
    let place = Place::new(name);
    let config = Config { cgroups: Some(place.cgroup()), ..config(&place.rootfs().unwrap()) };
    (place, config)
}

/// A container whose first process lives, with nsinit beside it.
struct Kept {
    place: Place,
    config: Config,
}

impl Kept {
    fn new(name: &str) -> Self {
        let (place, config) = grouped(name);
        std::fs::create_dir(place.join("state")).unwrap();
        Self { place, config }
    }

    fn web(&self) -> PathBuf {
        self.place.join("state/web")
    }

    /// Starts it; returns its pid.
    fn start(&self) -> Pid {
        let process = ProcessConfig::new(["sleep", "300"]);
        let (_, process) = Factory::new().unwrap().run(self.web(), &self.config, process).unwrap();
        process.pid()
    }

    fn nsinit(&self, args: &[&str]) -> Command {
        // The program is built beside this test.
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new(own.ancestors().nth(2).unwrap().join("nsinit"));
        command.arg("--root").arg(self.place.join("state")).args(args).stdin(Stdio::null());
        command
    }

    /// Runs nsinit in a mount namespace in which an empty file stands over `path`.
    fn without(&self, path: &str, args: &[&str]) -> Output {
        let empty = self.place.join("empty");
        std::fs::write(&empty, "").unwrap();
        let nsinit = self.nsinit(args);
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"", "-"]);
        command.arg(empty).arg(path).arg(nsinit.get_program()).args(nsinit.get_args());
        command.stdin(Stdio::null()).output().unwrap()
    }
}

fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Standard error of a command that fails.
fn fails(output: &Output, words: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(words), "{words:?} is not in {text:?}");
}

/// That the kernel does not say which boot this is does not mean that the container is of another one.
#[test]
fn an_unknown_boot_ends_nothing() {
    if !able("an_unknown_boot_ends_nothing") {
        return;
    }
    let kept = Kept::new("boot");
    let before = World::look(kept.place.path()).groups().count();
    let pid = kept.start();
    let boot = "/proc/sys/kernel/random/boot_id";
    for args in [
        &["delete", "--force", "web"] as &[&str],
        &["delete", "web"],
        &["state", "web"],
        &["kill", "web"],
        &["ps", "web"],
        &["pause", "web"],
        &["exec", "web", "true"],
    ] {
        let output = kept.without(boot, args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(boot), "{args:?}: {text}");
        assert!(lives(pid) && kept.web().join("state.json").exists(), "{args:?}");
    }
    let listed = kept.without(boot, &["list", "--format", "json"]);
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(text.contains("unknown") && text.contains(boot) && !listed.status.success(), "{text}");
    assert!(kept.nsinit(&["delete", "--force", "web"]).status().unwrap().success());
    assert!(!lives(pid) && !kept.web().exists());
    assert_eq!(World::look(kept.place.path()).groups().count(), before);
}

/// A container cannot be made where the boot can't be told: its record would be of no use.
#[test]
fn an_unknown_boot_makes_nothing() {
    if !able("an_unknown_boot_makes_nothing") {
        return;
    }
    let kept = Kept::new("no-boot");
    let config = Config { args: vec!["true".to_owned()], ..kept.config.clone() };
    std::fs::write(kept.place.join("container.json"), config.to_json().unwrap()).unwrap();
    let bundle = kept.place.path().to_str().unwrap();
    let output = kept.without("/proc/sys/kernel/random/boot_id", &["run", "--bundle", bundle, "web"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("boot_id"), "{text}");
    assert!(!kept.web().exists());
    assert_eq!(World::look(kept.place.path()).groups().count(), 0);
}

/// What a process that is gone left half-made is said to be that, and delete takes it away without force.
#[test]
fn left_half_made() {
    if !able("left_half_made") {
        return;
    }
    let kept = Kept::new("half");
    let step = "4";
    let state = kept.place.join("state");
    let rootfs = kept.place.join("rootfs");
    let args: [&Path; 4] = [&state, &rootfs, "created".as_ref(), step.as_ref()];
    let victim = Command::new(env!("CARGO_BIN_EXE_victim")).args(args).status().unwrap();
    assert!(!victim.success());
    let path = state.join("0");
    let error = Factory::new().unwrap().create(&path, &kept.config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert!(error.to_string().contains("half-made by a process that is gone"), "{error}");
    fails(&kept.nsinit(&["kill", "0"]).output().unwrap(), "not running");
    assert!(kept.nsinit(&["delete", "0"]).status().unwrap().success());
    assert!(!path.exists());
    assert_eq!(World::look(&state).groups().count(), 0);
}

#[path = "records/damaged.rs"]
mod damaged;

/// Who removes it by hand has not ended the container: the handle still knows what there is.
#[test]
fn what_is_left_of_a_directory_that_somebody_took_away_is_ended_by_the_handle() {
    if !able("what_is_left_of_a_directory_that_somebody_took_away_is_ended_by_the_handle") {
        return;
    }
    let place = Place::new("taken-away");
    let config = Config { cgroups: Some(place.cgroup()), ..config(&place.rootfs().unwrap()) };
    let factory = Factory::new().unwrap();
    let template = factory.template(place.path(), &config).unwrap();
    let program = || ProcessConfig::new(["sleep", "100"]);
    let starts: [&dyn Fn() -> (Container, Process); 2] =
        [&|| factory.run(place.join("c"), &config, program()).unwrap(), &|| {
            template.start(program()).unwrap()
        }];
    for start in starts {
        let (container, process) = start();
        std::fs::remove_dir_all(container.path()).unwrap();
        container.destroy().unwrap();
        assert!(template.settle(PATIENCE), "{:?}", template.stats());
        assert!(process.wait_timeout(PATIENCE).unwrap().is_some());
        container.destroy().unwrap();
        assert_eq!(World::look(place.path()).groups().count(), 0);
    }
}

/// A container whose record was read before it had the inodes of its group, and whose directory was then taken away.
struct Early {
    place: Place,
    config: Config,
    factory: Factory,
    container: Container,
    process: Process,
}

impl Early {
    fn taken(name: &str) -> Self {
        let (place, config) = grouped(name);
        let factory = Factory::new().unwrap();
        let path = place.join("c");
        let (_, process) = factory.run(&path, &config, ProcessConfig::new(["sleep", "100"])).unwrap();
        libcontainer_tests::rewrite(&path, without_inodes);
        let container = factory.load(&path).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        Self { place, config, factory, container, process }
    }
}

/// Of a group that the handle knows by its name alone it is the mark that says whose it is.
#[test]
fn a_group_whose_inode_is_not_known_is_ended_by_its_mark() {
    if !able("a_group_whose_inode_is_not_known_is_ended_by_its_mark") {
        return;
    }
    let Early { place, config, factory, container, process } = Early::taken("taken-early");
    let path = place.join("c");
    // Another's group of that name is not touched.
    let (_, other) = {
        let config = Config { cgroups: None, ..config.clone() };
        factory.run(&path, &config, ProcessConfig::new(["sleep", "100"])).unwrap()
    };
    container.destroy().unwrap();
    assert!(process.wait_timeout(PATIENCE).unwrap().is_some());
    assert!(lives(other.pid()));
    assert_eq!(World::look(place.path()).groups().count(), 0);
    factory.destroy(&path).unwrap();
}

/// One of which nothing says whose it is stays, and is named.
#[test]
fn a_group_without_inode_and_mark_is_told() {
    if !able("a_group_without_inode_and_mark_is_told") {
        return;
    }
    let Early { place, container, process, .. } = Early::taken("taken-unknown");
    let group = World::look(place.path()).groups().next().unwrap().to_owned();
    container.destroy().unwrap();
    assert!(process.wait_timeout(PATIENCE).unwrap().is_some());
    assert_eq!(World::look(place.path()).groups().count(), 0);
    std::fs::create_dir(&group).unwrap();
    let error = container.destroy().unwrap_err();
    std::fs::remove_dir(&group).unwrap();
    assert!(error.to_string().contains(&*group.to_string_lossy()), "{error}");
    container.destroy().unwrap();
}

/// Who has no handle can't tell whether it was removed here: a container of that path on the same filesystem is told, and left as it is.
#[test]
fn a_group_whose_directory_somebody_took_away_is_told_to_who_deletes_by_name() {
    if !able("a_group_whose_directory_somebody_took_away_is_told_to_who_deletes_by_name") {
        return;
    }
    let kept = Kept::new("taken-named");
    let delete = ["delete", "--force", "web"];
    let pid = kept.start();
    let container = Factory::new().unwrap().load(kept.web()).unwrap();
    let group = World::look(kept.place.path()).groups().next().unwrap().to_owned();
    std::fs::remove_dir_all(kept.web()).unwrap();
    let output = kept.nsinit(&delete).output().unwrap();
    fails(&output, "somebody has removed");
    fails(&output, &group.file_name().unwrap().to_string_lossy());
    fails(&output, &format!("process {pid}"));
    assert!(lives(pid) && group.exists());
    // In a mount namespace in which that path is another filesystem's it is another container's.
    let nsinit = kept.nsinit(&delete);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount -t tmpfs t \"$1\" && shift && exec \"$@\"", "-"]);
    command.arg(kept.place.join("state")).arg(nsinit.get_program()).args(nsinit.get_args());
    assert!(command.stdin(Stdio::null()).status().unwrap().success());
    container.destroy().unwrap();
    assert!(kept.nsinit(&delete).status().unwrap().success());
}

/// Pid 1 of a namespace is no zombie until the last in it is reaped, but has nothing left by which it could be looked at.
#[test]
fn one_that_is_ending_has_ended() {
    if !able("one_that_is_ending_has_ended") {
        return;
    }
    let kept = Kept::new("ending");
    let pid = kept.start();
    let container = Factory::new().unwrap().load(kept.web()).unwrap();
    let added = ["mounts", "add", "web", "/etc", "/tmp/etc"];
    assert!(kept.nsinit(&added).status().unwrap().success());
    // Its child is not reaped as long as it stands still. One of this process would be, by the tests beside.
    let mut stopped = kept.nsinit(&["exec", "web", "sleep", "300"]).spawn().unwrap();
    let send = |pid: i32, signal| {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    };
    let joined = child_called(&stopped, "sleep");
    send(stopped.id().try_into().unwrap(), Signal::SIGSTOP);
    send(pid.as_raw(), Signal::SIGKILL);
    let end = std::time::Instant::now() + PATIENCE;
    while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok() {
        assert!(std::time::Instant::now() < end);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let removed = ["mounts", "remove", "web", "/tmp/etc"];
    for args in [&["exec", "web", "true"] as &[&str], &["mounts", "list", "web"], &added, &removed] {
        fails(&kept.nsinit(args).output().unwrap(), "the container has ended");
    }
    assert!(std::path::Path::new(&format!("/proc/{joined}")).exists(), "it was reaped");
    stopped.kill().unwrap();
    stopped.wait().unwrap();
    container.destroy().unwrap();
}

/// The child of a process, once it is that program.
fn child_called(parent: &std::process::Child, name: &str) -> i32 {
    let id = parent.id();
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let is_it = |pid: &&str| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name)
        };
        if let Some(pid) = text.split_whitespace().find(is_it) {
            return pid.parse().unwrap();
        }
        assert!(std::time::Instant::now() < end, "{text:?}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn without_inodes(record: &mut serde_json::Value) {
    for intent in record["intent"].as_array_mut().unwrap() {
        let places = intent.get_mut("cgroup").and_then(serde_json::Value::as_array_mut);
        places.into_iter().flatten().for_each(|place| drop(place.as_object_mut().unwrap().remove("inode")));
    }
}
