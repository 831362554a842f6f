//! Devices of the host's whose way home is blocked: nothing that holds them ends before they are back.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use libcontainer::network::netlink::faults::{Fault, inject};
use libcontainer::network::netlink::{AltNames, Bridge, Link, LinkChange, Netlink, NewLink};
use libcontainer::plan::{Fault as StepFault, Lane};
use libcontainer::{Config, Container, ErrorKind, Factory, NamespaceKind, Network, ProcessConfig, RunState};
use libcontainer_tests::Place;

use super::device::{KEPT, device, global, network};
use super::host::{name, networked, on_a_host, rootfs};

/// By its address the device is known whatever it is called.
fn ours(link: &Link) -> bool {
    link.mac.is_some_and(|mac| mac.to_string() == "02:00:00:00:00:09")
}

fn on_the_host() -> Option<Link> {
    Netlink::open().unwrap().links().unwrap().into_iter().find(ours)
}

fn is_inside(container: &Container) -> bool {
    container.network().unwrap().links.iter().any(ours)
}

fn made(place: &Place, config: &Config) -> Container {
    Factory::new().unwrap().create(place.join("c"), config).unwrap()
}

fn with_device(place: &Place) -> Config {
    device();
    networked(&rootfs(place), vec![network("net0")])
}

/// From one call on, none gets through: neither once nor again.
fn destroy_without(container: &Container, from: usize, errno: i32) -> Result<(), String> {
    let next = Cell::new(0);
    let _injected = inject(move |_| (next.replace(next.get() + 1) >= from).then_some(Fault::Refused(errno)));
    container.destroy().map_err(|error| error.to_string())
}

#[test]
fn nothing_ends_before_a_device_is_home() {
    on_a_host("home-refused", |place| {
        let config = with_device(place);
        let mut refused = 0;
        for from in 0..100 {
            let container = made(place, &config);
            assert!(on_the_host().is_none());
            let Err(text) = destroy_without(&container, from, libc::EPERM) else { break };
            refused += 1;
            assert!(text.contains("device dev0: ") && text.contains(": EPERM: "), "{from}: {text}");
            if on_the_host().is_none() {
                assert!(text.contains("the container was left"), "{from}: {text}");
                assert_eq!(container.run_state().unwrap(), RunState::Running, "{from}");
                assert!(is_inside(&container), "{from}: {text}");
            }
            container.destroy().unwrap();
            let link = on_the_host().unwrap_or_else(|| panic!("{from}: {text}"));
            assert_eq!((link.name, link.alias), (name("dev0"), None), "{from}: {text}");
            assert!(!place.join("c").exists());
        }
        assert!(refused > 4, "{refused}");
    });
}

/// The destroy that tells what it has to tell.
pub(crate) fn destroyed(place: &Place) -> String {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let factory =
        Factory::new().unwrap().warnings(move |error| heard.lock().unwrap().push(error.to_string()));
    factory.destroy(place.join("c")).unwrap();
    assert!(!place.join("c").exists());
    let heard = told.lock().unwrap();
    heard.join("\n")
}

fn take_name(called: &str) -> libcontainer::network::netlink::Index {
    let mut host = Netlink::open().unwrap();
    host.add(&NewLink::bridge(name(called), Bridge::default())).unwrap();
    host.index(called).unwrap()
}

#[test]
fn a_device_whose_name_is_taken_meanwhile_gets_another() {
    on_a_host("home-taken", |place| {
        let config = with_device(place);
        for more in [&[][..], &["net0"]] {
            drop(made(place, &config));
            let taken: Vec<_> = ["dev0"].iter().chain(more).map(|called| take_name(called)).collect();
            let told = destroyed(place);
            let link = on_the_host().expect("lost");
            let wanted = format!("device dev0 is back on the host as {}", link.name);
            assert!(told.starts_with("destroy \"c\": ") && told.contains(&wanted), "{told}");
            assert!(link.name != name("dev0") && link.alias.is_none(), "{link:?}");
            let mut host = Netlink::open().unwrap();
            assert!(!ours(&host.link("dev0").unwrap()));
            for index in taken {
                host.delete(&index).unwrap();
            }
            let renamed = LinkChange::new(link.index).name(name("dev0"));
            host.set(&renamed).unwrap();
        }
    });
}

/// A program in the container may give it any.
#[test]
fn an_alternative_name_that_the_host_has_keeps_no_device_inside() {
    on_a_host("home-alternative", |place| {
        let config = with_device(place);
        let container = made(place, &config);
        let view = container.network().unwrap();
        let index = view.links.iter().find(|link| ours(link)).unwrap().index;
        let pid = container.init_pid().unwrap().unwrap();
        let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
        let mut inside = Netlink::in_namespace(std::os::fd::AsFd::as_fd(&namespace)).unwrap();
        take_name("clash0");
        let names = ["clash0", "other0"].map(std::ffi::OsStr::new);
        inside.add(&AltNames::new(index, &names)).unwrap();
        container.destroy().unwrap();
        let link = on_the_host().expect("lost");
        assert_eq!(link.name, name("dev0"));
        assert_eq!(link.alt_names, [names[1]]);
    });
}

/// Without a pid namespace of their own others live on, and the network namespace with them.
#[test]
fn a_device_comes_home_behind_the_end_of_the_first_process() {
    on_a_host("home-behind", |place| {
        let mut config = with_device(place);
        config.namespaces.share(NamespaceKind::Pid);
        config.cgroups = Some(place.cgroup());
        let factory = Factory::new().unwrap();
        let sleep = || ProcessConfig::new(["sleep", "1000"]);
        let (container, mut first) = factory.run(place.join("c"), &config, sleep()).unwrap();
        let _second = container.start(sleep()).unwrap();
        container.signal(libc::SIGKILL).unwrap();
        first.wait().unwrap();
        assert_eq!(container.run_state().unwrap(), RunState::Stopped);
        container.destroy().unwrap();
        assert_eq!(on_the_host().expect("lost").name, name("dev0"));
    });
}

/// What is taken back of a create too.
#[test]
fn a_failed_create_gives_a_device_back_whose_name_is_taken() {
    on_a_host("home-undone", |place| {
        let config = with_device(place);
        let steps = Factory::new().unwrap().explain(&config, None).unwrap();
        let number = steps.steps(Lane::Host).find(|step| step.call.starts_with("move dev0")).unwrap().index;
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let factory = Factory::new()
            .unwrap()
            .warnings(move |error| heard.lock().unwrap().push(error.to_string()))
            .observe(move |step| {
                if step == number {
                    take_name("dev0");
                }
            })
            .inject(StepFault { lane: Lane::Host, step: number + 1, errno: libc::EIO });
        let error = factory.create(place.join("c"), &config).unwrap_err().to_string();
        assert!(error.contains("EIO"), "{error}");
        let link = on_the_host().expect("lost");
        assert!(link.name != name("dev0") && link.is_up(), "{link:?}");
        let mut host = Netlink::open().unwrap();
        assert_eq!(global(&host.addresses(Some(link.index)).unwrap()), KEPT);
        let other = host.link("dev0").unwrap();
        assert!(host.addresses(Some(other.index)).unwrap().is_empty());
        let wanted = format!("device dev0 is back on the host as {}", link.name);
        assert!(told.lock().unwrap().join("\n").contains(&wanted), "{error}");
        assert!(!place.join("c").exists());
    });
}

/// A create that fails in step `fault` behind the move of `moved`; from then on, no call gets through from the one with the number `from` on.
fn fails_without(place: &Place, config: &Config, moved: usize, fault: StepFault, from: usize) -> String {
    let begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    let next = Cell::new(0);
    let _injected = inject(move |_| {
        let counts = begun.load(Ordering::Relaxed);
        (counts && next.replace(next.get() + 1) >= from).then_some(Fault::Refused(libc::EPERM))
    });
    let factory = Factory::new()
        .unwrap()
        .observe(move |step| begins.store(begins.load(Ordering::Relaxed) || step == moved, Ordering::Relaxed))
        .inject(fault);
    factory.create(place.join("c"), config).unwrap_err().to_string()
}

/// How often the device had to be brought home by a destroy, of a create that fails in that step.
fn kept(place: &Place, config: &Config, moved: usize, fault: StepFault) -> usize {
    let (mut kept, mount) = (0, place.join("c/netns"));
    for from in 0..200 {
        let text = fails_without(place, config, moved, fault, from);
        if !place.join("c").exists() {
            assert!(on_the_host().is_some() && !text.contains("undo: "), "{from}: {text}");
            return kept;
        }
        if on_the_host().is_none() {
            kept += 1;
            let wanted = format!("is kept at {}, and destroy brings the device home", mount.display());
            assert!(text.contains("undo: ") && text.contains(&wanted), "{from}: {text}");
        }
        let container = Factory::new().unwrap().load(place.join("c")).unwrap();
        let refused = destroy_without(&container, 0, libc::EPERM).unwrap_err();
        assert!(refused.contains("the container was left"), "{from}: {refused}");
        container.destroy().expect(&text);
        assert!(!place.join("c").exists());
        let mut host = Netlink::open().unwrap();
        let names = host.links().unwrap().into_iter().map(|link| (link.name, link.alias)).collect::<Vec<_>>();
        for called in ["dev0", "dev2"] {
            assert!(names.contains(&(name(called), None)), "{from}: {text}: {names:?}");
        }
    }
    panic!("no call of the undo gets through");
}

/// Nobody is left who is in the namespace: the init is killed first.
#[test]
fn a_failed_create_keeps_a_device_that_cannot_be_brought_home() {
    on_a_host("home-kept", |place| {
        Netlink::open().unwrap().add(&NewLink::veth(name("dev2"), name("dev3"))).unwrap();
        let other = Network { device: "dev2".to_owned(), ..network("net1") };
        let mut config = with_device(place);
        config.networks.push(other);
        let plan = Factory::new().unwrap().explain(&config, None).unwrap();
        let step = |called: &str| plan.steps(Lane::Host).find(|step| step.call.starts_with(called)).unwrap();
        let (moved, second) = (step("move dev0").index, step("configure net1").index);
        let fault = StepFault { lane: Lane::Host, step: second, errno: libc::EIO };
        let kept = kept(place, &config, moved, fault);
        assert!(kept > 4, "{kept}");
    });
}

/// Who made the container may have been in a mount namespace of his own.
#[test]
fn a_namespace_that_is_kept_where_nobody_sees_it_ends_nothing() {
    on_a_host("home-elsewhere", |place| {
        let config = with_device(place);
        let container = made(place, &config);
        let file = place.join("c/netns");
        std::fs::write(&file, "").unwrap();
        std::fs::write(place.join("c/netns.mounted"), "").unwrap();
        let text = container.destroy().unwrap_err().to_string();
        assert!(text.contains("is not mounted in this mount namespace") && is_inside(&container), "{text}");
        std::fs::remove_file(&file).unwrap();
        container.destroy().unwrap();
        assert_eq!(on_the_host().expect("lost").name, name("dev0"));
    });
}

/// The init that fails takes its network namespace along.
#[test]
fn a_start_whose_exec_fails_brings_the_device_home() {
    on_a_host("home-unexecuted", |place| {
        let config = with_device(place);
        let program = config.rootfs.join("bin/gone");
        for blocked in [false, true] {
            std::os::unix::fs::symlink("busybox", &program).unwrap();
            let factory = Factory::new().unwrap();
            let process = ProcessConfig { args: vec!["/bin/gone".into()], ..ProcessConfig::default() };
            let (container, _process) = factory.create_with(place.join("c"), &config, process).unwrap();
            assert!(on_the_host().is_none());
            std::fs::remove_file(&program).unwrap();
            let text = {
                let _injected = blocked.then(|| inject(|_| Some(Fault::Refused(libc::EPERM))));
                container.run().unwrap_err().to_string()
            };
            assert!(text.contains("ENOENT"), "{text}");
            assert_eq!(text.contains("destroy brings the device home"), blocked, "{text}");
            assert_eq!(on_the_host().is_none(), blocked, "{text}");
            Factory::new().unwrap().destroy(place.join("c")).unwrap();
            assert_eq!(on_the_host().expect("lost").name, name("dev0"));
        }
    });
}

/// What could not be taken back here is not what the other process knows of.
#[test]
fn what_is_left_of_a_container_that_was_deleted_while_it_was_made_is_told() {
    on_a_host("home-deleted", |place| {
        let mut config = with_device(place);
        let hook = serde_json::json!({"create_runtime": [{"path": "/bin/true"}]});
        config.hooks = serde_json::from_value(hook).unwrap();
        let plan = Factory::new().unwrap().explain(&config, None).unwrap();
        let opened =
            plan.steps(Lane::Host).find(|step| step.call.starts_with("let others look")).unwrap().index;
        let gone = Arc::new(AtomicBool::new(false));
        let (goes, at) = (Arc::clone(&gone), place.join("c"));
        let injected = inject(move |_| gone.load(Ordering::Relaxed).then_some(Fault::Refused(libc::EPERM)));
        let factory = Factory::new().unwrap().observe(move |step| {
            if step == opened {
                let other = || Factory::new().unwrap().destroy(&at).unwrap();
                std::thread::scope(|scope| scope.spawn(other).join().unwrap());
                goes.store(true, Ordering::Relaxed);
            }
        });
        let error = factory.create(place.join("c"), &config).unwrap_err();
        drop(injected);
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
        let wanted = "create \"c\": another process has deleted the container meanwhile; undo: ";
        assert!(text.starts_with(wanted) && text.contains("device dev0: "), "{text}");
        assert!(error.undo_errors().next().is_some() && !place.join("c").exists(), "{text}");
        assert_eq!(on_the_host().expect(&text).name, name("dev0"));
    });
}
