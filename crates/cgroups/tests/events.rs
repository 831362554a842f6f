//! Events of groups of this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "stats/group.rs"]
mod group;

use std::sync::Arc;
use std::time::{Duration, Instant};

use group::{Live, skip};
use libcontainer_cgroups::Dir;
use libcontainer_cgroups::events::{
    EventSource, GroupEvents, GroupState, Next, Oom, OomEvents, Propagation, ReclaimEvents, ReclaimLevel,
    Resource, StallEvents, Trigger, Who,
};
use libcontainer_cgroups::stats::Sources;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// What a poll loop of the caller's sees within the time.
fn readable(source: &impl EventSource, millis: u16) -> bool {
    let mut fds = [PollFd::new(source.as_fd(), source.interest())];
    poll(&mut fds, PollTimeout::from(millis)).unwrap() == 1
        && fds[0].revents().unwrap().intersects(source.interest())
}

fn set(live: &Live, controller: &str, file: &str, value: &str) {
    std::fs::write(live.path(controller).join(file), value).unwrap();
}

/// Trap 38: events are read from a descriptor, and nobody blocks in sending them.
#[test]
fn an_oom_kill_on_version_1() {
    let Some(mut live) = Live::new("an_oom_kill_on_version_1", &["memory"]) else { return };
    set(&live, "memory", "memory.limit_in_bytes", "16777216");
    let swap = live.path("memory").join("memory.memsw.limit_in_bytes");
    if swap.exists() {
        std::fs::write(swap, "16777216").unwrap();
    }
    let mut events = OomEvents::new(&live.sources()).unwrap();
    assert_eq!(events.try_next().unwrap(), Next::Pending);
    assert!(!readable(&events, 0));
    // dd's one block is more than the group may have.
    live.run("exec dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null");
    let Next::Event(Oom { ooms, .. }) = events.wait(LONG).unwrap() else { panic!("no event") };
    assert!(ooms > 0);
    let start = Instant::now();
    while events.total().unwrap().unwrap().kills == 0 {
        assert!(start.elapsed() < LONG.unwrap(), "no kill was counted");
        std::thread::sleep(Duration::from_millis(5));
    }
    live.remove();
    // The kills may still come as an event of their own; then it's over.
    assert!(events.by_ref().all(|event| event.is_ok()));
    assert_eq!((events.try_next().unwrap(), events.total().unwrap()), (Next::Ended, None));
}

#[test]
fn a_removed_group_wakes_a_poller_of_version_1() {
    let Some(mut live) = Live::new("a_removed_group_wakes_a_poller_of_version_1", &["memory"]) else {
        return;
    };
    let mut oom = OomEvents::new(&live.sources()).unwrap();
    let mut level = ReclaimEvents::new(&live.sources(), ReclaimLevel::Low, Propagation::Local).unwrap();
    live.remove();
    assert!(readable(&oom, 20_000) && readable(&level, 20_000));
    assert_eq!(oom.wait(None).unwrap(), Next::Ended);
    assert_eq!(level.wait(None).unwrap(), Next::Ended);
}

#[test]
fn reclaim_tells_its_pressure_on_version_1() {
    let Some(mut live) = Live::new("reclaim_tells_its_pressure_on_version_1", &["memory"]) else { return };
    set(&live, "memory", "memory.limit_in_bytes", "16777216");
    let mut events = ReclaimEvents::new(&live.sources(), ReclaimLevel::Low, Propagation::Default).unwrap();
    assert_eq!(events.wait(Some(Duration::ZERO)).unwrap(), Next::Pending);
    let file = std::env::temp_dir().join(format!("libcontainer-stats-{}", std::process::id()));
    // Page cache beyond the limit, again and again, until reclaim has work.
    live.run(&format!("while :; do dd if=/dev/zero of={} bs=1M count=64 2>/dev/null; done", file.display()));
    let event = events.wait(LONG).unwrap();
    live.remove();
    let _ = std::fs::remove_file(&file);
    match event {
        Next::Event(scarcity) => assert!(scarcity.count > 0),
        Next::Pending => skip(
            "reclaim_tells_its_pressure_on_version_1",
            "the temporary directory has no page cache to drop",
        ),
        Next::Ended => panic!("ended before the group was removed"),
    }
    assert!(events.next().is_none_or(|event| event.is_ok()));
}

#[test]
fn populated_and_empty_on_version_2() {
    let Some(mut live) = Live::new("populated_and_empty_on_version_2", &["unified"]) else { return };
    let mut events = GroupEvents::new(&live.sources()).unwrap();
    assert_eq!(events.state().unwrap(), Some(GroupState::default()));
    assert!(!readable(&events, 0));
    live.run("exec sleep 1000");
    assert!(readable(&events, 20_000));
    let populated = GroupState { populated: true, frozen: false };
    assert_eq!(events.wait(LONG).unwrap(), Next::Event(populated));
    assert!(!readable(&events, 0), "an event that was taken is over");

    set(&live, "unified", "cgroup.freeze", "1");
    assert_eq!(events.wait(LONG).unwrap(), Next::Event(GroupState { frozen: true, ..populated }));
    set(&live, "unified", "cgroup.freeze", "0");
    assert_eq!(events.next().unwrap().unwrap(), populated);

    live.stop();
    assert_eq!(events.wait(LONG).unwrap(), Next::Event(GroupState::default()));
    let remover = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        live.remove();
    });
    assert_eq!(events.next().map(|event| event.is_ok()), None, "the removal ends a wait that has begun");
    assert_eq!(events.state().unwrap(), None);
    remover.join().unwrap();
}

#[test]
fn a_wait_ends_when_its_time_is_up() {
    let Some(live) = Live::new("a_wait_ends_when_its_time_is_up", &["unified"]) else { return };
    let mut events = GroupEvents::new(&live.sources()).unwrap();
    let start = Instant::now();
    assert_eq!(events.wait(Some(Duration::from_millis(30))).unwrap(), Next::Pending);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

/// KERNEL(5.14): before, there is no `cgroup.kill`.
fn kill_all(group: &std::path::Path) {
    let file = group.join("cgroup.kill");
    if file.exists() {
        return std::fs::write(file, "1").unwrap();
    }
    for pid in std::fs::read_to_string(group.join("cgroup.procs")).unwrap().lines() {
        // Gone meanwhile is as good.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.parse().unwrap()),
            nix::sys::signal::SIGKILL,
        );
    }
}

const TRIGGER: Trigger =
    Trigger { who: Who::Some, stall: Duration::from_millis(1), window: Duration::from_secs(2) };

#[test]
fn a_pressure_trigger_fires_and_ends() {
    let Some(mut live) = Live::new("a_pressure_trigger_fires_and_ends", &["unified"]) else { return };
    let mut events = match StallEvents::new(&live.sources(), Resource::Cpu, TRIGGER) {
        Ok(events) => events,
        Err(error) if error.errno() == Some(nix::libc::EINVAL) => panic!("{error}"),
        Err(error) => return skip("a_pressure_trigger_fires_and_ends", &error.to_string()),
    };
    assert_eq!(events.interest(), PollFlags::POLLPRI);
    // More busy processes than processors: some always wait.
    let busy = std::thread::available_parallelism().unwrap().get() * 2;
    live.run(&format!("i=0; while [ $i -lt {busy} ]; do (end=$(($(date +%s)+8)); while [ $(date +%s) -lt $end ]; do :; done) & i=$((i+1)); done; wait"));
    let Next::Event(pressure) = events.wait(LONG).unwrap() else { panic!("no event") };
    assert!(pressure.some.unwrap().total > 0);
    live.stop();
    kill_all(live.path("unified"));
    live.remove();
    assert_eq!(events.wait(LONG).unwrap(), Next::Ended);
    assert!(events.next().is_none() && events.pressure().unwrap().is_none());
}

#[test]
fn a_pressure_trigger_of_the_machine() {
    match StallEvents::of_machine(Resource::Memory, TRIGGER) {
        Ok(mut events) => {
            assert!(events.pressure().unwrap().unwrap().some.is_some());
            assert_ne!(events.wait(Some(Duration::ZERO)).unwrap(), Next::Ended);
        }
        Err(error) if error.errno() == Some(nix::libc::EINVAL) => panic!("{error}"),
        Err(error) => skip("a_pressure_trigger_of_the_machine", &error.to_string()),
    }
}

#[test]
fn a_refused_trigger_says_what_is_allowed() {
    let Some(live) = Live::new("a_refused_trigger_says_what_is_allowed", &["unified"]) else { return };
    let long = Trigger { window: Duration::from_secs(12), ..TRIGGER };
    match StallEvents::new(&live.sources(), Resource::Io, long) {
        Ok(_) => panic!("a window of 12 s was accepted"),
        Err(error) if error.errno() == Some(nix::libc::EINVAL) => {
            let text = error.to_string();
            assert!(
                text.contains("some 1000 12000000") && text.contains("io.pressure") && text.contains("10 s"),
                "{text}"
            );
        }
        Err(error) => skip("a_refused_trigger_says_what_is_allowed", &error.to_string()),
    }
}

#[test]
fn what_a_version_lacks_is_said() {
    let nothing = Sources::default();
    assert!(GroupEvents::new(&nothing).unwrap_err().to_string().contains("version 1"));
    assert!(
        StallEvents::new(&nothing, Resource::Cpu, TRIGGER).unwrap_err().to_string().contains("version 1")
    );
    assert_eq!(OomEvents::new(&nothing).unwrap_err().to_string(), "mountpoint for memory not found");
    let level = |sources| {
        ReclaimEvents::new(sources, ReclaimLevel::Critical, Propagation::Hierarchy).unwrap_err().to_string()
    };
    assert_eq!(level(&nothing), "mountpoint for memory not found");
    let unified = Sources { v2: Some(Arc::new(Dir::open("/").unwrap())), ..Sources::default() };
    assert!(level(&unified).contains("pressure triggers"));
    // No group at all has no controllers either, but that isn't known of one that was removed.
    assert!(OomEvents::new(&unified).unwrap_err().is_gone());
    let bare = std::env::temp_dir().join(format!("libcontainer-events-{}", std::process::id()));
    std::fs::create_dir(&bare).unwrap();
    std::fs::write(bare.join("cgroup.procs"), "").unwrap();
    let bare_group = Sources { v2: Some(Arc::new(Dir::open(&bare).unwrap())), ..Sources::default() };
    let error = OomEvents::new(&bare_group).unwrap_err();
    std::fs::remove_dir_all(&bare).unwrap();
    assert_eq!(error.to_string(), "mountpoint for memory not found");
}
