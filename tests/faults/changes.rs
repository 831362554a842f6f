//! Each write of a control file fails once while a container is changed, paused, resumed or destroyed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use libcontainer::cgroups::{Resources, faults};
use libcontainer::{Config, Container, Error, Factory, ProcessConfig, RunState};
use libcontainer_tests::{Place, World, able, config, skip};

use super::alone;

const LONG: Duration = Duration::from_secs(20);

/// The file and the value of the write that failed.
type Hit = Option<(PathBuf, String)>;

/// Runs `work` with each of its writes failing in turn, until it has no more. The names of the files that failed.
fn each_write(mut work: impl FnMut(&dyn Fn() -> Hit)) -> BTreeSet<String> {
    let mut failed = BTreeSet::new();
    for index in 0.. {
        let hit: Rc<RefCell<Hit>> = Rc::default();
        let (put, mut left) = (Rc::clone(&hit), index);
        let injected = faults::inject(move |file, value| {
            if left == 0 && put.borrow().is_none() {
                *put.borrow_mut() = Some((file.to_owned(), value.to_owned()));
                return Some(libc::EIO);
            }
            left = i32::saturating_sub(left, 1).max(0);
            None
        });
        work(&|| hit.borrow().clone());
        drop(injected);
        let Some((file, _)) = hit.borrow().clone() else { break };
        failed.insert(file.file_name().unwrap().to_string_lossy().into_owned());
        assert!(index < 200, "no end: {failed:?}");
    }
    failed
}

fn names(error: &Error, hit: &Hit) {
    let (file, value) = hit.as_ref().unwrap_or_else(|| panic!("{error}"));
    let text = error.to_string();
    assert!(text.contains(&format!("write {value:?} to {}", file.display())), "{file:?} {value:?}: {text}");
    assert_eq!(error.errno(), Some(libc::EIO), "{text}");
}

/// What the control files say that an update may touch.
fn texts(container: &Container) -> Vec<(PathBuf, String)> {
    let files = [
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "memory.max",
        "memory.swap.max",
        "pids.max",
        "cpu.shares",
        "cpu.weight",
        "cpu.cfs_quota_us",
        "cpu.cfs_period_us",
        "cpu.max",
        "devices.list",
        "freezer.state",
        "cgroup.freeze",
    ];
    let places: BTreeSet<PathBuf> = container.group().unwrap().paths().into_values().collect();
    let all = places.iter().flat_map(|place| files.map(|file| place.join(file)));
    all.filter_map(|file| Some((file.clone(), fs::read_to_string(&file).ok()?))).collect()
}

fn resources(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

/// A config with limits; None where this machine has no such controllers.
fn limited(test: &str, place: &Place) -> Option<Config> {
    if !able(test) {
        return None;
    }
    let layout = libcontainer::cgroups::Layout::of_this_process().unwrap();
    if let Some(missing) = ["memory", "pids", "cpu"].iter().find(|name| layout.hierarchy(name).is_none()) {
        skip(test, &format!("no {missing} controller"));
        return None;
    }
    let mut config = config(&place.rootfs().unwrap());
    let limits = r#"{"pids":{"limit":50},"cpu":{"shares":512,"quota":40000,"period":80000}}"#;
    let block = libcontainer::Cgroup { resources: resources(limits), ..place.cgroup() };
    config.cgroups = Some(block);
    Some(config)
}

fn running(place: &Place, config: &Config) -> Container {
    let process = ProcessConfig::new(["sleep", "1000"]);
    Factory::new().unwrap().run(place.join("c"), config, process).unwrap().0
}

#[test]
fn a_refused_write_of_an_update_changes_nothing() {
    let place = Place::new("faults-update");
    let _alone = alone();
    let Some(config) = limited("a_refused_write_of_an_update_changes_nothing", &place) else { return };
    let container = running(&place, &config);
    let second = resources(
        r#"{"memory":{"limit":134217728,"swap":268435456},"pids":{"limit":60},"cpu":{"shares":700,"quota":25000,"period":50000},
            "devices":[{"allow":true,"access":"rwm"},{"allow":false,"type":"c","major":1,"minor":3,"access":"w"}]}"#,
    );
    let before = texts(&container);
    let record = |container: &Container| container.config().cgroups.unwrap().resources;
    let old = record(&container);
    let mut done = false;
    let failed = each_write(|hit| match container.update(&second) {
        Err(error) => {
            names(&error, &hit());
            assert_eq!(texts(&container), before, "{error}");
            assert_eq!(record(&Factory::new().unwrap().load(place.join("c")).unwrap()), old, "{error}");
            assert_eq!(record(&container), old, "{error}");
        }
        // A thaw that was refused once is tried again, and is the last write.
        Ok(()) => done = hit().is_none_or(|(_, value)| value == "THAWED"),
    });
    assert!(done && failed.contains("pids.max") && texts(&container) != before, "{failed:?}");
    if before.iter().any(|(file, _)| file.ends_with("devices.list")) {
        assert!(failed.contains("devices.allow") && failed.contains("freezer.state"), "{failed:?}");
    }
    container.destroy().unwrap();
}

#[test]
fn a_refused_write_of_a_pause_leaves_it_running_and_of_a_resume_paused() {
    let place = Place::new("faults-pause");
    let _alone = alone();
    let test = "a_refused_write_of_a_pause_leaves_it_running_and_of_a_resume_paused";
    let Some(config) = limited(test, &place) else { return };
    let container = running(&place, &config);
    let state = || container.run_state().unwrap();
    for waits in [true, false] {
        let pause = || if waits { container.pause_within(LONG) } else { container.pause() };
        let failed = each_write(|hit| match pause() {
            Err(error) => {
                names(&error, &hit());
                assert_eq!(state(), RunState::Running, "{error}");
            }
            Ok(()) => assert!(matches!(state(), RunState::Paused | RunState::Pausing)),
        });
        assert_eq!(failed.len(), 1, "{failed:?}");
        container.pause_within(LONG).unwrap();
        let failed = each_write(|hit| match container.resume() {
            Err(error) => {
                names(&error, &hit());
                assert_eq!(state(), RunState::Paused, "{error}");
            }
            Ok(()) => assert_eq!(state(), RunState::Running),
        });
        assert_eq!(failed.len(), 1, "{failed:?}");
    }
    container.destroy().unwrap();
}

#[test]
fn a_refused_write_of_a_destroy_can_be_done_again() {
    let place = Place::new("faults-destroy");
    let _alone = alone();
    let Some(config) = limited("a_refused_write_of_a_destroy_can_be_done_again", &place) else { return };
    running(&place, &config).destroy().unwrap();
    let before = World::look(place.path());
    for paused in [false, true] {
        let failed = each_write(|hit| {
            // What comes before is done elsewhere: only the writes of this thread fail.
            let container = std::thread::scope(|scope| {
                let made = scope.spawn(|| {
                    let container = running(&place, &config);
                    if paused {
                        container.pause_within(LONG).unwrap();
                    }
                    container
                });
                made.join().unwrap()
            });
            if let Err(error) = container.destroy() {
                names(&error, &hit());
                container.destroy().unwrap();
            }
            drop(container);
            assert_eq!(World::look(place.path()).more_than(&before), None, "{:?}", hit());
        });
        assert!(!paused || !failed.is_empty(), "{failed:?}");
    }
}
