//! The other kinds of plans: each step of each fails too.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use libcontainer::mount::{IdMapping, MountConfig};
use libcontainer::{Config, Error, Factory, Namespace, NamespaceKind, ProcessConfig};
use libcontainer_tests::{Place, able, config, copy_program, skip};

use crate::{alone, each_step};

const USER: u32 = 4321;
/// For the tests of an ordinary user: number of a process in a user namespace of that user's own.
const OWNER: &str = "LIBCONTAINER_USER_NAMESPACE";

/// Runs the first process, and takes the container away.
fn run(factory: &Factory, place: &Place, config: &Config, process: ProcessConfig) -> Result<(), Error> {
    let (container, mut process) = factory.run(place.join("c"), config, process)?;
    process.wait()?;
    drop(process);
    container.destroy()
}

/// A further process of the container called `running`.
fn join(factory: &Factory, place: &Place, process: ProcessConfig) -> Result<(), Error> {
    factory.load(place.join("running"))?.start(process)?.wait().map(drop)
}

fn process() -> ProcessConfig {
    ProcessConfig::new(["true"])
}

fn with_terminal() -> ProcessConfig {
    ProcessConfig { terminal: true, ..process() }
}

fn with_descriptors() -> ProcessConfig {
    let open = || fs::File::open("/etc/passwd").unwrap().into();
    ProcessConfig { preserved: vec![open(), open()], ..process() }
}

fn map(config: &mut Config, host_id: u32, size: i64) {
    let map = vec![IdMapping { container_id: 0, host_id: host_id.into(), size }];
    config.namespaces.set(NamespaceKind::User, Namespace::New);
    (config.uid_mappings, config.gid_mappings) = (map.clone(), map);
}

/// A place and a config whose mountpoints are there already.
fn ready(name: &str) -> Option<(Place, Config)> {
    if !able(name) {
        return None;
    }
    let place = Place::new(name);
    let config = config(&place.rootfs().unwrap());
    run(&Factory::new().unwrap(), &place, &config, process()).unwrap();
    Some((place, config))
}

#[test]
fn namespaces_by_path() {
    let _alone = alone();
    let Some((place, mut config)) = ready("namespaces_by_path") else { return };
    let mut first = config.clone();
    map(&mut first, 0, 65_536);
    let running = Factory::new().unwrap().create(place.join("running"), &first).unwrap();
    let init = running.init_pid().unwrap().unwrap();
    use NamespaceKind::{Ipc, Network, Pid, User, Uts};
    for kinds in [&[Uts, Ipc, Network][..], &[Uts, Ipc, Network, Pid], &[User, Ipc, Network, Pid]] {
        let by_path =
            |kind: &NamespaceKind| Namespace::Join(format!("/proc/{init}/ns/{}", kind.file()).into());
        let mut config = Config { networks: Vec::new(), ..config.clone() };
        config.hostname.clear();
        kinds.iter().for_each(|kind| config.namespaces.set(*kind, by_path(kind)));
        let counts =
            each_step(&place, libc::EIO, &|factory| run(&factory, &place, &config, with_descriptors()));
        assert!(counts[1] > 80, "{counts:?}");
    }
    running.destroy().unwrap();
    config.namespaces.set(NamespaceKind::Time, Namespace::New);
    config.time_offsets = serde_json::from_str(r#"{"boottime":{"secs":100}}"#).unwrap();
    each_step(&place, libc::EPERM, &|factory| run(&factory, &place, &config, with_terminal()));
}

#[test]
fn without_pivot_root() {
    let _alone = alone();
    let Some((place, mut config)) = ready("without_pivot_root") else { return };
    config.mount_config = Some(MountConfig { no_pivot_root: true, ..MountConfig::default() });
    each_step(&place, libc::EIO, &|factory| run(&factory, &place, &config, with_terminal()));
    each_step(&place, libc::EIO, &|factory| factory.create(place.join("c"), &config)?.destroy());
}

/// The host's, with the rootfs as root, and those of another container.
#[test]
fn mounts_of_others() {
    let _alone = alone();
    let Some((place, first)) = ready("mounts_of_others") else { return };
    let running = Factory::new().unwrap().create(place.join("other"), &first).unwrap();
    let mut config = Config { restrict_sys: false, ..first };
    config.namespaces.share(NamespaceKind::Mount);
    let within = |config: &Config| {
        let counts =
            each_step(&place, libc::EIO, &|factory| run(&factory, &place, config, with_descriptors()));
        assert!(counts[1] > 30, "{counts:?}");
    };
    within(&config);
    let shared = Factory::new().unwrap().create(place.join("running"), &config).unwrap();
    let counts = each_step(&place, libc::EPERM, &|factory| join(&factory, &place, process()));
    assert!(counts[1] > 30, "{counts:?}");
    shared.destroy().unwrap();
    let path = format!("/proc/{}/ns/mnt", running.init_pid().unwrap().unwrap());
    config.namespaces.set(NamespaceKind::Mount, Namespace::Join(path.into()));
    config.rootfs = "/".into();
    within(&config);
    running.destroy().unwrap();
}

#[test]
fn joins_of_every_kind() {
    let _alone = alone();
    let Some((place, mut config)) = ready("joins_of_every_kind") else { return };
    config.namespaces.set(NamespaceKind::Time, Namespace::New);
    config.namespaces.set(NamespaceKind::Cgroup, Namespace::New);
    config.cgroups = Some(place.cgroup());
    config.user = "u".into();
    for user in [false, true] {
        if user {
            map(&mut config, 0, 65_536);
        }
        let running = Factory::new().unwrap().create(place.join("running"), &config).unwrap();
        for process in [with_terminal, with_descriptors] {
            let counts = each_step(&place, libc::EIO, &|factory| join(&factory, &place, process()));
            assert!(counts[0] > 4 && counts[1] > 30, "{counts:?}");
        }
        running.destroy().unwrap();
    }
}

/// As an ordinary user: in another process, as this one has to stay root for the other tests.
#[test]
fn without_root() {
    if std::env::var_os(OWNER).is_some() {
        return inside_without_root();
    }
    let _alone = alone();
    let Some((place, _)) = ready("without_root") else { return };
    // The test's own program may lie where the user can't reach it.
    let copy = place.join("test");
    copy_program(&std::env::current_exe().unwrap(), &copy).unwrap();
    let Some(mut owner) = owner() else {
        return skip("without_root", "this kernel keeps user namespaces from ordinary users");
    };
    let mut command = Command::new(&copy);
    command.args(["--exact", "plans::without_root", "--nocapture"]).env(OWNER, owner.id().to_string());
    let output = command.uid(USER).gid(USER).current_dir("/").output().unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// A process in a user namespace of the user's own. Root has mapped its ids, so that setgroups(2) is allowed there.
fn owner() -> Option<Child> {
    let mut command = Command::new("unshare");
    let mut child = command.args(["-U", "sleep", "1000"]).uid(USER).gid(USER).spawn().ok()?;
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    let number = child.id().to_string();
    while of(&number) == of("self") {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    for name in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{number}/{name}"), format!("0 {USER} 1")).unwrap();
    }
    Some(child)
}

fn inside_without_root() {
    assert_eq!(nix::unistd::geteuid().as_raw(), USER);
    let place = Place::new("rootless-faults");
    let mut config = config(&place.rootfs().unwrap());
    map(&mut config, USER, 1);
    run(&Factory::new().unwrap(), &place, &config, process()).unwrap();
    each_step(&place, libc::EPERM, &|factory| run(&factory, &place, &config, with_terminal()));
    let running = Factory::new().unwrap().create(place.join("running"), &config).unwrap();
    let counts = each_step(&place, libc::EIO, &|factory| join(&factory, &place, with_descriptors()));
    assert!(counts[1] > 30, "{counts:?}");
    // A user namespace by its path, and the others new.
    let path = format!("/proc/{}/ns/user", std::env::var(OWNER).unwrap());
    (config.uid_mappings, config.gid_mappings) = Default::default();
    config.namespaces.set(NamespaceKind::User, Namespace::Join(path.into()));
    each_step(&place, libc::EIO, &|factory| run(&factory, &place, &config, process()));
    running.destroy().unwrap();
}
