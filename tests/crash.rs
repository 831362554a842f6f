//! The creator is killed at every host step and at random moments: what remains is nothing, or what destroy handles.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libcontainer::{Factory, RunState};
use libcontainer_tests::{Place, World, able};

fn victim(place: &Place, mode: &str, step: &str) -> std::process::Child {
    let rootfs = place.join("rootfs");
    let args = [place.path().as_os_str(), rootfs.as_os_str(), mode.as_ref(), step.as_ref()];
    Command::new(env!("CARGO_BIN_EXE_victim")).args(args).stderr(Stdio::null()).spawn().unwrap()
}

/// Loads and destroys what is there; then nothing of it may be left.
fn clean_up(place: &Place, name: &str) {
    let factory = Factory::new().unwrap();
    let path = place.join(name);
    if path.exists() {
        if let Ok(container) = factory.load(&path) {
            let state = container.run_state().unwrap();
            assert!(
                matches!(
                    state,
                    RunState::Creating
                        | RunState::Created
                        | RunState::Running
                        | RunState::Stopped
                        // A destroy that was killed while it held the group still.
                        | RunState::Pausing
                        | RunState::Paused
                ),
                "{state:?}"
            );
        }
        factory.destroy(&path).unwrap();
        assert!(!path.exists());
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = format!(" {}/", place.path().display());
    let left: Vec<_> = mounts.lines().filter(|line| line.contains(&own)).collect();
    assert!(left.is_empty(), "is mounted on the host: {left:?}");
    assert_eq!(World::look(place.path()).groups().collect::<Vec<_>>(), Vec::<&Path>::new());
    let end = Instant::now() + Duration::from_secs(5);
    while let Some(left) = init_of(place) {
        assert!(Instant::now() < end, "an init is left: {left}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process whose root is this test's rootfs.
fn init_of(place: &Place) -> Option<String> {
    let wanted = format!("{}/rootfs", place.path().display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.find(|pid| {
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        mounts.lines().next().is_some_and(|line| {
            line.split(' ').nth(3).is_some_and(|root| wanted.ends_with(root) && root.contains("lct-"))
        })
    })
}

#[test]
fn killed_after_every_host_step() {
    if !able("killed_after_every_host_step") {
        return;
    }
    let place = Place::new("crash");
    place.rootfs().unwrap();
    for mode in ["reaper", "created", "run"] {
        let mut reached = 0;
        for step in 0..12 {
            let status = victim(&place, mode, &step.to_string()).wait().unwrap();
            reached += usize::from(!status.success());
            clean_up(&place, "0");
        }
        assert!(reached >= 6, "{mode}: killed {reached} times");
    }
}

/// Who ends what was left half-made runs the hooks of its end, once, whichever hooks have run.
#[test]
fn killed_after_every_host_step_with_hooks() {
    if !able("killed_after_every_host_step_with_hooks") {
        return;
    }
    let place = Place::new("crash-hooks");
    let told = place.rootfs().unwrap().join("told");
    let lines = || -> Vec<String> {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let names = ["prestart", "createRuntime", "createContainer", "poststart"];
    let mut reached = std::collections::BTreeSet::new();
    for step in 0..24 {
        let status = victim(&place, "hooked", &step.to_string()).wait().unwrap();
        let before = lines();
        assert_eq!(before, names[..before.len()], "{step}");
        if !status.success() {
            reached.insert(before.len());
        }
        clean_up(&place, "0");
        // Before any hook has run there may be no record yet.
        let ended = &lines()[before.len()..];
        assert!(
            ended == ["poststop"] || before.is_empty() && ended.is_empty(),
            "{step}: {before:?}, then {ended:?}"
        );
        let _ = std::fs::remove_file(&told);
    }
    assert_eq!(
        reached.into_iter().collect::<Vec<_>>(),
        [0, 1, 2, 3],
        "hooks that had run when it was killed"
    );
}

#[test]
fn killed_at_fifty_moments() {
    if !able("killed_at_fifty_moments") {
        return;
    }
    let place = Place::new("moments");
    place.rootfs().unwrap();
    for round in 0..50_u64 {
        let mode = ["reaper", "created", "run", "hooked"][usize::try_from(round % 4).unwrap()];
        let mut child = victim(&place, mode, "-");
        // Each hook takes some milliseconds.
        let span = if mode == "hooked" { 100_000 } else { 20_000 };
        std::thread::sleep(Duration::from_micros(3000 + round * 7333 % span));
        child.kill().unwrap();
        child.wait().unwrap();
        let names: Vec<_> = std::fs::read_dir(place.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        for name in names.iter().filter(|name| *name != "rootfs") {
            clean_up(&place, name);
        }
        clean_up(&place, "none");
    }
}

/// A program with containers that stand by is killed at some moment: the next factory ends what stood by, and the rest can be destroyed.
#[test]
fn what_stood_by_for_a_program_that_was_killed_is_ended() {
    if !able("what_stood_by_for_a_program_that_was_killed_is_ended") {
        return;
    }
    let place = Place::new("warm");
    place.rootfs().unwrap();
    for round in 0..20 {
        let mut child = victim(&place, "warm", "-");
        std::thread::sleep(Duration::from_millis(60 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let factory = Factory::new().unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        // Their inits leave when they notice.
        let left = loop {
            factory.sweep(place.path()).unwrap();
            let left = containers(&place);
            if left.iter().all(|(state, _)| !matches!(state, RunState::Warm | RunState::Creating))
                || Instant::now() > end
            {
                break left;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        for (state, path) in left {
            assert!(!matches!(state, RunState::Warm | RunState::Creating), "{state:?} {}", path.display());
            factory.destroy(path).unwrap();
        }
        assert_eq!(
            World::look(place.path()).groups().collect::<Vec<_>>(),
            Vec::<&Path>::new(),
            "round {round}"
        );
    }
}

fn containers(place: &Place) -> Vec<(RunState, std::path::PathBuf)> {
    let factory = Factory::new().unwrap();
    let entries = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().is_some_and(|name| name != "rootfs"))
        .map(|path| {
            (factory.load(&path).map_or(RunState::Stopped, |container| container.run_state().unwrap()), path)
        })
        .collect()
}
