//! Each system call fails once, with each errno: a group that is made leaves nothing, and one that is destroyed is gone after one more destroy.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "group/ground.rs"]
mod ground;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use ground::{Ground, LONG, Swept, name, skip};
use libcontainer_cgroups::events::{Oom, OomEvents, OomKills};
use libcontainer_cgroups::limits::{self, Facts};
use libcontainer_cgroups::{
    Error, Existing, FreezerState, Group, GroupPath, Layout, Plan, Result, Select, check_own_room, faults,
};

const ERRNOS: &[i32] = &[libc::EIO, libc::ENOMEM, libc::EINTR, libc::EMFILE, libc::EPERM];

/// A call that failed.
#[derive(Debug, Clone)]
struct Hit {
    call: &'static str,
    path: PathBuf,
}

/// Runs `work` with each of its calls failing in turn, with each errno, until it has no more. The calls that failed.
fn each_call(errnos: &[i32], mut work: impl FnMut(i32, &dyn Fn() -> Option<Hit>)) -> BTreeSet<&'static str> {
    let mut calls = BTreeSet::new();
    for errno in errnos.iter().copied() {
        for number in 0_u32.. {
            assert!(number < 3000, "no end");
            let hit = Rc::new(RefCell::new(None));
            let (put, mut left) = (Rc::clone(&hit), number);
            let injected = faults::inject_calls(move |call| {
                if left == 0 && put.borrow().is_none() {
                    *put.borrow_mut() = Some(Hit { call: call.name, path: call.path.to_owned() });
                    return Some(errno);
                }
                left = left.saturating_sub(1);
                // Without it every process is signalled on its own.
                (call.name == "write" && call.path.ends_with("cgroup.kill")).then_some(libc::EINVAL)
            });
            work(errno, &|| hit.borrow().clone());
            drop(injected);
            let Some(hit) = hit.borrow().clone() else { break };
            calls.insert(hit.call);
        }
    }
    calls
}

fn plan(path: &str, select: &Select) -> Result<Plan> {
    Plan::new(&Layout::of_this_process()?, &GroupPath::new(path)?, select)
}

/// Controllers that a group here can have.
fn all(test: &str) -> Option<Select> {
    let ground = Ground::new(test, &[])?;
    let layout = Layout::of_this_process().unwrap();
    let all = layout.all().flat_map(|hierarchy| hierarchy.controllers.clone());
    let all: BTreeSet<String> = all.filter(|name| ground.group.controller(name).is_some()).collect();
    Some(Select::Only(all))
}

/// The message names the object, the errno and, for want of descriptors, the limit.
fn says(error: &Error, errno: i32, hit: &Hit) {
    let text = error.to_string();
    assert_eq!(error.errno(), Some(errno), "{hit:?}: {text}");
    let name = hit.path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name == ".." || text.contains(&name), "{hit:?}: {text}");
    assert_eq!(errno == libc::EMFILE, text.contains("RLIMIT_NOFILE, now "), "{text}");
}

#[test]
fn making() {
    let Some(select) = all("making") else { return };
    let calls = each_call(ERRNOS, |errno, hit| {
        let planned = plan(&format!("{}/a/b", name()), &select);
        let directories = planned.as_ref().map(Plan::directories).unwrap_or_default();
        match (planned.and_then(|plan| plan.make(Existing::Refuse)), hit()) {
            (Err(error), Some(hit)) => says(&error, errno, &hit),
            // Interrupted calls are made again, and so is what failed for a moment on the way back.
            (Ok(group), _) => apart(|| group.destroy(LONG).unwrap()),
            (made, hit) => panic!("{made:?} {hit:?}"),
        }
        assert!(directories.iter().all(|dir| !dir.exists()), "{:?}: {directories:?}", hit());
    });
    assert!(
        calls.is_superset(&BTreeSet::from(["openat", "openat2", "mkdirat", "fstat", "read"])),
        "{calls:?}"
    );
}

/// A directory is made, but an error is the answer: it is taken back all the same.
#[test]
fn making_without_an_answer() {
    let Some(select) = all("making_without_an_answer") else { return };
    for number in 0_usize.. {
        let planned = plan(&format!("{}/a/b", name()), &select).unwrap();
        let directories = planned.directories();
        let _swept = Swept(directories.clone());
        if number == directories.len() {
            break;
        }
        let mut left = number;
        let injected = faults::inject_calls(move |call| {
            let hit = call.name == "mkdirat" && left == 0;
            left = left.wrapping_sub(usize::from(call.name == "mkdirat"));
            hit.then(|| {
                std::fs::create_dir(call.path).unwrap();
                libc::EIO
            })
        });
        let error = planned.make(Existing::Refuse).unwrap_err();
        drop(injected);
        assert!(!matches!(error, Error::NotRolledBack { .. }) && error.errno() == Some(libc::EIO), "{error}");
        let there: Vec<_> = directories.iter().filter(|dir| dir.exists()).collect();
        assert!(there.is_empty(), "{number}: {there:?}: {error}");
    }
}

/// Nobody uses a directory above only because a rmdir says so once, however long that took; one with a group in it is left to its user.
#[test]
fn removing_a_directory_above_that_is_said_to_be_busy() {
    let Some(select) = all("removing_a_directory_above_that_is_said_to_be_busy") else { return };
    for shared in [false, true] {
        let group = plan(&format!("{}/a/b", name()), &select).unwrap().make(Existing::Refuse).unwrap();
        let directories: Vec<PathBuf> = group.places().iter().flat_map(|place| place.made()).collect();
        let top = group.places()[0].made()[0].clone();
        let other = top.join("other");
        let _swept = Swept([directories.as_slice(), std::slice::from_ref(&other)].concat());
        if shared {
            std::fs::create_dir(&other).unwrap();
        }
        let (busy, mut once) = (top.clone(), true);
        let injected = faults::inject_calls(move |call| {
            let hit = call.name == "unlinkat" && call.path == busy && std::mem::take(&mut once);
            hit.then(|| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                libc::EBUSY
            })
        });
        group.destroy(LONG).unwrap();
        drop(injected);
        assert_eq!(top.exists(), shared);
        if shared {
            std::fs::remove_dir(&other).unwrap();
            std::fs::remove_dir(&top).unwrap();
        }
        let there: Vec<_> = directories.iter().filter(|dir| dir.exists()).collect();
        assert!(there.is_empty(), "{there:?}");
    }
}

/// A failure behind the last directory: everything is taken back, and each call of that fails once.
#[test]
fn taking_back() {
    let Some(select) = all("taking_back") else { return };
    if Layout::of_this_process().unwrap().all().count() < 2 {
        return skip("taking_back", "one hierarchy: nothing is made before the last one");
    }
    let calls = each_call(&ERRNOS[..2], |_, hit| {
        let planned = apart(|| plan(&format!("{}/a/b", name()), &select).unwrap());
        let (directories, places) = (planned.directories(), planned.places().to_vec());
        // The last hierarchy has it already: refused when all others are made.
        std::fs::create_dir_all(places.last().unwrap().path()).unwrap();
        let theirs: BTreeSet<PathBuf> = places.last().unwrap().made().into_iter().collect();
        let error = planned.make(Existing::Refuse).unwrap_err();
        let left: Vec<_> = directories.iter().filter(|dir| !theirs.contains(*dir) && dir.exists()).collect();
        assert!(left.is_empty(), "{:?}: {left:?}: {error}", hit());
        for dir in places.last().unwrap().made().iter().rev() {
            std::fs::remove_dir(dir).unwrap();
        }
    });
    assert!(calls.contains("unlinkat"), "{calls:?}");
}

#[test]
fn destroying() {
    let Some(select) = all("destroying") else { return };
    let calls = each_call(&ERRNOS[2..], |_, hit| {
        let (group, mut child) = apart(|| {
            let group = plan(&format!("{}/a/b", name()), &select).unwrap().make(Existing::Refuse).unwrap();
            let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
            let pid = libcontainer_cgroups::Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
            ground::enter(&group, pid);
            if group.frozen_state().is_ok() {
                group.freeze(LONG).unwrap();
            }
            (group, child)
        });
        let directories: Vec<PathBuf> = group.places().iter().flat_map(|place| place.made()).collect();
        // Who waits for the container reaps it; here nobody does before it is dead.
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        let destroyed = Group::open(group.places()).and_then(|group| group.destroy(LONG));
        let gone = |directories: &[PathBuf]| directories.iter().all(|dir| !dir.exists());
        match destroyed {
            Ok(()) => assert!(gone(&directories), "{:?} said to be gone: {directories:?}", hit()),
            Err(_) => Group::open(group.places()).unwrap().destroy(LONG).unwrap(),
        }
        assert!(gone(&directories), "{:?}: {directories:?}", hit());
        reaper.join().unwrap();
    });
    assert!(calls.is_superset(&BTreeSet::from(["openat2", "unlinkat", "kill", "pread64"])), "{calls:?}");
}

/// Whatever call fails: what is said of a group is true, or it isn't said.
#[test]
fn asking() {
    let Some(mut ground) = Ground::new("asking", &["freezer", "pids", "memory"]) else { return };
    let first = ground.run("exec sleep 1000");
    let second = ground.run("exec sleep 1000");
    // A group below, seen only by who looks whether there is one.
    for place in ground.group.places() {
        let below = place.path().join("below");
        std::fs::create_dir(&below).unwrap();
        let _ = std::fs::write(below.join("cgroup.procs"), second.to_string());
    }
    let mut both = vec![first, second];
    both.sort_unstable();
    let layout = Layout::of_this_process().unwrap();
    let calls = each_call(&[libc::EIO, libc::EMFILE], |errno, hit| {
        let group = &ground.group;
        let answers = [
            group.processes().map(|pids| pids == both),
            group.process_reader().and_then(|reader| {
                let mut pids = Vec::new();
                reader.read_into(&mut pids).map(|()| pids == both)
            }),
            group.frozen_state().map(|state| state == FreezerState::Thawed),
            group.check_room_for(1).map(|()| true),
            check_own_room(&layout, 1).map(|()| true),
            OomKills::of(group).and_then(|kills| kills.count()).map(|count| count == Some(0)),
            OomEvents::new(&group.sources())
                .and_then(|events| events.total())
                .map(|all| all == Some(Oom::default())),
            Group::open(group.places()).map(|group| !group.is_gone()),
            group.controller("pids").unwrap().0.has("pids.max"),
            group.controller("pids").unwrap().0.has("pids.min").map(|there| !there),
            Facts::of(group, &serde_json::from_str(LIMITS).unwrap()).map(|facts| plan_of(&facts)),
        ];
        for (number, answer) in answers.iter().enumerate() {
            match answer {
                Ok(answer) => assert!(answer, "{number}: {:?}", hit()),
                Err(error) => {
                    assert!(!error.is_gone(), "{number}: {:?}: {error}", hit());
                    assert_eq!(error.errno(), Some(errno), "{number}: {:?}: {error}", hit());
                }
            }
        }
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        assert!(failed <= 1, "{:?}", hit());
    });
    assert!(
        calls.is_superset(&BTreeSet::from(["faccessat", "fstat", "openat2", "pread64", "read"])),
        "{calls:?}"
    );
}

const LIMITS: &str =
    r#"{"memory":{"limit":67108864,"swap":134217728},"pids":{"limit":5},"cpu":{"quota":50000}}"#;

/// Whether the plan is what it is when all could be read.
fn plan_of(facts: &Facts) -> bool {
    let whole = limits::plan(&serde_json::from_str(LIMITS).unwrap(), facts);
    whole.is_ok_and(|writes| {
        writes
            .iter()
            .any(|write| write.file.ends_with("memsw.limit_in_bytes") || write.file == "memory.swap.max")
    })
}

/// In another thread, where no call fails.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}
