//! AppArmor: the profile in force for every way to start a process, what it denies, and what happens without AppArmor or without the profile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends by panicking")]

#[path = "apparmor/confined.rs"]
mod confined;
#[path = "apparmor/ordinary.rs"]
mod ordinary;
#[path = "apparmor/policy.rs"]
mod policy;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libcontainer::plan::{Fault, Lane};
use libcontainer::security::apparmor::{DefaultProfile, ProfileName, Standing, remove, replace};
use libcontainer::{Config, Container, ErrorKind, Factory, ProcessConfig};
use libcontainer_tests::{Place, World, able, config, config_with_mounts, skip, text};

/// One at a time: some tests look at the children of this process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether AppArmor is on; says so if not.
fn on(name: &str) -> bool {
    if !able(name) {
        return false;
    }
    if Standing::current().unwrap() != Standing::On {
        skip(name, "AppArmor is not on");
        return false;
    }
    true
}

/// A profile that is loaded for as long as this lives.
struct Profile(ProfileName);

impl Profile {
    fn load(name: &str, text: &str) -> Self {
        replace(text).unwrap();
        Self(name.parse().unwrap())
    }

    fn default(name: &str) -> Self {
        Self::load(name, &DefaultProfile::new(&name.parse().unwrap()).unwrap().text())
    }

    /// One that allows everything but what `rules` deny.
    fn of(name: &str, rules: &str) -> Self {
        let all = "file, network, capability, mount, umount, pivot_root, signal, ptrace,";
        Self::load(name, &format!("profile {name} flags=(attach_disconnected) {{ {all} {rules} }}\n"))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let removed = remove(&self.0);
        assert!(std::thread::panicking() || removed.is_ok(), "{removed:?}");
    }
}

/// A place with a rootfs.
struct Ground {
    place: Place,
    rootfs: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Ground {
    fn new(name: &str) -> Option<Self> {
        if !on(name) {
            return None;
        }
        let _alone = alone();
        let place = Place::new("apparmor");
        let rootfs = place.rootfs().unwrap();
        Some(Self { place, rootfs, _alone })
    }

    fn config(&self, profile: &str) -> Config {
        Config { apparmor_profile: profile.to_owned(), ..config(&self.rootfs) }
    }

    fn run(&self, config: &Config, script: &str) -> String {
        let (container, process) =
            Factory::new().unwrap().run(self.place.join("c"), config, shell(script)).unwrap();
        let output = text(&process.output(1 << 20).unwrap());
        container.destroy().unwrap();
        output
    }
}

fn shell(script: &str) -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", script]).piped()
}

const OWN: &str = "cat /proc/self/attr/apparmor/current";

#[test]
fn a_profile_is_in_force_for_every_way_to_start() {
    let Some(ground) = Ground::new("a_profile_is_in_force_for_every_way_to_start") else { return };
    let _profile = Profile::default("lct-ways");
    let (factory, config) = (Factory::new().unwrap(), ground.config("lct-ways"));
    let wanted = "lct-ways (enforce)\n";
    assert_eq!(ground.run(&config, OWN), wanted, "run");
    let (container, process) = factory.create_with(ground.place.join("w"), &config, shell(OWN)).unwrap();
    container.run().unwrap();
    assert_eq!(text(&process.output(4096).unwrap()), wanted, "create and start");
    container.destroy().unwrap();
    let container = factory.create(ground.place.join("r"), &config).unwrap();
    assert_eq!(text(&container.start(shell(OWN)).unwrap().output(4096).unwrap()), wanted, "join");
    container.destroy().unwrap();
    let template = factory.template(ground.place.path(), &config).unwrap();
    template.keep_ready(1).unwrap();
    assert!(template.settle(Duration::from_secs(60)), "{:?}", template.stats());
    let (container, process) = template.start(shell(OWN)).unwrap();
    assert_eq!(text(&process.output(4096).unwrap()), wanted, "one that stood by");
    assert_eq!(template.stats().handed_over, 1);
    container.destroy_now().unwrap();
    // Programs that end at once too.
    for _ in 0..20 {
        assert_eq!(ground.run(&config, "exit 0"), "");
    }
}

#[test]
fn a_profile_is_in_force_in_a_user_namespace() {
    let Some(ground) = Ground::new("a_profile_is_in_force_in_a_user_namespace") else { return };
    let _profile = Profile::default("lct-user");
    let mut config = Config { apparmor_profile: "lct-user".into(), ..config_with_mounts(&ground.rootfs) };
    // A join looks for the user there.
    config.mount_config.as_mut().unwrap().masked_paths = vec!["/proc/keys".into(), "/proc/fs".into()];
    assert_eq!(ground.run(&config, OWN), "lct-user (enforce)\n");
    let container = Factory::new().unwrap().create(ground.place.join("c"), &config).unwrap();
    let joined = container.start(shell(OWN)).unwrap();
    assert_eq!(text(&joined.output(4096).unwrap()), "lct-user (enforce)\n", "join");
    container.destroy().unwrap();
}

fn sample(rootfs: &Path) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/libcontainer/samples/apparmor.json");
    let (config, _) = Config::from_file(&path, libcontainer::Mode::Strict).unwrap();
    Config { rootfs: rootfs.to_owned(), cgroups: None, ..config }
}

#[test]
fn the_sample_of_2014_runs() {
    let Some(ground) = Ground::new("the_sample_of_2014_runs") else { return };
    let config = sample(&ground.rootfs);
    let _profile = Profile::default(&config.apparmor_profile);
    assert_eq!(ground.run(&config, OWN), format!("{} (enforce)\n", config.apparmor_profile));
}

#[test]
fn what_a_profile_denies_is_denied() {
    let Some(ground) = Ground::new("what_a_profile_denies_is_denied") else { return };
    std::fs::write(ground.rootfs.join("secret"), "secret\n").unwrap();
    let _profile = Profile::of("lct-secret", "deny /secret r,");
    let script = "cat /secret; cat /etc/group | head -n 1";
    let denied = ground.run(&ground.config("lct-secret"), script);
    assert!(denied.contains("'/secret': Permission denied") && !denied.contains("secret\n"), "{denied}");
    assert!(denied.contains("root:x:0:"), "{denied}");
    assert!(ground.run(&ground.config(""), script).contains("secret\n"));
    // A join too.
    let container =
        Factory::new().unwrap().create(ground.place.join("c"), &ground.config("lct-secret")).unwrap();
    let joined = text(&container.start(shell(script)).unwrap().output(4096).unwrap());
    assert!(joined.contains("'/secret': Permission denied"), "{joined}");
    container.destroy().unwrap();
}

/// What the kernel would let root do in a container that is not restricted, with and without the default profile.
#[test]
fn the_default_profile_denies_what_is_the_machines() {
    let Some(ground) = Ground::new("the_default_profile_denies_what_is_the_machines") else { return };
    let _profile = Profile::default("lct-machine");
    let mut open = ground.config("");
    open.restrict_sys = false;
    open.capabilities.extend(["SYS_ADMIN".to_owned(), "SYS_RAWIO".to_owned()]);
    let script = |what: &str| {
        format!("mount -o remount,rw /proc/sys 2>/dev/null; ({what}) >/dev/null 2>&1 && echo did || echo not")
    };
    for (what, allowed) in [
        ("mount -t tmpfs none /tmp", false),
        ("echo 1 >/proc/sys/kernel/sysrq", false),
        ("echo 60 >/proc/sys/vm/swappiness", false),
        ("echo 0 >/proc/sys/kernel/msg_next_id || echo 32000 >/proc/sys/kernel/msgmni", false),
        (
            "cat /proc/self/status /proc/meminfo /proc/sys/kernel/ostype /sys/kernel/mm/transparent_hugepage/enabled",
            true,
        ),
        ("echo 8388608 >/proc/sys/kernel/shmmax", true),
        ("echo x >/proc/self/comm", true),
        ("echo x >/tmp/x && chown 1 /tmp/x && kill -0 $$", true),
        ("sleep 60 & kill -9 $!", true),
    ] {
        let confined = Config { apparmor_profile: "lct-machine".to_owned(), ..open.clone() };
        let (free, under) = (ground.run(&open, &script(what)), ground.run(&confined, &script(what)));
        assert_eq!(free, "did\n", "{what}: without the profile");
        assert_eq!(under, if allowed { "did\n" } else { "not\n" }, "{what}");
    }
}

#[test]
fn a_profile_that_is_not_loaded_is_refused_before_anything() {
    let Some(ground) = Ground::new("a_profile_that_is_not_loaded_is_refused_before_anything") else { return };
    let before = World::look(ground.place.path());
    let factory = Factory::new().unwrap();
    for profile in ["lct-nowhere", "&lct-nowhere", ":lct:nowhere"] {
        let config = ground.config(profile);
        for error in [
            factory.create(ground.place.join("c"), &config).unwrap_err(),
            factory.run(ground.place.join("c"), &config, shell("true")).map(drop).unwrap_err(),
            factory.template(ground.place.path(), &config).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("/apparmor_profile: AppArmor profile \""), "{text}");
            assert!(text.contains("is not loaded (nsinit apparmor load"), "{text}");
        }
    }
    assert_eq!(World::look(ground.place.path()).more_than(&before), None);
    // One that goes before a process joins: that is refused, and the container stays.
    let profile = Profile::default("lct-gone");
    let container = factory.create(ground.place.join("c"), &ground.config("lct-gone")).unwrap();
    drop(profile);
    let error = container.start(shell(OWN)).unwrap_err().to_string();
    assert!(error.contains("\"lct-gone\" is not loaded"), "{error}");
    container.destroy().unwrap();
    // One that goes from under a template.
    let profile = Profile::default("lct-gone");
    let template = factory.template(ground.place.path(), &ground.config("lct-gone")).unwrap();
    drop(profile);
    let before = World::look(ground.place.path());
    let error = template.run("t", shell(OWN)).map(drop).unwrap_err().to_string();
    assert!(
        error.contains("put the program under the AppArmor profile lct-gone: write")
            && error.contains("ENOENT"),
        "{error}"
    );
    assert_eq!(World::look(ground.place.path()).more_than(&before), None);
}

/// A process inside has laid a `/proc` of its own over the kernel's (CVE-2015-1334): nothing of that is looked at, or written to.
#[test]
fn what_lies_over_proc_inside_does_not_keep_a_join_from_its_profile() {
    let Some(ground) = Ground::new("what_lies_over_proc_inside_does_not_keep_a_join_from_its_profile") else {
        return;
    };
    let _profile = Profile::of("lct-over", "deny /secret r,");
    std::fs::write(ground.rootfs.join("secret"), "secret\n").unwrap();
    let mut config = ground.config("lct-over");
    config.restrict_sys = false;
    config.capabilities.push("SYS_ADMIN".to_owned());
    let container = Factory::new().unwrap().create(ground.place.join("c"), &config).unwrap();
    let cover = "mount -t tmpfs none /proc && for dir in self thread-self; do mkdir -p /proc/$dir/attr/apparmor && \
        for file in exec current apparmor/exec apparmor/current; do echo >/proc/$dir/attr/$file; done; done && echo covered";
    assert_eq!(text(&container.start(shell(cover)).unwrap().output(4096).unwrap()), "covered\n");
    let look = "cat /proc/self/attr/apparmor/exec /proc/thread-self/attr/apparmor/exec; cat /secret";
    let found = text(&container.start(shell(look)).unwrap().output(4096).unwrap());
    assert_eq!(found, "\n\ncat: can't open '/secret': Permission denied\n");
    container.destroy().unwrap();
}

/// Each step that has to do with the profile fails, or is left out: never a process without it.
#[test]
fn no_fault_leaves_a_process_without_its_profile() {
    let Some(ground) = Ground::new("no_fault_leaves_a_process_without_its_profile") else { return };
    let _profile = Profile::default("lct-faults");
    let config = ground.config("lct-faults");
    let running = Factory::new().unwrap().create(ground.place.join("running"), &config).unwrap();
    let steps = |plan: libcontainer::Plan, lane| -> Vec<(Lane, usize, String)> {
        let ours = |text: &str| text.contains("AppArmor") || text == "open the host's procfs";
        let steps = plan.steps(lane).filter(|step| ours(&step.purpose) || ours(&step.call));
        steps.map(|step| (lane, step.index, step.call)).collect()
    };
    let template = Factory::new().unwrap().template(ground.place.path(), &config).unwrap();
    let create = || template.explain("c", Some(&shell(OWN))).unwrap();
    let [child, host] = [Lane::Child, Lane::Host].map(|lane| steps(create(), lane));
    let joined = steps(running.explain(&shell(OWN)).unwrap(), Lane::Child);
    assert_eq!([child.len(), host.len(), joined.len()], [9, 1, 9]);
    let all = |steps: Vec<_>, is_join| steps.into_iter().map(move |step| (is_join, step));
    let before = World::look(ground.place.path());
    for (is_join, (lane, step, call)) in all(child, false).chain(all(host, false)).chain(all(joined, true)) {
        for errno in [libc::EACCES, 0] {
            let factory = Factory::new().unwrap().inject(Fault { lane, step, errno });
            match started(&ground, &factory, &config, is_join) {
                // What was only looked at, or closed, may be left out once.
                Ok(label) => {
                    let harmless =
                        ["compare", "close(", "read back"].iter().any(|start| call.starts_with(start));
                    assert!(errno == 0 && harmless, "{call}: was left out and not noticed");
                    assert_eq!(label, "lct-faults (enforce)\n", "{call}");
                }
                Err(error) => {
                    assert_eq!(error.kind() == ErrorKind::PermissionDenied, errno != 0, "{call}: {error}");
                }
            }
            assert_eq!(World::look(ground.place.path()).more_than(&before), None, "{call}");
        }
    }
    drop(template);
    running.destroy().unwrap();
}

fn started(
    ground: &Ground,
    factory: &Factory,
    config: &Config,
    is_join: bool,
) -> libcontainer::Result<String> {
    if is_join {
        let process = factory.load(ground.place.join("running"))?.start(shell(OWN))?;
        return Ok(text(&process.output(4096)?));
    }
    let (container, process) = factory.run(ground.place.join("c"), config, shell(OWN))?;
    let output = text(&process.output(4096)?);
    container.destroy()?;
    Ok(output)
}

fn made(container: &Container) {
    container.destroy().unwrap();
    panic!("a container was made");
}

#[test]
fn without_apparmor_a_profile_is_a_clear_error() {
    let name = "without_apparmor_a_profile_is_a_clear_error";
    if !able(name) {
        return;
    }
    if Standing::current().unwrap() == Standing::On {
        return skip(name, "AppArmor is on");
    }
    let _alone = alone();
    let place = Place::new("no-apparmor");
    let rootfs = place.rootfs().unwrap();
    let factory = Factory::new().unwrap();
    let before = World::look(place.path());
    let plain = config(&rootfs);
    let with = |profile: &str| Config { apparmor_profile: profile.to_owned(), ..plain.clone() };
    for config in [sample(&rootfs), with("docker-default"), with("&docker-default")] {
        for error in [
            factory.create(place.join("c"), &config).map(|container| made(&container)).unwrap_err(),
            factory
                .run(place.join("c"), &config, shell("true"))
                .map(|(container, _)| made(&container))
                .unwrap_err(),
            factory.template(place.path(), &config).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let text = error.to_string();
            assert!(
                text.starts_with("/apparmor_profile: ")
                    && text.contains(": AppArmor is not enabled on this host: the kernel was "),
                "{text}"
            );
        }
    }
    assert_eq!(World::look(place.path()).more_than(&before), None);
    // That is so anyway.
    let (container, process) = factory.run(place.join("c"), &with("unconfined"), shell("echo ran")).unwrap();
    assert_eq!(text(&process.output(4096).unwrap()), "ran\n");
    container.destroy().unwrap();
}
