//! SELinux: labels in force for every way to start a process, what they keep apart, and what happens where there are none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends by panicking")]

#[path = "selinux/made.rs"]
mod made;
#[path = "selinux/over.rs"]
mod over;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libcontainer::mount::{Mount, MountConfig};
use libcontainer::plan::{Fault, Lane};
use libcontainer::security::selinux::{Context, Level, Levels, Relabel, Standing, file_label};
use libcontainer::{Config, ErrorKind, Factory, ProcessConfig};
use libcontainer_tests::{Place, World, able, config, config_with_mounts, skip, text};

const PROCESS: &str = "system_u:system_r:container_t";
const FILE: &str = "system_u:object_r:container_file_t";

/// Whether the labels of this test are in force; says so if not.
fn enforcing(name: &str) -> bool {
    if !able(name) {
        return false;
    }
    if Standing::current().unwrap() != Standing::Enforcing {
        skip(name, "SELinux is not enforcing");
        return false;
    }
    true
}

fn file(level: &str) -> Context {
    format!("{FILE}:{level}").parse().unwrap()
}

/// A place with a rootfs that containers at every level may use.
struct Ground {
    place: Place,
    rootfs: PathBuf,
}

impl Ground {
    fn new(name: &str) -> Option<Self> {
        if !enforcing(name) {
            return None;
        }
        let place = Place::new("selinux");
        let rootfs = place.rootfs().unwrap();
        Relabel::of("z", file("s0")).unwrap().run(&rootfs).unwrap();
        Some(Self { place, rootfs })
    }

    fn config(&self, level: &str) -> Config {
        labelled(config(&self.rootfs), level)
    }

    fn run(&self, config: &Config, script: &str) -> String {
        let (container, process) =
            Factory::new().unwrap().run(self.place.join("c"), config, shell(script)).unwrap();
        let output = text(&process.output(1 << 20).unwrap());
        container.destroy().unwrap();
        output
    }
}

fn labelled(mut config: Config, level: &str) -> Config {
    config.process_label = format!("{PROCESS}:{level}");
    config.mount_config.get_or_insert_default().mount_label = format!("{FILE}:{level}");
    config
}

fn shell(script: &str) -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", script]).piped()
}

/// Its own label, without the NUL.
const OWN: &str = "cat /proc/self/attr/current | head -c 200";

fn own(text: &str) -> &str {
    text.trim_end_matches(['\0', '\n'])
}

fn bound(source: &Path, relabel: &str) -> Mount {
    Mount {
        kind: "bind".to_owned(),
        source: source.to_owned(),
        destination: "/tmp".into(),
        writable: true,
        relabel: relabel.to_owned(),
        ..Mount::default()
    }
}

#[test]
fn a_label_is_in_force_for_every_way_to_start() {
    let Some(ground) = Ground::new("a_label_is_in_force_for_every_way_to_start") else { return };
    let (factory, config) = (Factory::new().unwrap(), ground.config("s0:c1,c2"));
    let wanted = config.process_label.as_str();
    assert_eq!(own(&ground.run(&config, OWN)), wanted, "run");
    // The policy allows the transition then too (nnp_transition), or exec would fail.
    let confined = Config { no_new_privileges: true, user: "u".into(), ..config.clone() };
    assert_eq!(own(&ground.run(&confined, OWN)), wanted, "no_new_privileges");
    let (container, process) = factory.create_with(ground.place.join("w"), &config, shell(OWN)).unwrap();
    container.run().unwrap();
    assert_eq!(own(&text(&process.output(4096).unwrap())), wanted, "create and start");
    container.destroy().unwrap();
    let container = factory.create(ground.place.join("r"), &config).unwrap();
    let joined = container.start(shell(OWN)).unwrap();
    assert_eq!(own(&text(&joined.output(4096).unwrap())), wanted, "join");
    container.destroy().unwrap();
    let template = factory.template(ground.place.path(), &config).unwrap();
    template.keep_ready(1).unwrap();
    assert!(template.settle(Duration::from_secs(60)), "{:?}", template.stats());
    let (container, process) = template.start(shell(OWN)).unwrap();
    assert_eq!(own(&text(&process.output(4096).unwrap())), wanted, "one that stood by");
    assert_eq!(template.stats().handed_over, 1);
    container.destroy_now().unwrap();
}

#[test]
fn a_label_is_in_force_in_a_user_namespace() {
    let Some(ground) = Ground::new("a_label_is_in_force_in_a_user_namespace") else { return };
    let mut config = labelled(config_with_mounts(&ground.rootfs), "s0:c1,c2");
    let mounts = config.mount_config.as_mut().unwrap();
    mounts.mounts.remove(1);
    mounts.masked_paths.clear();
    assert_eq!(own(&ground.run(&config, OWN)), config.process_label);
    let container = Factory::new().unwrap().create(ground.place.join("c"), &config).unwrap();
    let joined = container.start(shell(OWN)).unwrap();
    assert_eq!(own(&text(&joined.output(4096).unwrap())), config.process_label, "join");
    container.destroy().unwrap();
}

#[test]
fn names_of_2014_are_aliases() {
    let Some(ground) = Ground::new("names_of_2014_are_aliases") else { return };
    let mut config = ground.config("s0:c2,c1");
    config.process_label = "system_u:system_r:svirt_lxc_net_t:s0:c164,c475".into();
    assert_eq!(own(&ground.run(&config, OWN)), format!("{PROCESS}:s0:c164,c475"), "as the policy has them");
}

#[test]
fn the_sample_of_2014_runs() {
    let Some(ground) = Ground::new("the_sample_of_2014_runs") else { return };
    let config = sample(&ground.rootfs);
    assert_eq!(own(&ground.run(&config, OWN)), config.process_label);
}

fn sample(rootfs: &Path) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/libcontainer/samples/selinux.json");
    let (config, _) = Config::from_file(&path, libcontainer::Mode::Strict).unwrap();
    Config { rootfs: rootfs.to_owned(), cgroups: None, ..config }
}

#[test]
fn what_the_policy_does_not_allow_is_denied() {
    let Some(ground) = Ground::new("what_the_policy_does_not_allow_is_denied") else { return };
    let host = ground.place.join("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("secret"), "secret").unwrap();
    let mut config = ground.config("s0:c1,c2");
    config.mount_config.as_mut().unwrap().mounts = vec![bound(&host, "")];
    let output =
        ground.run(&config, "cat /tmp/secret; echo x > /tmp/new; echo made > /dev/shm/own; cat /dev/shm/own");
    assert!(!output.contains("secret\n") && output.contains("'/tmp/secret': Permission denied"), "{output}");
    assert!(output.contains("made") && !host.join("new").exists(), "{output}");
    // Without a label the same is allowed: it is the policy that denies.
    let plain = Config { process_label: String::new(), ..config };
    assert!(ground.run(&plain, "cat /tmp/secret").contains("secret"));
}

#[test]
fn two_containers_are_kept_apart_by_their_categories() {
    let Some(ground) = Ground::new("two_containers_are_kept_apart_by_their_categories") else { return };
    let levels = Levels::new(ground.place.join("mcs"));
    let (one, two) = (levels.reserve().unwrap(), levels.reserve().unwrap());
    let [one, two] = [one.level(), two.level()].map(|level: Level| level.to_string());
    let volume = ground.place.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("file"), "content").unwrap();
    let mounted = |level: &str, relabel: &str| {
        let mut config = ground.config(level);
        config.mount_config.as_mut().unwrap().mounts = vec![bound(&volume, relabel)];
        config
    };
    let look = "cat /tmp/file; echo more > /tmp/more && echo wrote";
    // Z: the first one's alone.
    let found = ground.run(&mounted(&one, "Z"), look);
    assert!(found.contains("content") && found.contains("wrote"), "{found}");
    let label = |name: &str| file_label(fs::File::open(volume.join(name)).unwrap()).unwrap().unwrap();
    assert_eq!((label("file"), label("more")), (file(&one), file(&one)));
    let found = ground.run(&mounted(&two, ""), look);
    assert!(
        found.contains("Permission denied") && !found.contains("content") && !found.contains("wrote"),
        "{found}"
    );
    // z: both have it.
    let found = ground.run(&mounted(&two, "z"), look);
    assert!(found.contains("content") && found.contains("wrote"), "{found}");
    assert_eq!(label("file"), file("s0"));
    assert!(ground.run(&mounted(&one, ""), look).contains("content"));
    // Z again: the second one's.
    assert!(ground.run(&mounted(&two, "Z"), look).contains("content"));
    assert!(ground.run(&mounted(&one, ""), look).contains("Permission denied"));
}

#[test]
fn mounts_and_the_keyring_have_the_containers_label() {
    let Some(ground) = Ground::new("mounts_and_the_keyring_have_the_containers_label") else { return };
    let config = ground.config("s0:c1,c2");
    let (container, mut process) = Factory::new()
        .unwrap()
        .run(ground.place.join("c"), &config, ProcessConfig::new(["sleep", "60"]))
        .unwrap();
    let root = PathBuf::from(format!("/proc/{}/root", process.pid()));
    for path in ["dev", "dev/shm", "dev/pts", "dev/null"] {
        let path = root.join(path);
        let opened =
            nix::fcntl::open(&path, nix::fcntl::OFlag::O_PATH, nix::sys::stat::Mode::empty()).unwrap();
        assert_eq!(file_label(opened).unwrap(), Some(file("s0:c1,c2")), "{}", path.display());
    }
    // Its policy shows a container no key of the host's: a keyring that is seen is labelled as its own.
    let plain = Config { process_label: String::new(), ..config.clone() };
    let sleep = || ProcessConfig::new(["sleep", "60"]);
    let (other, mut others) =
        Factory::new().unwrap().run(ground.place.join("plain"), &plain, sleep()).unwrap();
    let joined = container.start(shell("grep -o '_ses[.][a-z]*' /proc/keys")).unwrap();
    let seen = text(&joined.output(4096).unwrap());
    let mut seen: Vec<_> = seen.lines().collect();
    seen.sort_unstable();
    assert_eq!(seen, ["_ses.c", "_ses.join"]);
    for (container, process) in [(container, &mut process), (other, &mut others)] {
        process.signal(libc::SIGKILL).unwrap();
        process.wait().unwrap();
        container.destroy().unwrap();
    }
}

#[test]
fn a_label_that_the_policy_does_not_have_is_refused_before_anything() {
    let Some(ground) = Ground::new("a_label_that_the_policy_does_not_have_is_refused_before_anything") else {
        return;
    };
    let before = World::look(ground.place.path());
    for (change, wanted) in [
        (
            Config { process_label: "system_u:system_r:nosuch_t:s0".into(), ..ground.config("s0") },
            "/process_label: ",
        ),
        (Config { process_label: format!("{PROCESS}:s1"), ..ground.config("s0") }, "/process_label: "),
        (
            Config { process_label: "x_u:system_r:container_t:s0".into(), ..ground.config("s0") },
            "/process_label: ",
        ),
        (mount_label(ground.config("s0"), "system_u:object_r:nosuch_t:s0"), "/mount_config/mount_label: "),
    ] {
        let error = Factory::new().unwrap().create(ground.place.join("c"), &change).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(wanted) && text.contains("not valid in the loaded policy"), "{text}");
    }
    assert_eq!(World::look(ground.place.path()).more_than(&before), None);
}

fn mount_label(mut config: Config, label: &str) -> Config {
    label.clone_into(&mut config.mount_config.as_mut().unwrap().mount_label);
    config
}

/// Each step that has to do with labels fails, or is left out: never a process without its label.
#[test]
fn no_fault_leaves_a_process_without_its_label() {
    let Some(ground) = Ground::new("no_fault_leaves_a_process_without_its_label") else { return };
    let config = ground.config("s0:c1,c2");
    let running = Factory::new().unwrap().create(ground.place.join("running"), &config).unwrap();
    let steps = |plan: libcontainer::Plan| -> Vec<(usize, String)> {
        let ours = |purpose: &str| purpose.starts_with("label ") || purpose == "open the host's procfs";
        let steps = plan.steps(Lane::Child).filter(|step| ours(&step.purpose));
        steps.map(|step| (step.index, step.call)).collect()
    };
    let created = steps(Factory::new().unwrap().explain(&config, Some(&shell(OWN))).unwrap());
    let joined = steps(running.explain(&shell(OWN)).unwrap());
    assert_eq!((created.len(), joined.len()), (14, 14));
    let before = World::look(ground.place.path());
    for (is_join, (step, call)) in
        created.into_iter().map(|step| (false, step)).chain(joined.into_iter().map(|step| (true, step)))
    {
        for errno in [libc::EACCES, 0] {
            let factory = Factory::new().unwrap().inject(Fault { lane: Lane::Child, step, errno });
            let started = if is_join {
                factory
                    .load(ground.place.join("running"))
                    .and_then(|running| running.start(shell(OWN)))
                    .map(|process| (None, process))
            } else {
                factory
                    .run(ground.place.join("c"), &config, shell(OWN))
                    .map(|(container, process)| (Some(container), process))
            };
            match started {
                // What was only looked at, or closed, may be left out once.
                Ok((container, process)) => {
                    let harmless = call.starts_with("compare") || call.starts_with("close(");
                    assert!(errno == 0 && harmless, "{call}: was left out and not noticed");
                    assert_eq!(own(&text(&process.output(4096).unwrap())), config.process_label, "{call}");
                    if let Some(container) = container {
                        container.destroy().unwrap();
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind() == ErrorKind::PermissionDenied, errno != 0, "{call}: {error}");
                }
            }
            assert_eq!(World::look(ground.place.path()).more_than(&before), None, "{call}");
        }
    }
    // The host's own look.
    let tampered =
        Factory::new().unwrap().expect(|expected| expected.exec_label = Some(format!("{PROCESS}:s0")));
    let error = tampered.run(ground.place.join("c"), &config, shell(OWN)).unwrap_err().to_string();
    assert!(error.contains("read back the label of the program of the init: wanted"), "{error}");
    running.destroy().unwrap();
}

#[test]
fn without_selinux_a_label_is_a_clear_error_and_nothing_else_changes() {
    let name = "without_selinux_a_label_is_a_clear_error_and_nothing_else_changes";
    if !able(name) {
        return;
    }
    if Standing::current().unwrap().is_on() {
        return skip(name, "SELinux is on");
    }
    let place = Place::new("no-selinux");
    let rootfs = place.rootfs().unwrap();
    let factory = Factory::new().unwrap();
    let before = World::look(place.path());
    let labelled = labelled(config(&rootfs), "s0:c1,c2");
    let process_only = Config { mount_config: None, ..labelled.clone() };
    let mount_only = Config { process_label: String::new(), ..labelled };
    let without = ": SELinux is not enabled on this host: ";
    for (config, wanted) in [
        (sample(&rootfs), "/process_label: "),
        (process_only, "/process_label: "),
        (mount_only, "/mount_config/mount_label: "),
    ] {
        for error in [
            factory.create(place.join("c"), &config).unwrap_err(),
            factory.run(place.join("c"), &config, shell("true")).map(drop).unwrap_err(),
            factory.template(place.path(), &config).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.starts_with(wanted) && text.contains(without), "{text}");
        }
    }
    assert_eq!(World::look(place.path()).more_than(&before), None);
    // As in 2014: nothing is relabelled without a label, not even what must not be.
    let mounts = MountConfig { mounts: vec![bound(Path::new("/etc"), "Z")], ..MountConfig::default() };
    let config = Config { mount_config: Some(mounts), ..config(&rootfs) };
    let (container, process) = factory.run(place.join("c"), &config, shell("cat /tmp/passwd")).unwrap();
    assert!(text(&process.output(1 << 20).unwrap()).contains("root:"));
    container.destroy().unwrap();
}
