//! Every step of every plan fails once: the error names it, and nothing remains.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

#[path = "faults/attributes.rs"]
mod attributes;
#[path = "faults/changes.rs"]
mod changes;
#[path = "faults/hooked.rs"]
mod hooked;
#[path = "faults/plans.rs"]
mod plans;
#[path = "faults/read_back.rs"]
mod read_back;
#[path = "faults/standing_by.rs"]
mod standing_by;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libcontainer::plan::{Fault, Lane};
use libcontainer::{Config, Error, Factory, ProcessConfig};
use libcontainer_tests::{Place, World, able, config};

/// More steps than tolerate one error, one after the other.
const TOLERANT: usize = 5;

/// Runs `attempt` with each step of each lane failing, until an index is past the end and the attempt succeeds.
fn each_step(place: &Place, errno: i32, attempt: &dyn Fn(Factory) -> Result<(), Error>) -> [usize; 2] {
    [Lane::Host, Lane::Child].map(|lane| {
        let mut well = 0;
        for step in 0.. {
            let before = World::look(place.path());
            let factory = Factory::new().unwrap().inject(Fault { lane, step, errno });
            let result = attempt(factory);
            let left = World::look(place.path()).more_than(&before);
            assert_eq!(left, None, "{lane:?} {step}: left behind");
            match result {
                Err(error) => {
                    names_the_step(&error, lane, step, errno);
                    well = 0;
                }
                // Steps may tolerate this error, but not so many one after the other: these are behind the last.
                Ok(()) if well == TOLERANT => return step - TOLERANT,
                Ok(()) => well += 1,
            }
        }
        0
    })
}

fn names_the_step(error: &Error, lane: Lane, step: usize, errno: i32) {
    let failure = error.step().unwrap_or_else(|| panic!("{error}"));
    assert_eq!((failure.lane, failure.index), (lane, step), "{error}");
    assert_eq!(error.errno(), Some(errno), "{error}");
    assert!(error.undo_errors().next().is_none(), "{error}");
    assert!(error.to_string().contains(&format!("step {step}/")), "{error}");
}

/// All tests share one process, whose descriptors and children are counted: one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn nothing_remains_of_a_failed_start() {
    if !able("nothing_remains_of_a_failed_start") {
        return;
    }
    let _alone = alone();
    let place = Place::new("faults");
    let mut config = config(&place.rootfs().unwrap());
    config.sysctl.insert("kernel.msgmax".into(), "4096".into());
    config.rlimits = serde_json::from_str(r#"[{"type":"NOFILE","soft":64,"hard":64}]"#).unwrap();
    let mounts = r#"{"mounts":[{"type":"tmpfs","destination":"/tmp"},{"type":"bind","source":"/etc","destination":"/mnt/etc"}],
        "masked_paths":["/proc/keys","/proc/fs"],"readonly_fs":true}"#;
    config.mount_config = Some(serde_json::from_str(mounts).unwrap());
    config.cgroups = Some(place.cgroup());
    // Mountpoints are made in the rootfs by the first run, and belong to it from then on.
    Factory::new().unwrap().create(place.join("c"), &config).unwrap().destroy().unwrap();
    reaper(&place, &config);
    program(&place, &config);
    created(&place, &config);
    joined(&place, &config);
    mounted(&place, &config);
    refused_writes(&place, &config);
}

/// Each write of a control file during a start: more than one belongs to a step.
fn refused_writes(place: &Place, config: &Config) {
    let mut config = config.clone();
    let limits = r#"{"pids":{"limit":50},"cpu":{"shares":512,"quota":40000,"period":80000}}"#;
    config.cgroups.as_mut().unwrap().resources = serde_json::from_str(limits).unwrap();
    let mut refused = Vec::new();
    loop {
        let before = World::look(place.path());
        let hit = Rc::new(RefCell::new(None));
        let (put, mut left) = (Rc::clone(&hit), refused.len());
        let injected = libcontainer::cgroups::faults::inject(move |file, value| {
            left = left.wrapping_sub(1);
            let fails = left == usize::MAX;
            if fails {
                *put.borrow_mut() = Some((file.display().to_string(), format!("{value:?}")));
            }
            fails.then_some(libc::EIO)
        });
        let created = Factory::new().unwrap().create(place.join("c"), &config);
        drop(injected);
        let hit = hit.take();
        match (created, &hit) {
            (Err(error), Some((file, value))) => {
                let text = error.to_string();
                assert!(text.contains(&format!("write {value} to {file}")), "{file} {value}: {text}");
                assert_eq!(error.errno(), Some(libc::EIO), "{error}");
            }
            (Err(error), None) => panic!("{error}"),
            // A hierarchy that can't be used is left out, unless something is asked of it.
            (Ok(container), _) => container.destroy().unwrap(),
        }
        assert_eq!(World::look(place.path()).more_than(&before), None, "{hit:?}");
        let Some((file, _)) = hit else { break };
        refused.push(file);
    }
    let there = |name: &str| refused.iter().any(|file| file.ends_with(name));
    let layout = libcontainer::cgroups::Layout::of_this_process().unwrap();
    if layout.v1.iter().any(|one| one.controllers.iter().any(|name| name == "devices")) {
        assert!(there("devices.deny") && there("devices.allow"), "{refused:?}");
    }
    assert!(refused.is_empty() || there("pids.max"), "{refused:?}");
}

fn reaper(place: &Place, config: &Config) {
    let counts = each_step(place, libc::EIO, &|factory| factory.create(place.join("c"), config)?.destroy());
    assert!(counts[0] > 6 && counts[1] > 100, "{counts:?}");
}

fn program(place: &Place, config: &Config) {
    each_step(place, libc::EIO, &|factory| {
        let (container, mut process) = factory.run(place.join("c"), config, ProcessConfig::new(["true"]))?;
        process.wait()?;
        container.destroy()
    });
    let mut user = config.clone();
    user.namespaces.set(libcontainer::NamespaceKind::User, libcontainer::Namespace::New);
    let map = libcontainer::mount::IdMapping { container_id: 0, host_id: 0, size: 65_536 };
    (user.uid_mappings, user.gid_mappings) = (vec![map], vec![map]);
    each_step(place, libc::EPERM, &|factory| {
        let with = ProcessConfig { terminal: true, ..ProcessConfig::new(["true"]) };
        let (container, mut process) = factory.run(place.join("c"), &user, with)?;
        process.wait()?;
        drop(process);
        container.destroy()
    });
}

/// Mounts that need the host's help: copied up, mapped by helpers of their own, or made as links.
fn mounted(place: &Place, config: &Config) {
    let mut config = config.clone();
    config.namespaces.set(libcontainer::NamespaceKind::User, libcontainer::Namespace::New);
    let map = libcontainer::mount::IdMapping { container_id: 0, host_id: 0, size: 65_536 };
    (config.uid_mappings, config.gid_mappings) = (vec![map], vec![map]);
    let source = place.join("source");
    std::fs::create_dir(&source).unwrap();
    std::os::unix::fs::symlink("elsewhere", place.join("link")).unwrap();
    let (source, link) = (source.display(), place.join("link").display().to_string());
    let own = r#""uid_mappings":[{"host_id":5,"size":9}],"gid_mappings":[{"host_id":5,"size":9}]"#;
    let mounts = format!(
        r#"{{"mounts":[{{"type":"tmpfs","destination":"/etc","options":["tmpcopyup"]}},
        {{"type":"bind","source":"{source}","destination":"/mnt/a","options":["idmap"],{own}}},
        {{"type":"bind","source":"{source}","destination":"/mnt/b","options":["ridmap"]}},
        {{"type":"bind","source":"{link}","destination":"/mnt/c","options":["copy-symlink"]}}]}}"#
    );
    config.mount_config = Some(serde_json::from_str(&mounts).unwrap());
    Factory::new().unwrap().create(place.join("c"), &config).unwrap().destroy().unwrap();
    let counts = each_step(place, libc::EIO, &|factory| {
        let (container, mut process) = factory.run(place.join("c"), &config, ProcessConfig::new(["true"]))?;
        process.wait()?;
        container.destroy()
    });
    assert!(counts[0] > 10 && counts[1] > 150, "{counts:?}");
}

/// Steps behind the start belong to the start: there the error comes from `run`, and destroy takes the rest away.
fn created(place: &Place, config: &Config) {
    for (lane, steps) in [(Lane::Host, 0..12), (Lane::Child, 180..400)] {
        for step in steps {
            let before = World::look(place.path());
            let factory = Factory::new().unwrap().inject(Fault { lane, step, errno: libc::EIO });
            match factory.create_with(place.join("c"), config, ProcessConfig::new(["true"])) {
                Err(error) => names_the_step(&error, lane, step, libc::EIO),
                Ok((container, process)) => {
                    if let Err(error) = container.run() {
                        // Also if it was the wait for the start that failed, so that the init is gone before the start.
                        assert_eq!(error.errno(), Some(libc::EIO), "{error}");
                        assert!(error.to_string().contains(&format!("step {step}: ")), "{error}");
                        assert_eq!(lane, Lane::Child, "{error}");
                    }
                    drop(process);
                    container.destroy().unwrap();
                }
            }
            assert_eq!(World::look(place.path()).more_than(&before), None, "{lane:?} {step}");
        }
    }
}

fn joined(place: &Place, config: &Config) {
    let running = Factory::new().unwrap().create(place.join("running"), config).unwrap();
    let counts = each_step(place, libc::EIO, &|factory| {
        factory.load(place.join("running"))?.start(ProcessConfig::new(["true"]))?.wait().map(drop)
    });
    assert!(counts[1] > 30, "{counts:?}");
    running.destroy().unwrap();
}
