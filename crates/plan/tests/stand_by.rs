//! Inits that stand by: everything is built, and the program is told later.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::fs::File as HostFile;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libcontainer_plan::{
    Base, Builder, File, HostStep, Lane, Launch, LaunchError, Launched, Slot, StandBy, signal_pidfd,
};
use nix::sys::wait::WaitStatus;

/// A base whose init is in a UTS namespace of its own, named `built`.
fn base() -> Base {
    let mut plan = Builder::new();
    plan.place("before");
    plan.namespaces(0x0400_0000);
    plan.start_init();
    plan.mark_all_cloexec(0).sethostname("built");
    plan.base().unwrap()
}

/// One that stands by; `undone` counts how often its host step was taken back.
fn stand_by(base: &Base, undone: &Arc<AtomicUsize>) -> StandBy {
    let undone = Arc::clone(undone);
    let undo = move || {
        undone.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let step = HostStep::guarded("make something", "take it away", |_| Ok(()), undo);
    Launch::new(base.plan(vec![("before", vec![step])])).stand_by().unwrap()
}

/// The rest that runs a shell with `descriptors` pipes at 1, 2, …; returns the launch and the pipes' other ends.
fn rest(base: &Base, script: &str, descriptors: u32) -> (Launch, Vec<OwnedFd>) {
    let mut plan = base.builder();
    let slots: Vec<Slot<File>> =
        (0..descriptors).map(|number| plan.preset(format!("pipe {number}"))).collect();
    for (number, slot) in (1..).zip(&slots) {
        plan.dup_to(*slot, number);
    }
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    plan.notify_host("ready");
    plan.host(HostStep::new("look", "", |context| context.pid().map(|_| None)));
    plan.await_host("go");
    plan.exec(&["/bin/sh".into()], &words(&["sh", "-c", script]), &words(&["PATH=/usr/bin:/bin"]));
    plan.await_exec();
    let mut launch = Launch::new(plan.seal().unwrap());
    let mut ends = Vec::new();
    for slot in slots {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        launch.give(slot, writer);
        ends.push(reader);
    }
    (launch, ends)
}

fn read(ends: Vec<OwnedFd>) -> Vec<String> {
    let text = |end: OwnedFd| {
        let mut text = String::new();
        HostFile::from(end).read_to_string(&mut text).unwrap();
        text
    };
    ends.into_iter().map(text).collect()
}

fn ended(launched: &Launched) -> WaitStatus {
    launched.wait().unwrap()
}

fn error(result: Result<Launched, Box<LaunchError>>) -> Box<LaunchError> {
    result.err().unwrap()
}

#[test]
fn a_program_is_handed_over_with_its_descriptors() {
    let (base, undone) = (base(), Arc::default());
    let waiting = stand_by(&base, &undone);
    let pid = waiting.pid();
    let (launch, ends) = rest(&base, "hostname; echo two >&2; echo three >&3; exit 7", 3);
    let launched = waiting.hand_over(launch).unwrap();
    assert_eq!(launched.pid, pid, "the same process");
    assert!(matches!(ended(&launched), WaitStatus::Exited(_, 7)));
    assert_eq!(read(ends), ["built\n", "two\n", "three\n"]);
    assert_eq!(undone.load(Ordering::Relaxed), 0);
}

/// A base that goes on from the other, and gives the namespace another name.
fn upper(base: &Base) -> Base {
    let mut plan = base.builder();
    plan.purpose("name it again").sethostname("again");
    plan.base().unwrap()
}

#[test]
fn a_base_may_go_on_from_another() {
    let (lower, undone) = (base(), Arc::default());
    let upper = upper(&lower);
    let waiting = stand_by(&upper, &undone);
    let (launch, ends) = rest(&upper, "hostname; exit 7", 1);
    assert!(matches!(ended(&waiting.hand_over(launch).unwrap()), WaitStatus::Exited(_, 7)));
    assert_eq!(read(ends), ["again\n"]);
    // All at once.
    let (launch, ends) = rest(&upper, "hostname; exit 8", 1);
    assert!(matches!(ended(&launch.run().unwrap()), WaitStatus::Exited(_, 8)));
    assert_eq!(read(ends), ["again\n"]);
    // The lower one is as it was.
    let (launch, ends) = rest(&lower, "hostname", 1);
    ended(&stand_by(&lower, &undone).hand_over(launch).unwrap());
    assert_eq!(read(ends), ["built\n"]);
    assert_eq!(undone.load(Ordering::Relaxed), 0);
}

#[test]
fn a_rest_of_a_base_above_or_below_is_refused() {
    let lower = base();
    let (one, other) = (upper(&lower), upper(&lower));
    for (base, rests) in [(&one, [&lower, &other]), (&lower, [&one, &other])] {
        for of in rests {
            let undone = Arc::default();
            let waiting = stand_by(base, &undone);
            let (launch, _ends) = rest(of, "true", 1);
            assert_eq!(error(waiting.hand_over(launch)).failure.errno(), Some(libc::EINVAL));
            assert_eq!(undone.load(Ordering::Relaxed), 1);
        }
    }
}

#[test]
fn a_step_of_any_base_fails_under_its_own_number() {
    let (lower, undone) = (base(), Arc::new(AtomicUsize::new(0)));
    let mut plan = lower.builder();
    plan.purpose("enter nothing").chdir("/not/there");
    let upper = plan.base().unwrap();
    let undo = Arc::clone(&undone);
    let step = HostStep::guarded(
        "make something",
        "take it away",
        |_| Ok(()),
        move || {
            undo.fetch_add(1, Ordering::Relaxed);
            Ok(())
        },
    );
    let error = Launch::new(upper.plan(vec![("before", vec![step])])).stand_by().err().unwrap();
    assert_eq!((error.failure.index, error.failure.errno()), (3, Some(libc::ENOENT)), "{error}");
    assert_eq!((error.failure.purpose.as_str(), undone.load(Ordering::Relaxed)), ("enter nothing", 1));
}

/// What fails behind the base takes back what was done for the base.
#[test]
fn a_rest_that_fails_takes_everything_back() {
    let (base, undone) = (base(), Arc::default());
    let waiting = stand_by(&base, &undone);
    let mut plan = base.builder();
    plan.purpose("enter nothing").chdir("/not/there");
    plan.exec(&["/bin/true".into()], &[b"true".to_vec()], &[]);
    plan.await_exec();
    let error = error(waiting.hand_over(Launch::new(plan.seal().unwrap())));
    assert_eq!(error.failure.lane, Lane::Child);
    assert_eq!((error.failure.index, error.failure.errno()), (3, Some(libc::ENOENT)), "{error}");
    assert_eq!(error.failure.purpose, "enter nothing");
    assert_eq!(undone.load(Ordering::Relaxed), 1);
}

#[test]
fn one_that_was_killed_while_it_waited_is_an_error() {
    let (base, undone) = (base(), Arc::default());
    let waiting = stand_by(&base, &undone);
    signal_pidfd(waiting.pidfd().unwrap(), libc::SIGKILL).unwrap();
    let (launch, _ends) = rest(&base, "true", 1);
    let error = error(waiting.hand_over(launch));
    assert!(error.undo_errors.is_empty(), "{error}");
    assert_eq!(undone.load(Ordering::Relaxed), 1);
}

#[test]
fn a_rest_of_another_base_is_refused() {
    let undone = Arc::default();
    let waiting = stand_by(&base(), &undone);
    let (launch, _ends) = rest(&base(), "true", 1);
    assert_eq!(error(waiting.hand_over(launch)).failure.errno(), Some(libc::EINVAL));
    assert_eq!(undone.load(Ordering::Relaxed), 1);
}

#[test]
fn a_rest_with_too_many_descriptors_is_refused() {
    let (base, undone) = (base(), Arc::default());
    let waiting = stand_by(&base, &undone);
    let (launch, _ends) = rest(&base, "true", 41);
    assert_eq!(error(waiting.hand_over(launch)).failure.errno(), Some(libc::E2BIG));
}

#[test]
fn an_init_that_nobody_wants_leaves() {
    let (base, undone) = (base(), Arc::default());
    let waiting = stand_by(&base, &undone);
    let pid = waiting.pid();
    drop(waiting);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is gone and reaped");
}

#[test]
fn one_that_is_not_wanted_any_more_is_taken_back() {
    let (base, undone) = (base(), Arc::default());
    let waiting = stand_by(&base, &undone);
    let pid = waiting.pid();
    assert!(waiting.take_back().is_empty());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is gone and reaped");
    assert_eq!(undone.load(Ordering::Relaxed), 1);
}

/// The same base, launched as a whole.
#[test]
fn a_plan_on_a_base_runs_at_once_too() {
    let base = base();
    let (launch, ends) = rest(&base, "hostname; echo 2 >&2", 2);
    assert!(matches!(ended(&launch.run().unwrap()), WaitStatus::Exited(_, 0)));
    assert_eq!(read(ends), ["built\n", "2\n"]);
}
